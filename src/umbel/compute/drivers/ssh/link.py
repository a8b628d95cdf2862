"""Keeps a session with one machine: opens it, and opens it again after longer and longer waits.

In: calls. Out: answers, or MachineUnreachable at once while the machine is known to be away, so
that one machine does not hold up the others.
"""

import asyncio
import shlex
from collections.abc import Callable

import structlog

from umbel.compute.drivers.ssh.connection import Connection
from umbel.compute.drivers.ssh.session import MakeCall, Session
from umbel.compute.drivers.ssh.surroundings import Surroundings
from umbel.compute.machines.model import InstallFailed, Machine, MachineUnreachable
from umbel.compute.remote.messages import Answer
from umbel.kit import backoff
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0


class Link:
    """To one machine. `on_change` hears of functions, `on_loss` that a session was lost."""

    def __init__(
        self,
        machine: Machine,
        around: Surroundings,
        on_change: Callable[[str], None],
        on_loss: Callable[[], None],
    ) -> None:
        self.machine = machine
        self._around = around
        self._on_change = on_change
        self._on_loss = on_loss
        self._session: Session | None = None
        self._opening: asyncio.Task[Session] | None = None
        self._failures = 0
        self._again_s = 0.0
        self._reason = ""

    async def call(self, make: MakeCall) -> Answer:
        """The answer. Raises what the call raised there, or MachineUnreachable."""
        session = await self._open()
        return await session.call(make, within_s=self._around.limits.call_s)

    async def close(self) -> None:
        """End the session; functions go on."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _open(self) -> Session:
        if self._session is not None and not self._session.reason:
            return self._session
        if self._opening is None:
            if self._around.clock.monotonic_s() < self._again_s:
                raise MachineUnreachable(self._reason, machine=self.machine.name)
            self._opening = asyncio.create_task(
                self._try_to_open(), name=f"connect:{self.machine.name}"
            )
        try:
            async with asyncio.timeout(self._around.limits.wait_s):
                return await asyncio.shield(self._opening)
        except TimeoutError as error:
            message = f"{self.machine.target} does not answer yet"
            raise MachineUnreachable(message, machine=self.machine.name) from error

    async def _try_to_open(self) -> Session:
        try:
            session = self._session = await self._connect()
        except UmbelError as error:
            self._failures += 1
            wait_s = backoff.wait_s(
                self._failures,
                backoff.draw(self.machine.name, self._failures),
                first_s=_FIRST_WAIT_S,
                longest_s=_LONGEST_WAIT_S,
            )
            self._again_s = self._around.clock.monotonic_s() + wait_s
            self._reason = error.message
            log.warning("machine not reached", machine=self.machine.name, reason=error.message)
            raise MachineUnreachable(error.message, machine=self.machine.name) from error
        finally:
            self._opening = None
        self._failures = 0
        log.info("machine reached", machine=self.machine.name, target=str(self.machine.target))
        return session

    async def _connect(self) -> Session:
        machine, around = self.machine, self._around
        connection = await Connection.open(
            machine.target, around.key.private, machine.host_key, around.limits.ssh
        )
        try:
            await self._put_files(connection)
            channel = await connection.channel(self._command())
        except BaseException:
            await connection.close()
            raise
        return Session(machine, connection, channel, self._on_change, self._on_loss)

    async def _put_files(self, connection: Connection) -> None:
        for path, there in self._around.remote_files(self.machine).items():
            draft = shlex.quote(f"{there}.{self.machine.name}.draft")
            folder, name = shlex.quote(self.machine.layout.files), shlex.quote(there)
            done = await connection.run(
                f"umask 022 && mkdir -p {folder} && cat >{draft} && mv -f {draft} {name}",
                content=[path.read_bytes()],
                within_s=self._around.limits.call_s,
            )
            if done.status != 0:
                message = f"{self.machine.name} does not take {path.name}: {done.errors}"
                raise InstallFailed(message, machine=self.machine.name)

    def _command(self) -> str:
        layout = self.machine.layout
        words = [layout.python(self.machine.bundle), "-m", "umbel.compute.remote"]
        state = shlex.quote(layout.state)
        # Root's functions are an unprivileged user's; limits need root and systemd.
        as_root = f"--user {shlex.quote(self.machine.run_as)}" if self.machine.run_as else ""
        return (
            f'if [ "$(id -u)" = 0 ]; then set -- {as_root}; '
            '[ ! -d /run/systemd/system ] || set -- "$@" --systemd; fi; '
            f'cd / && exec {shlex.join(words)} --state-dir {state} "$@"'
        )
