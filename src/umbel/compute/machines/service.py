"""The machines, for operators: they come, are brought up to date, and go.

In: what operators ask. Out: rows, and machines with a bundle. A machine is looked over before
anything is changed there; copying goes on behind, and shows its progress.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from platform import machine as architecture
from typing import Protocol

import structlog

from umbel.compute.machines import inspection
from umbel.compute.machines.bundle import PYTHON, Bundle
from umbel.compute.machines.model import (
    BadSshTarget,
    Machine,
    MachineFacts,
    MachineInUse,
    MachineUnfit,
    Progress,
    SshTarget,
)
from umbel.compute.machines.store import MachineStore
from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)

_PREFIX = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._-]*){2,8}")
_SPARE_MB = 200


class MachineState(StrEnum):
    """How far a machine is."""

    INSTALLING = "installing"
    READY = "ready"
    OUTDATED = "outdated"  # it works, with another bundle than this control plane's
    INCOMPLETE = "incomplete"  # installing was interrupted: `upgrade` goes on
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class MachineStatus:
    """A machine and how far it is: bytes copied, of how many; why the last installation failed."""

    machine: Machine
    state: MachineState
    copied: int = 0
    size: int = 0
    error: UmbelError | None = None


class Access(Protocol):
    """Reaches machines; drivers/ssh/access.py does over SSH."""

    @property
    def public_key(self) -> str:
        """What a machine must authorize, a line."""

    async def newest(self) -> Bundle:
        """What machines are to have."""

    async def look_over(
        self, target: SshTarget, prefix: str, host_key: str = ""
    ) -> tuple[str, MachineFacts]:
        """The machine's host key, checked if it is given, and what it says of itself."""

    async def install(self, machine: Machine, bundle: Bundle, progress: Progress) -> None:
        """Have the bundle on the machine, next to others."""

    async def collect(self, machine: Machine) -> None:
        """Remove the bundles that nothing runs out of."""

    async def uninstall(self, machine: Machine) -> None:
        """Leave nothing on the machine."""


@dataclass(kw_only=True)
class _Installation:
    copied: int = 0
    size: int = 0
    error: UmbelError | None = None
    task: asyncio.Task[None] | None = None


@dataclass(kw_only=True)
class MachineService:
    """The machines."""

    store: MachineStore
    access: Access
    clock: Clock
    _installations: dict[str, _Installation] = field(default_factory=dict)

    @property
    def public_key(self) -> str:
        """What a machine must authorize, a line."""
        return self.access.public_key

    async def list(self) -> Sequence[MachineStatus]:
        """Every machine."""
        bundle = await self.access.newest()
        return [self._status(one, bundle.id) for one in (await self.store.all()).values()]

    async def get(self, name: str) -> MachineStatus:
        """One machine. Raises NoSuchMachine."""
        return self._status(await self.store.get(name), (await self.access.newest()).id)

    async def look_over(
        self, target: SshTarget, prefix: str, address: str = "", host_key: str = ""
    ) -> tuple[str, MachineFacts]:
        """The machine's host key and facts. Raises MachineUnfit with all that is wrong, and what
        connecting raises."""
        if _PREFIX.fullmatch(prefix) is None:
            raise BadSshTarget(f"{prefix!r} is no folder of two names or more, such as /opt/umbel")
        bundle = await self.access.newest()
        key, facts = await self.access.look_over(target, prefix, host_key)
        needs = inspection.Needs(
            architecture=architecture(),
            python=PYTHON,
            disk_mb=2 * bundle.size // 2**20 + _SPARE_MB,
            now_s=self.clock.now_s(),
            address=address,
        )
        problems = inspection.findings(facts, needs)
        if problems:
            message = f"{target.host} cannot run functions yet: {'; '.join(problems)}"
            raise MachineUnfit(message, problems=problems)
        return key, facts

    async def add(self, machine: Machine, address: str = "") -> tuple[MachineStatus, MachineFacts]:
        """A machine comes: it is looked over, its host key pinned, and installing begins. Raises
        MachineExists and what `look_over` raises."""
        key, facts = await self.look_over(machine.target, machine.prefix, address)
        pinned = replace(machine, host_key=key)
        await self.store.add(pinned)
        self._begin(pinned)
        return await self.get(machine.name), facts

    async def upgrade(self, name: str) -> MachineStatus:
        """Install this control plane's bundle next to the one in use, and use it for what starts
        from then on. Idempotent; a failed installation begins again where it ended."""
        machine = await self.store.get(name)
        await self.look_over(machine.target, machine.prefix, host_key=machine.host_key)
        self._begin(machine)
        return await self.get(name)

    async def remove(self, name: str, *, nodes: Sequence[str], force: bool = False) -> None:
        """A machine goes, whose node must be gone, and nothing of ours is left there. `force`
        forgets one that does not answer. Raises MachineInUse and what connecting raises."""
        machine = await self.store.get(name)
        if name in nodes:
            raise MachineInUse(f"{name} is a node: drain and remove it first", machine=name)
        installing = self._installations.pop(name, None)
        if installing is not None and installing.task is not None:
            installing.task.cancel()
            await asyncio.gather(installing.task, return_exceptions=True)
        # Without a bundle its VIM lets go of it, and an interrupted removal can be repeated.
        await self.store.set_bundle(name, "")
        try:
            await self.access.uninstall(machine)
        except UmbelError as error:
            if not force or isinstance(error, MachineInUse):
                raise
            log.warning("machine forgotten", machine=name, reason=error.message)
        await self.store.remove(name)

    async def close(self) -> None:
        """Installing ends; what was copied is kept."""
        tasks = [one.task for one in self._installations.values() if one.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- inside -----------------------------------------------------------------------------

    def _status(self, machine: Machine, newest: str) -> MachineStatus:
        doing = self._installations.get(machine.name, _Installation())
        state = MachineState.READY if machine.bundle == newest else MachineState.OUTDATED
        if doing.error is not None:
            state = MachineState.FAILED
        elif doing.task is not None and not doing.task.done():
            state = MachineState.INSTALLING
        elif not machine.bundle:
            state = MachineState.INCOMPLETE
        return MachineStatus(
            machine=machine,
            state=state,
            copied=doing.copied,
            size=doing.size,
            error=doing.error,
        )

    def _begin(self, machine: Machine) -> None:
        had = self._installations.get(machine.name)
        if had is not None and had.task is not None and not had.task.done():
            return
        doing = self._installations[machine.name] = _Installation()
        doing.task = asyncio.create_task(
            self._install(machine, doing), name=f"install:{machine.name}"
        )

    async def _install(self, machine: Machine, doing: _Installation) -> None:
        def progress(copied: int, size: int) -> None:
            doing.copied, doing.size = copied, size

        try:
            bundle = await self.access.newest()
            await self.access.install(machine, bundle, progress)
            await self.store.set_bundle(machine.name, bundle.id)
            await self.access.collect(replace(machine, bundle=bundle.id))
        except UmbelError as error:
            doing.error = error
            log.warning("bundle not installed", machine=machine.name, reason=error.message)
        except OSError as error:
            doing.error = UmbelError(f"The bundle cannot be made here: {error}")
            log.exception("bundle not made", machine=machine.name)
        else:
            log.info("bundle installed", machine=machine.name, bundle=bundle.id)
