"""Looks hypervisors over before they are added, and clears them when they go."""

import asyncio
from dataclasses import replace

from umbel.compute.drivers.libvirt import luns
from umbel.compute.drivers.libvirt.context import GuestContext
from umbel.compute.hypervisors import iscsi
from umbel.compute.hypervisors.model import (
    Accelerator,
    Hypervisor,
    HypervisorFacts,
    HypervisorFailed,
)
from umbel.compute.images.build import RECIPES
from umbel.compute.images.model import Image, NoSuchImage


class LibvirtAccess:
    """Reaches hypervisors through libvirt, which is loaded then."""

    def __init__(self, around: GuestContext) -> None:
        limits = around.limits
        self._around = replace(around, limits=replace(limits, wait_s=limits.connect_s))

    async def look_over(self, hypervisor: Hypervisor) -> tuple[Accelerator, HypervisorFacts]:
        """KVM where a guest boots with it, else emulation."""
        from umbel.compute.drivers.libvirt.link import connected  # noqa: PLC0415

        image = self._some_image()
        if hypervisor.iscsi:
            target = iscsi.parse(hypervisor.iscsi)
            first, limit_s = target.lun(target.first), self._around.limits.call_s
            await asyncio.to_thread(luns.check, first, limit_s)
        reasons = []
        async with connected(hypervisor, self._around) as link:
            facts = await link.facts()
            for accelerator in (Accelerator.KVM, Accelerator.TCG):
                reason = await link.probe(image, accelerator)
                if not reason:
                    return accelerator, facts
                reasons.append(f"{accelerator.name}: {reason}")
        message = f"No guest boots on {hypervisor.name}: {'; '.join(reasons)}"
        raise HypervisorFailed(message, hypervisor=hypervisor.name)

    async def clear(self, hypervisor: Hypervisor) -> None:
        """Images and the storage pool go."""
        from umbel.compute.drivers.libvirt.link import connected  # noqa: PLC0415

        async with connected(hypervisor, self._around) as link:
            await link.clear()

    def _some_image(self) -> Image:
        for name in RECIPES:
            try:
                return self._around.images.get(name)
            except NoSuchImage:
                continue
        raise NoSuchImage("There is no image to try a guest with: umbel image build media")
