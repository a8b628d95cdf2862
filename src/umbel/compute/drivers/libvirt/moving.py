"""Moves guests from one hypervisor to another while they run.

In: a guest, its target, how. Out: it runs there, or runs on where it was, and nothing of it is left
elsewhere. The domains say what a control plane left that died: the source's says where it is
copied to, the copy's where it came from. Neighbours: copies.py decides, migrating.py copies.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog

from umbel.compute.drivers.libvirt import (
    copies,
    domain_xml,
    domains,
    filters,
    luns,
    migrating,
    storage,
)
from umbel.compute.drivers.libvirt.context import GuestContext
from umbel.compute.drivers.libvirt.copies import Power, SeenGuest
from umbel.compute.drivers.libvirt.guest import GuestRecord
from umbel.compute.drivers.libvirt.link import HypervisorLink
from umbel.compute.hypervisors.model import (
    Hypervisor,
    HypervisorFailed,
    HypervisorUnreachable,
)
from umbel.compute.model import MoveKind, MoveProgress, MoveResult
from umbel.compute.ports import CannotRun
from umbel.kit.errors import NotFound, UmbelError

log = structlog.get_logger(__name__)

Links = Mapping[str, HypervisorLink]

_LOOK_EVERY_S = 0.25
_ABORT_AGAIN_S = 1.0
_NO_LIMIT_S = 7 * 86_400.0
_MOST_SEED_BYTES, _MOST_CONSOLE_BYTES = 64 * 2**20, 2**20
_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class MoveOrder:
    """What is to be moved, where and how. Once `stop` is set the move is undone."""

    function: str
    target: str
    how: MoveKind
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, kw_only=True)
class _Move:
    """A move that can begin."""

    order: MoveOrder
    source: HypervisorLink
    target: HypervisorLink
    guest: GuestRecord
    is_shared: bool


class GuestMoves:
    """Moves guests of one pool; one move of a guest at a time. `links` answers the hypervisors
    there are."""

    def __init__(self, around: GuestContext, links: Callable[[], Awaitable[Links]]) -> None:
        self._around = around
        self._links = links
        self._progress: dict[str, MoveProgress] = {}

    def progress(self, function_id: str) -> MoveProgress | None:
        """How far the guest's copy is."""
        return self._progress.get(function_id)

    async def move(self, order: MoveOrder) -> MoveResult:
        """Move a guest that runs. Raises NotFound, CannotRun, HypervisorUnreachable and
        HypervisorFailed."""
        seen = await self.settle(order.function)
        if seen is None or seen.power is Power.OFF or not seen.guest.is_ready:
            raise NotFound(f"{order.function} does not run", function=order.function)
        if seen.guest.node == order.target:
            return MoveResult(copied_mb=0.0)  # by a control plane that died
        move = await self._begun(order, seen.guest)
        log.info("guest is copied", id=order.function, target=order.target, shared=move.is_shared)
        try:
            image_bytes = 0 if move.is_shared else await self._prepare(move)
            result = await self._copy(move)
            disk_mb = image_bytes / _MIB
            if (last := self._progress.get(order.function)) is not None:
                disk_mb += last.disk_mb
            return replace(result, copied_mb=result.copied_mb + disk_mb, disk_mb=disk_mb)
        finally:
            self._progress.pop(order.function, None)
            await self._settle_now_or_later(order.function)

    async def settle(self, function_id: str, *, owed_only: bool = False) -> SeenGuest | None:
        """End any copy of the guest and leave nothing of one; the guest that counts, which runs.
        `owed_only`: touch no guest that is being moved. Raises HypervisorUnreachable where it may
        run at a hypervisor that does not answer, and HypervisorFailed."""
        links = await self._links()
        found, silent = await _copies(links, function_id)
        at = copies.counting(found)
        if owed_only and any(one.guest.moving_to for one in found.values()):
            return None
        if at and found[at].guest.moving_to:
            await self._end_copy(links[at], found[at].guest)
            found, silent = await _copies(links, function_id)
        decided = copies.settle(found, silent)
        if decided is None:
            nodes = ", ".join(sorted(silent))
            message = f"{function_id} may run at a node that does not answer: {nodes}"
            raise HypervisorUnreachable(message, function=function_id)
        owing = [*decided.owing]
        for node in decided.elsewhere:
            try:
                await _clear(links, decided.at, node, function_id, found)
            except UmbelError as error:
                if decided.resumes:
                    raise
                log.warning("copy not removed", id=function_id, node=node, reason=error.message)
                owing.append(node)
        if not decided.at:
            return None
        return await _counted(links[decided.at], found[decided.at], decided.resumes, owing)

    async def _settle_now_or_later(self, function_id: str) -> None:
        try:
            await self.settle(function_id)
        except UmbelError as error:
            log.warning("move not settled yet", id=function_id, reason=error.message)

    async def _begun(self, order: MoveOrder, guest: GuestRecord) -> _Move:
        """Note in the source's domain where the guest goes, if it can go there."""
        links = await self._links()
        if order.target not in links:
            message = f"{order.target} is no hypervisor of this pool"
            raise CannotRun(message, node=order.target)
        source, target = links[guest.node], links[order.target]
        _check(source.hypervisor, target.hypervisor)
        is_shared = await _shares(source, target)
        await _check_storage(order, source, target, guest, is_shared=is_shared)
        to, left_at = order.target, guest.left_at
        await _carry_filter(source, target, order.function)
        kept = await source.call(lambda c: domains.keep_move(c, order.function, to, left_at))
        if kept is None:
            raise NotFound(f"{order.function} does not run", function=order.function)
        return _Move(order=order, source=source, target=target, guest=kept, is_shared=is_shared)

    async def _prepare(self, move: _Move) -> int:
        """Have at the target what the copy's disk is based on, and its seed; how many bytes of the
        image were not there."""
        guest, source, target = move.guest, move.source, move.target
        names = {kind: domain_xml.volume(guest.id, kind) for kind in ("seed", "console")}
        at, to = source.pool_folder, target.pool_folder
        complete = f"{guest.image}.{domain_xml.COMPLETE}"
        sent = 0
        if not await target.call(lambda c: storage.has(c, to, complete)):
            sent = await target.put_image(self._around.images.get(guest.image))
        _check_goes_on(move.order)
        seed = await source.call(lambda c: storage.read(c, at, names["seed"], _MOST_SEED_BYTES))
        await target.call(lambda c: storage.put_guest(c, to, guest, io.BytesIO(seed)))
        said = await source.call(
            lambda c: storage.read(c, at, names["console"], _MOST_CONSOLE_BYTES)
        )
        await target.call(lambda c: storage.put(c, to, names["console"], io.BytesIO(said)))
        return sent

    async def _copy(self, move: _Move) -> MoveResult:
        """Copy the guest over connections of its own: when they end, so does the copy."""
        _check_goes_on(move.order)
        both = (move.source.hypervisor, move.target.hypervisor)
        transfer = migrating.Transfer(
            guest=move.guest,
            target=move.target.hypervisor,
            is_shared=move.is_shared or move.guest.lun is not None,
            is_plain=all(one.copies.is_plain for one in both),
            is_live=self._around.limits.copies_live(both[0].accelerator),
        )
        async with move.source.another() as source, move.target.another() as target:
            there = await target.opened()
            work = asyncio.create_task(
                source.call(lambda c: migrating.copy(c, there, transfer), _NO_LIMIT_S)
            )
            reason = await self._watched(work, move)
            if reason and not await self._aborted(work, move):
                raise HypervisorFailed(reason, function=move.order.function)
            try:
                return await work
            except UmbelError as error:
                if not reason:
                    raise
                raise HypervisorFailed(reason, function=move.order.function) from error

    async def _watched(self, work: "asyncio.Task[MoveResult]", move: _Move) -> str:
        """Return when the copy is over, empty, or with the reason to end it."""
        clock, limits = self._around.clock, self._around.limits
        advanced_s, last = clock.monotonic_s(), 0.0
        most_s = max(limits.call_s, limits.stalled_s)  # until the target's QEMU has started
        stopping = asyncio.create_task(move.order.stop.wait())
        try:
            while True:
                await asyncio.wait(
                    {work, stopping},
                    timeout=_LOOK_EVERY_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if work.done():
                    return ""
                if stopping.done():
                    return _stopped(move.order)
                seen = await self._seen_progress(move)
                if seen is not None and seen.copied_mb != last:
                    advanced_s, last = clock.monotonic_s(), seen.copied_mb
                    most_s = limits.stalled_s
                if clock.monotonic_s() - advanced_s > most_s:
                    return f"nothing of {move.order.function} was copied for {most_s:g} s"
        finally:
            stopping.cancel()

    async def _seen_progress(self, move: _Move) -> MoveProgress | None:
        seen = None
        with suppress(UmbelError):  # it is over just now
            seen = await move.source.call(lambda c: migrating.look(c, move.guest))
        if seen is not None:
            self._progress[move.order.function] = seen
        return seen

    async def _aborted(self, work: "asyncio.Task[MoveResult]", move: _Move) -> bool:
        """Have the copy end, for as long as a connection may need to be given up. Whether it
        did."""
        for _ in range(round(self._around.limits.call_s / _ABORT_AGAIN_S)):
            await self._end_copy(move.source, move.guest)
            await asyncio.wait({work}, timeout=_ABORT_AGAIN_S)
            if work.done():
                return True
        work.cancel()
        return False

    async def _end_copy(self, source: HypervisorLink, guest: GuestRecord) -> None:
        with suppress(UmbelError):  # there is none, or it has not begun
            await source.call(lambda c: migrating.abort(c, guest))


async def _copies(links: Links, function_id: str) -> tuple[dict[str, SeenGuest], set[str]]:
    """The guest's copies by node, and the nodes that do not answer."""

    async def look(link: HypervisorLink) -> SeenGuest | UmbelError | None:
        try:
            return await link.one_seen(function_id)
        except UmbelError as error:
            return error

    answers = dict(zip(links, await asyncio.gather(*map(look, links.values())), strict=True))
    found = {node: one for node, one in answers.items() if isinstance(one, SeenGuest)}
    return found, {node for node, one in answers.items() if isinstance(one, UmbelError)}


async def _clear(
    links: Links, at: str, node: str, function_id: str, found: Mapping[str, SeenGuest]
) -> None:
    """Leave nothing of the guest at the node; where it runs with the same storage, no domain."""
    if node not in links:  # the hypervisor was removed with all that was there
        return
    is_shared = bool(at) and await _shares(links[at], links[node])
    came_from: Collection[str] = found[node].guest.left_at if node in found and not at else ()
    await links[node].remove(function_id, keep_files=is_shared or bool(came_from))
    log.info("copy removed", id=function_id, node=node)


async def _counted(
    link: HypervisorLink, seen: SeenGuest, resumes: bool, owing: Collection[str]
) -> SeenGuest:
    guest = seen.guest
    if resumes:
        await link.resume(guest.id)
        log.warning("guest resumed", id=guest.id, node=link.hypervisor.name)
    left = tuple(sorted(owing))
    kept = await link.call(lambda c: domains.keep_move(c, guest.id, "", left))
    power = Power.ON if resumes else seen.power
    return replace(seen, guest=kept or guest, power=power)


async def _shares(one: HypervisorLink, other: HypervisorLink) -> bool:
    """Whether the storage pools of both are one folder: each has the file that says whose it is,
    with the time at which it was made."""
    here = await one.call(lambda c: storage.made_at(c, one.pool_folder))
    return here == await other.call(lambda c: storage.made_at(c, other.pool_folder))


async def _carry_filter(source: HypervisorLink, target: HypervisorLink, function_id: str) -> None:
    """Have the guest's filter at the target before the guest. Raises CannotRun where that filters
    nothing."""
    xml = await source.call(lambda c: filters.of(c, function_id))
    if xml and target.hypervisor.network.is_open_vswitch:
        message = f"{function_id} has firewall rules, and {target.hypervisor.name} keeps none"
        raise CannotRun(message, node=target.hypervisor.name)
    if xml:
        await target.call(lambda c: filters.define(c, xml))


async def _check_storage(
    order: MoveOrder,
    source: HypervisorLink,
    target: HypervisorLink,
    guest: GuestRecord,
    *,
    is_shared: bool,
) -> None:
    """Raise CannotRun or HypervisorFailed where the target has not all of the guest's disks, and
    they are not copied."""
    if order.how is MoveKind.SHARED_STORAGE and not is_shared and guest.lun is None:
        message = f"{order.target} and {guest.node} have no storage in common: transfer the disk"
        raise CannotRun(message, function=order.function)
    if not is_shared:
        await _check_no_volumes(source, guest)
    if guest.lun is None and not is_shared:
        await _check_no_disk(target, guest)
    if guest.lun is not None and not luns.reaches(target.hypervisor, guest.lun):
        message = (
            f"{guest.id} has its disk at {guest.lun.url}, and {order.target} names no such target"
        )
        raise CannotRun(message, function=guest.id)


async def _check_no_volumes(source: HypervisorLink, guest: GuestRecord) -> None:
    """Raise CannotRun where the guest has volumes, which stay where they are."""
    if await source.attached(guest.id):
        message = f"{guest.id} has volumes at {guest.node}, which are not copied: detach them first"
        raise CannotRun(message, function=guest.id)


async def _check_no_disk(target: HypervisorLink, guest: GuestRecord) -> None:
    """Raise HypervisorFailed where the target has the guest's disk. Nothing was left there, so it
    may be the one that the guest runs from."""
    name = domain_xml.volume(guest.id, "disk")
    if await target.call(lambda c: storage.has(c, target.pool_folder, name)):
        message = f"{target.hypervisor.name} has {name} already: remove it if it is a copy"
        raise HypervisorFailed(message, function=guest.id)


def _check(source: Hypervisor, target: Hypervisor) -> None:
    """Raise CannotRun with all that keeps guests from being moved between them."""
    problems = []
    if source.accelerator is not target.accelerator:
        problems.append(
            f"{source.name} runs guests with {source.accelerator.name}, {target.name} with "
            f"{target.accelerator.name}"
        )
    ours, theirs = source.network, target.network
    is_led = ours.is_overlay and theirs.is_overlay  # there, switches lead to it
    if not is_led and (ours.subnet, ours.gateway) != (theirs.subnet, theirs.gateway):
        problems.append(
            f"a guest keeps its address, and guests of {source.name} are in {ours.subnet}, those "
            f"of {target.name} in {theirs.subnet}"
        )
    if problems:
        raise CannotRun("; ".join(problems), node=target.name)


def _check_goes_on(order: MoveOrder) -> None:
    if order.stop.is_set():
        raise HypervisorFailed(_stopped(order), function=order.function)


def _stopped(order: MoveOrder) -> str:
    return f"the move of {order.function} was stopped"
