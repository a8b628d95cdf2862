"""The hypervisors, for operators: they come and go while the platform runs.

In: what operators ask. Out: rows. A hypervisor is looked over before it is added: a guest must boot
there, with a device on the bridge. When it goes, nothing of ours is left there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from umbel.compute.hypervisors.authority import Authority, Issued
from umbel.compute.hypervisors.model import (
    CERTIFICATE_DAYS,
    Accelerator,
    Hypervisor,
    HypervisorFacts,
    HypervisorInUse,
    check,
)
from umbel.compute.hypervisors.store import HypervisorStore
from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)


class HypervisorAccess(Protocol):
    """Reaches hypervisors; drivers/libvirt/access.py does through libvirt."""

    async def look_over(self, hypervisor: Hypervisor) -> tuple[Accelerator, HypervisorFacts]:
        """What guests run with there, best first, and what it says of itself. Raises
        HypervisorUnreachable, HypervisorFailed, NoSuchImage."""

    async def clear(self, hypervisor: Hypervisor) -> None:
        """Leave nothing of ours there. Raises HypervisorInUse while guests are there."""


@dataclass(kw_only=True)
class HypervisorService:
    """The hypervisors."""

    store: HypervisorStore
    access: HypervisorAccess
    authority: Authority
    clock: Clock

    async def list(self) -> Sequence[Hypervisor]:
        """Every hypervisor, by name."""
        return list((await self.store.all()).values())

    async def add(self, hypervisor: Hypervisor) -> tuple[Hypervisor, HypervisorFacts]:
        """A hypervisor comes. Raises BadHypervisor, HypervisorExists and what `look_over`
        raises."""
        check(hypervisor)
        await self.store.check_new(hypervisor)
        accelerator, facts = await self.access.look_over(hypervisor)
        probed = replace(hypervisor, accelerator=accelerator)
        await self.store.add(probed)
        log.info("hypervisor added", hypervisor=probed.name, accelerator=accelerator.name)
        return probed, facts

    async def certificate(
        self, name: str, names: Sequence[str] = (), *, days: int = CERTIFICATE_DAYS
    ) -> tuple[Issued, Sequence[str]]:
        """A certificate for TLS of a hypervisor, and the names it holds: where it takes copies, the
        host of its URI, and `names`. Raises NoSuchHypervisor, BadHypervisor."""
        hypervisor = await self.store.get(name)
        known = (hypervisor.copies.address, hypervisor.host, *names)
        held = tuple(dict.fromkeys(one for one in known if one))
        issued = self.authority.issue(held, days=days, now_s=self.clock.now_s())
        log.info("certificate issued", hypervisor=name, names=held)
        return issued, held

    async def remove(self, name: str, *, nodes: Sequence[str], force: bool = False) -> None:
        """A hypervisor goes, whose node must be gone. `force` forgets one that does not answer.
        Raises NoSuchHypervisor, HypervisorInUse and what connecting raises."""
        hypervisor = await self.store.get(name)
        if name in nodes:
            message = f"{name} is a node: drain and remove it first"
            raise HypervisorInUse(message, hypervisor=name)
        try:
            await self.access.clear(hypervisor)
        except UmbelError as error:
            if not force or isinstance(error, HypervisorInUse):
                raise
            log.warning("hypervisor forgotten", hypervisor=name, reason=error.message)
        await self.store.remove(name)
