"""One SSH connection to a machine: its host key pinned, every wait bounded. asyncssh lives here.

In: a target, the platform's key, the pinned host key. Out: commands' results and processes with
open pipes, or one of three reasons why not, errors of machines/model.py.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import asyncssh

from umbel.compute.drivers.ssh.surroundings import SshLimits
from umbel.compute.machines.model import (
    HostKeyChanged,
    MachineUnreachable,
    SshAccessDenied,
    SshTarget,
)

_Process = asyncssh.SSHClientProcess[bytes]

_LONGEST_OUTPUT = 256 * 1024
_STATUS_WITHIN_S = 1.0
"""How long after its output a command's status may come."""


@dataclass(frozen=True, kw_only=True)
class Completed:
    """How a command ended; each output has at most 256 KiB."""

    status: int
    output: bytes
    errors: str


class Connection:
    """An open connection. `host_key` is the machine's, in OpenSSH's public form."""

    def __init__(
        self, ssh: asyncssh.SSHClientConnection, target: SshTarget, limits: SshLimits
    ) -> None:
        self._ssh = ssh
        self._target = target
        self._limits = limits
        key = ssh.get_server_host_key()
        self.host_key = key.export_public_key().decode().strip() if key is not None else ""

    @classmethod
    async def open(
        cls, target: SshTarget, key: str, host_key: str = "", limits: SshLimits = SshLimits()
    ) -> Self:
        """Connect and sign in by the private key (PEM). Without a pinned `host_key` any is taken.
        Raises MachineUnreachable, SshAccessDenied, HostKeyChanged."""
        known = [asyncssh.import_public_key(host_key)] if host_key else []
        nobody: list[asyncssh.SSHKey] = []
        try:
            async with asyncio.timeout(limits.connect_s):
                ssh = await asyncssh.connect(
                    target.host,
                    target.port,
                    username=target.user,
                    client_keys=[asyncssh.import_private_key(key)],
                    known_hosts=(known, nobody, nobody) if known else None,
                    agent_path=None,
                    config=None,
                    preferred_auth="publickey",
                    keepalive_interval=limits.keep_alive_s,
                    keepalive_count_max=limits.keep_alives,
                )
        except TimeoutError as error:
            message = f"{target} does not answer within {limits.connect_s:g} s"
            raise MachineUnreachable(message, target=str(target)) from error
        except asyncssh.PermissionDenied as error:
            message = f"{target.host} refuses the platform's key for {target.user}"
            raise SshAccessDenied(message, target=str(target)) from error
        except (OSError, asyncssh.Error) as error:
            if known and await _has_another_key(target, known[0], error, limits):
                raise HostKeyChanged(
                    f"{target.host} has another host key than when it was added",
                    target=str(target),
                ) from error
            message = f"{target} does not answer: {_reason(error)}"
            raise MachineUnreachable(message, target=str(target)) from error
        return cls(ssh, target, limits)

    async def run(
        self, command: str, *, within_s: float, content: Iterable[bytes] = ()
    ) -> Completed:
        """Run a shell command with this input. Raises MachineUnreachable when the connection or
        the time ends first."""
        process = await self._process(command)
        writing = asyncio.create_task(_write(process.stdin, content))
        try:
            async with asyncio.timeout(within_s):
                output, errors = await asyncio.gather(_read(process.stdout), _read(process.stderr))
                await _ended(process, writing)
        except TimeoutError as error:
            message = f"{self._target} did not finish a command within {within_s:g} s"
            raise MachineUnreachable(message, target=str(self._target)) from error
        except (OSError, asyncssh.Error) as error:
            message = f"{self._target}: the connection was lost: {_reason(error)}"
            raise MachineUnreachable(message, target=str(self._target)) from error
        finally:
            # It is not waited for: a server closes the channel when the command has ended.
            process.channel.abort()
            writing.cancel()
        status = process.returncode
        return Completed(
            status=255 if status is None else status,
            output=output,
            errors=errors.decode("utf-8", "replace").strip(),
        )

    async def channel(self, command: str) -> "Channel":
        """A command with open pipes. Raises MachineUnreachable."""
        return Channel(await self._process(command), str(self._target))

    async def _process(self, command: str) -> _Process:
        try:
            async with asyncio.timeout(self._limits.connect_s):
                return await self._ssh.create_process(command, encoding=None)
        except TimeoutError as error:
            message = f"{self._target} opens no session within {self._limits.connect_s:g} s"
            raise MachineUnreachable(message, target=str(self._target)) from error
        except (OSError, asyncssh.Error) as error:
            message = f"{self._target}: no session: {_reason(error)}"
            raise MachineUnreachable(message, target=str(self._target)) from error

    async def close(self) -> None:
        """End the connection; what runs on the machine goes on."""
        self._ssh.close()
        with suppress(TimeoutError, OSError, asyncssh.Error):
            async with asyncio.timeout(2.0):
                await self._ssh.wait_closed()
        self._ssh.abort()


class Channel:
    """The pipes of a command that runs. Each raises MachineUnreachable when the connection is
    lost."""

    def __init__(self, process: _Process, target: str) -> None:
        self._process = process
        self._target = target

    async def write(self, data: bytes) -> None:
        """Send to its input."""
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (OSError, asyncssh.Error) as error:
            raise self._lost(error) from error

    async def read_line(self, longest: int) -> bytes:
        """The next line of its output, cut after so many bytes and a little; empty at the end."""
        line = bytearray()
        while not line.endswith(b"\n") and len(line) <= longest:
            try:
                line += await self._process.stdout.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                if not error.partial:
                    return b""
                line += error.partial
            except (OSError, asyncssh.Error) as error:
                raise self._lost(error) from error
        return bytes(line)

    async def read_errors(self, longest: int) -> bytes:
        """What it says next of errors; empty at the end."""
        try:
            return await self._process.stderr.read(longest)
        except (OSError, asyncssh.Error) as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> MachineUnreachable:
        message = f"{self._target}: the connection was lost: {_reason(error)}"
        return MachineUnreachable(message, target=self._target)


async def _read(stream: asyncssh.SSHReader[bytes]) -> bytes:
    """What the stream says, cut at the limit: the rest is read and dropped."""
    kept = bytearray()
    while chunk := await stream.read(64 * 1024):
        kept += chunk[: _LONGEST_OUTPUT - len(kept)]
    return bytes(kept)


async def _write(stream: asyncssh.SSHWriter[bytes], content: Iterable[bytes]) -> None:
    # A command that ends before its input does says why by its status and errors.
    with suppress(BrokenPipeError, ConnectionResetError):
        for chunk in content:
            stream.write(chunk)
            await stream.drain()
        stream.write_eof()


async def _ended(process: _Process, writing: asyncio.Task[None]) -> None:
    """The status is there. Of a command that ended before its input did, nobody takes the rest,
    and the channel would wait for it."""
    try:
        async with asyncio.timeout(_STATUS_WITHIN_S):
            await writing
            await process.wait_closed()
    except TimeoutError:
        process.channel.abort()
        await process.wait_closed()


async def _has_another_key(
    target: SshTarget, known: asyncssh.SSHKey, error: Exception, limits: SshLimits
) -> bool:
    """Whether the connection failed for the host key. A pinned one's algorithm alone is offered, so
    a server that has only others breaks off without a word: it is asked which it has."""
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return True
    if isinstance(error, ConnectionRefusedError):
        return False
    try:
        async with asyncio.timeout(limits.connect_s):
            key = await asyncssh.get_server_host_key(target.host, target.port, config=None)
    except (OSError, TimeoutError, asyncssh.Error):
        return False
    return key is not None and key.public_data != known.public_data


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None)
    return str(reason or error or type(error).__name__)
