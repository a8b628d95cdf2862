"""One hypervisor, as the VIM uses it: its guests as values, and what is done with them.

In: guests, images, seeds. Out: what is seen there. Neighbours: connection.py for threads and
limits; domains.py and storage.py for libvirt's own words.
"""

import asyncio
import io
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import libvirt
import structlog

from umbel.compute.attending import Report
from umbel.compute.drivers.libvirt import disks, domain_xml, domains, filters, luns, storage
from umbel.compute.drivers.libvirt.connection import LibvirtConnection, reached_by
from umbel.compute.drivers.libvirt.context import GuestContext
from umbel.compute.drivers.libvirt.copies import Power, SeenGuest
from umbel.compute.drivers.libvirt.guest import GuestRecord
from umbel.compute.drivers.libvirt.storage import PoolFolder
from umbel.compute.hypervisors.model import (
    Accelerator,
    GuestOnLun,
    Hypervisor,
    HypervisorFacts,
    HypervisorFailed,
    HypervisorInUse,
    check_new_snapshot,
    check_snapshot,
)
from umbel.compute.images.model import Image
from umbel.compute.images.ports import Sent
from umbel.compute.model import HostUsage, Snapshot
from umbel.compute.volumes.model import check_none_attached
from umbel.kit.errors import UmbelError

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

_LOOK_EVERY_S = 0.1


@asynccontextmanager
async def connected(
    hypervisor: Hypervisor, around: GuestContext
) -> AsyncIterator["HypervisorLink"]:
    """A link for some calls, without a look at what changes."""
    link = HypervisorLink(hypervisor, around, lambda _: None)
    try:
        yield link
    finally:
        await link.close()


class HypervisorLink:
    """A hypervisor. Its methods raise HypervisorUnreachable and HypervisorFailed."""

    def __init__(
        self, hypervisor: Hypervisor, around: GuestContext, on_change: Callable[[str], None]
    ) -> None:
        self.hypervisor = hypervisor
        self._around = around
        self.pool_folder = PoolFolder(folder=hypervisor.folder, installation=around.installation)
        self.copying = asyncio.Lock()
        """While images come or go."""
        self._cpu: tuple[float, float] | None = None
        self._connection = LibvirtConnection(
            hypervisor.name,
            reached_by(hypervisor.uri, around.certificates),
            on_change,
            around.limits,
        )

    async def call(
        self, work: Callable[["libvirt.virConnect"], Answer], within_s: float = 0.0
    ) -> Answer:
        """What `work` answers on a thread of its own."""
        return await self._connection.call(work, within_s)

    async def seen(self) -> dict[str, SeenGuest]:
        """Every guest of ours."""
        return await self._connection.call(domains.seen, self._around.limits.look_s)

    async def one_seen(self, function_id: str) -> SeenGuest | None:
        """The function's guest."""
        return await self._connection.call(lambda c: domains.one_seen(c, function_id))

    async def is_on(self, function_id: str) -> bool | None:
        """Whether the guest runs, and is not held; None where it is off or gone."""
        seen = await self.one_seen(function_id)
        if seen is None or seen.power is Power.OFF:
            return None
        return seen.power is Power.ON

    async def report(self, function_id: str) -> Report:
        """What is said inside the guest."""
        within_s = self._around.limits.agent_s
        return await self._connection.call(lambda c: domains.report(c, function_id, within_s))

    async def start(
        self, guest: GuestRecord, image: Image, seed: bytes, filter_xml: str = ""
    ) -> None:
        """Switch the guest on, with a fresh disk, and behind the filter if one is given; an earlier
        one of that function is removed."""
        there, place = self.hypervisor, self.pool_folder
        await self.put_image(image)
        await self._connection.call(lambda c: domains.remove(c, guest.id))
        if (lun := guest.lun) is not None:
            part, work = self._around.images.part(image, "disk"), self._around.limits.copy_s
            await asyncio.to_thread(luns.write, part, lun, work)
        await self._connection.call(lambda c: storage.put_guest(c, place, guest, io.BytesIO(seed)))
        await self._connection.call(lambda c: filters.forget(c, guest.id))
        if filter_xml:
            await self._connection.call(lambda c: filters.define(c, filter_xml))
        xml = domain_xml.domain(guest, there, is_filtered=bool(filter_xml))
        await self._connection.call(lambda c: domains.start(c, xml))

    async def stop(self, function_id: str) -> None:
        """Have the function end, and leave nothing of its guest there."""
        asked = await self._connection.call(lambda c: domains.ask_to_end(c, function_id))
        if asked:
            await self._until_off(function_id)
        await self.remove(function_id, keep_files=False)

    async def remove(self, function_id: str, *, keep_files: bool) -> None:
        """Leave nothing of the guest's copy there, or nothing but its files."""
        place = self.pool_folder
        await self._connection.call(lambda c: domains.remove(c, function_id))
        await self._connection.call(lambda c: filters.forget(c, function_id))
        if not keep_files:
            await self._connection.call(lambda c: storage.remove_guest(c, place, function_id))

    @asynccontextmanager
    async def another(self) -> AsyncIterator[LibvirtConnection]:
        """One more connection to it, for a while."""
        there, limits = self.hypervisor, self._around.limits
        limits = replace(limits, wait_s=limits.connect_s)  # a move has time to sign in
        uri = reached_by(there.uri, self._around.certificates)
        made = LibvirtConnection(there.name, uri, lambda _: None, limits)
        try:
            yield made
        finally:
            await made.close()

    async def give_up(self, function_id: str, reason: str) -> None:
        """Switch the guest off, and keep why."""
        await self._connection.call(lambda c: domains.give_up(c, function_id, reason))

    async def keep_ready(self, function_id: str, ports: Mapping[str, int]) -> None:
        """Note that the function is ready, and on which ports."""
        await self._connection.call(lambda c: domains.keep_ready(c, function_id, ports))

    async def probe(self, image: Image, accelerator: Accelerator) -> str:
        """Why no guest boots there with this accelerator, on the guests' bridge; empty if one
        does. That /dev/kvm is there, or that libvirt offers KVM, proves nothing."""
        await self.put_image(image)
        name = f"umbel-probe-{secrets.token_hex(4)}"
        xml = domain_xml.probe_domain(name, self.hypervisor, image.id, accelerator)
        limits = self._around.limits
        within_s = limits.probe_kvm_s if accelerator is Accelerator.KVM else limits.probe_s
        deadline_s = self._around.clock.monotonic_s() + within_s
        try:
            await self._connection.call(lambda c: domains.boot_probe(c, xml))
            while self._around.clock.monotonic_s() < deadline_s:
                booted = await self._connection.call(lambda c: domains.has_booted(c, name))
                if booted is not None:
                    return "" if booted else "the guest's QEMU ended"
                await asyncio.sleep(_LOOK_EVERY_S)
        except HypervisorFailed as error:
            return error.message
        finally:
            await self._connection.call(lambda c: domains.remove_probe(c, name))
        return f"the guest did not boot within {within_s:g} s"

    async def facts(self) -> HypervisorFacts:
        """What it says of itself."""
        return await self._connection.call(domains.facts)

    async def clear(self) -> None:
        """Leave nothing of ours there. Raises HypervisorInUse while guests are there."""
        if seen := await self.seen():
            message = f"{self.hypervisor.name} still has guests: {', '.join(sorted(seen))}"
            raise HypervisorInUse(message, hypervisor=self.hypervisor.name)
        await self._connection.call(
            lambda c: storage.remove_pool(c, self.pool_folder), self._around.limits.copy_s
        )

    async def suspend(self, function_id: str) -> None:
        """Stop the guest's processors."""
        await self._connection.call(lambda c: domains.suspend(c, function_id))

    async def resume(self, function_id: str) -> None:
        """Let the guest go on."""
        await self._connection.call(lambda c: domains.resume(c, function_id))

    async def snapshots(self, function_id: str) -> list[Snapshot]:
        """The guest's snapshots, the oldest first."""
        return await self._connection.call(lambda c: domains.snapshots(c, function_id))

    async def remove_snapshot(self, function_id: str, name: str) -> None:
        """Forget the snapshot. Raises NoSuchSnapshot."""
        check_snapshot(function_id, await self.snapshots(function_id), name)
        work = self._around.limits.copy_s
        await self._connection.call(lambda c: domains.remove_snapshot(c, function_id, name), work)

    async def snapshot(self, function_id: str, name: str) -> None:
        """Keep the guest as it is now. Raises SnapshotExists, TooManySnapshots,
        VolumesAttached."""
        check_new_snapshot(function_id, await self.snapshots(function_id), name)
        check_none_attached(function_id, await self.attached(function_id))
        seen = await self.one_seen(function_id)
        if seen is not None and seen.guest.lun is not None:
            raise GuestOnLun(f"{function_id} has its disk at {seen.guest.lun.url}: no snapshots")
        work = self._around.limits.copy_s
        await self._connection.call(lambda c: domains.snapshot(c, function_id, name), work)

    async def attached(self, function_id: str) -> list[str]:
        """The disks of volumes that the guest has."""
        found = await self._connection.call(disks.attached)
        return sorted(disk for disk, having in found.items() if having == function_id)

    async def revert(self, function_id: str, name: str) -> None:
        """Have the guest as it was then. Raises NoSuchSnapshot."""
        check_snapshot(function_id, await self.snapshots(function_id), name)
        work = self._around.limits.copy_s
        await self._connection.call(lambda c: domains.revert(c, function_id, name), work)

    async def console(self, function_id: str, most: int) -> bytes:
        """The end of what the guest said on its console."""
        name = domain_xml.volume(function_id, "console")
        return await self._connection.call(lambda c: storage.read(c, self.pool_folder, name, most))

    async def put_image(self, image: Image, sent: Sent = lambda _done, _total: None) -> int:
        """Have the image there; how many bytes of it were missing. Raises StorageFull,
        ImageCorrupt."""
        place, images = self.pool_folder, self._around.images
        work = self._around.limits.copy_s
        async with self.copying:  # several guests of one image copy it once
            return await self._connection.call(
                lambda c: storage.put_image(c, place, image, images, sent), work
            )

    async def usage(self) -> HostUsage:
        """What the hypervisor uses of its processors and memory; CPU since the last call."""
        found = await self._connection.call(domains.usage)
        now_s, before = self._around.clock.monotonic_s(), self._cpu
        self._cpu = (now_s, found.cpu_s)
        used = 0.0
        if before is not None and now_s > before[0]:
            used = (found.cpu_s - before[1]) / (now_s - before[0])
        return HostUsage(
            # Several on this machine, as in a testbed, share it, and with processes here.
            host=os.uname().nodename if self.hypervisor.is_here else self.hypervisor.name,
            cores=found.cores,
            memory_mb=found.memory_mb,
            cores_used=used,
            memory_used_mb=found.memory_used_mb,
        )

    async def usage_if_answering(self) -> HostUsage | None:
        """The same; None where it does not answer."""
        try:
            return await self.usage()
        except UmbelError as error:
            log.warning("hypervisor not measured", node=self.hypervisor.name, reason=str(error))
            return None

    async def close(self) -> None:
        """Let go of it. Guests go on."""
        await self._connection.close()

    async def _until_off(self, function_id: str) -> None:
        """Return once the guest is off, or has had its time."""
        for _ in range(round(self._around.limits.health.stop_within_s / _LOOK_EVERY_S)):
            seen = await self.one_seen(function_id)
            if seen is None or seen.power is Power.OFF:
                return
            await asyncio.sleep(_LOOK_EVERY_S)
