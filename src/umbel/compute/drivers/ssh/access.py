"""Looks over a machine, installs bundles there and removes them, over a connection each.

In: a machine and a bundle's file. Out: facts, progress, or the reason why not. Copying goes on
where a broken copy ended; what is installed appears as a whole.
"""

import asyncio
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.compute.drivers.ssh import scripts
from umbel.compute.drivers.ssh.keys import SshKey
from umbel.compute.machines import bundle as bundles
from umbel.compute.machines import inspection
from umbel.compute.machines.bundle import PYTHON, Bundle
from umbel.compute.machines.model import (
    InstallFailed,
    Machine,
    MachineDiskFull,
    MachineFacts,
    MachineInUse,
    Progress,
    SshTarget,
)

if TYPE_CHECKING:
    from umbel.compute.drivers.ssh.connection import Completed, Connection

_LOOK_WITHIN_S = 60.0
_COPY_WITHIN_S = 3600.0
_UNPACK_WITHIN_S = 600.0
_CHUNK = 256 * 1024


class SshAccess:
    """Reaches machines with the platform's key. `folder` holds the bundles that are made here."""

    def __init__(self, key: SshKey, folder: Path) -> None:
        self.public_key = key.public
        self._key = key
        self._folder = folder
        self._newest: Bundle | None = None
        self._turn = asyncio.Lock()

    async def newest(self) -> Bundle:
        """What is installed for this control plane, looked at once."""
        async with self._turn:
            if self._newest is None:
                self._newest = await asyncio.to_thread(bundles.collect)
            return self._newest

    async def look_over(
        self, target: SshTarget, prefix: str, host_key: str = ""
    ) -> tuple[str, MachineFacts]:
        """The machine's host key and what it says of itself. Raises MachineUnreachable,
        SshAccessDenied, HostKeyChanged, MachineUnfit."""
        connection = await self._connect(target, host_key)
        try:
            text = [inspection.SCRIPT.encode()]
            command = f"sh -s -- {PYTHON} {prefix}"
            done = await connection.run(command, content=text, within_s=_LOOK_WITHIN_S)
            return connection.host_key, inspection.parse(done.output)
        finally:
            await connection.close()

    async def install(self, machine: Machine, bundle: Bundle, progress: Progress) -> None:
        """Have the bundle on the machine, next to others. Raises MachineDiskFull, InstallFailed,
        OSError where it cannot be made here, and what connecting raises."""
        async with self._turn:
            file = await asyncio.to_thread(bundles.write, bundle, self._folder)
        id_ = bundle.id
        connection = await self._open(machine)
        try:
            begun = await self._run(connection, machine, scripts.BEGIN, id_)
            if begun == "installed":
                return
            await _copy(connection, machine, id_, file, int(begun or "0"), progress)
            digest = sha256(file.read_bytes()).hexdigest()
            await self._run(connection, machine, scripts.FINISH, id_, digest, machine.run_as)
        finally:
            await connection.close()

    async def collect(self, machine: Machine) -> None:
        """Remove the machine's other bundles that nothing runs out of."""
        connection = await self._open(machine)
        try:
            await self._run(connection, machine, scripts.COLLECT, machine.bundle)
        finally:
            await connection.close()

    async def uninstall(self, machine: Machine) -> None:
        """Leave nothing on the machine. Raises MachineInUse while functions run there."""
        connection = await self._open(machine)
        try:
            await self._run(connection, machine, scripts.UNINSTALL, machine.run_as)
        finally:
            await connection.close()

    async def _open(self, machine: Machine) -> "Connection":
        return await self._connect(machine.target, machine.host_key)

    async def _connect(self, target: SshTarget, host_key: str) -> "Connection":
        # It loads slowly, and without machines it is not needed.
        from umbel.compute.drivers.ssh.connection import Connection  # noqa: PLC0415

        return await Connection.open(target, self._key.private, host_key)

    async def _run(
        self, connection: "Connection", machine: Machine, script: str, *words: str
    ) -> str:
        arguments = " ".join(f"'{word}'" for word in (machine.prefix, *words))
        done = await connection.run(
            f"sh -s -- {arguments}", content=[script.encode()], within_s=_UNPACK_WITHIN_S
        )
        _check(done, machine, script)
        return done.output.decode("utf-8", "replace").strip()


async def _copy(
    connection: "Connection", machine: Machine, bundle: str, file: Path, at: int, progress: Progress
) -> None:
    size = file.stat().st_size

    def chunks() -> Iterator[bytes]:
        done = at
        with file.open("rb") as source:
            source.seek(at)
            while chunk := source.read(_CHUNK):
                yield chunk
                done += len(chunk)
                progress(done, size)

    part = f"{machine.layout.bundles}/.{bundle}.part"
    done = await connection.run(f"cat >>'{part}'", content=chunks(), within_s=_COPY_WITHIN_S)
    _check(done, machine)


def _check(done: "Completed", machine: Machine, script: str = "") -> None:
    if done.status == 0:
        return
    said = done.errors.splitlines()[-1][:500] if done.errors else f"status {done.status}"
    if "No space left on device" in done.errors or "Disk quota exceeded" in done.errors:
        message = f"The disk of {machine.name} is full under {machine.prefix}"
        raise MachineDiskFull(message, machine=machine.name)
    if script is scripts.UNINSTALL and done.status == 4:
        raise MachineInUse(machine=machine.name)
    raise InstallFailed(f"{machine.name}: {said}", machine=machine.name)
