"""The VIM of hypervisors: each function is a guest, with an address of its own.

In: start and stop from above, the hypervisors' rows, libvirt's events. Out: instances and
`on_change` calls. All that must be known of a guest is in its domain, so a control plane that
starts later continues where a dead one left. A hypervisor that does not answer is lost by itself.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import structlog

from umbel.compute.attending import Attendant, Guarded
from umbel.compute.drivers.libvirt import copies, luns, seed, seed_disk
from umbel.compute.drivers.libvirt import guest as guests
from umbel.compute.drivers.libvirt.context import GuestContext
from umbel.compute.drivers.libvirt.copies import Power, SeenGuest
from umbel.compute.drivers.libvirt.cpu import CpuMeter
from umbel.compute.drivers.libvirt.firewall import GuestFirewall
from umbel.compute.drivers.libvirt.guest import GuestRecord, Order
from umbel.compute.drivers.libvirt.joint import JointWork
from umbel.compute.drivers.libvirt.stored_images import HypervisorImages
from umbel.compute.drivers.libvirt.volumes import HypervisorDisks
from umbel.compute.guest_start import SEED, command, environment, image_of
from umbel.compute.hypervisors.model import GuestMoving, Hypervisor, NoSuchGuest
from umbel.compute.images.model import Image
from umbel.compute.links import Links
from umbel.compute.model import (
    Function,
    FunctionState,
    HostUsage,
    Instance,
    MoveKind,
    MoveProgress,
    MoveResult,
    Node,
    Snapshot,
)
from umbel.compute.ports import CannotRun, FunctionTaken
from umbel.kit.errors import UmbelError, Unavailable

if TYPE_CHECKING:
    from umbel.compute.drivers.libvirt.link import HypervisorLink
    from umbel.compute.drivers.libvirt.moving import GuestMoves, MoveOrder

log = structlog.get_logger(__name__)

MOST_CONSOLE_BYTES = 64 * 1024


class Hypervisors(Protocol):
    """The hypervisors there are, of all pools; hypervisors/store.py has them in rows."""

    async def all(self) -> Mapping[str, Hypervisor]:
        """By their nodes' names."""


class LibvirtVim:
    """Runs functions of one pool's nodes. `lost_nodes` did not answer when last asked. All calls on
    one event loop."""

    def __init__(self, pool: str, hypervisors: Hypervisors, around: GuestContext) -> None:
        self.lost_nodes: frozenset[str] = frozenset()
        self._pool = pool
        self._around = around
        self._links = Links(pool, hypervisors.all, self._link)
        self._seen: dict[str, dict[str, SeenGuest]] = {}
        self._looks = itertools.count(1)
        self._newest: defaultdict[str, int] = defaultdict(int)
        """The number of the look that `_seen` is of, by hypervisor."""
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._given: dict[str, GuestRecord] = {}
        """The guests that are being started, by function: nobody has seen them yet."""
        self._attendants: dict[str, Attendant] = {}
        self._moves: dict[str, JointWork[MoveResult]] = {}
        self._sweeps: dict[str, asyncio.Task[None]] = {}
        self._mover: GuestMoves | None = None
        self._watchers: list[Callable[[str], None]] = []
        self.firewall = GuestFirewall(self._resting)
        self.images = HypervisorImages(self._follow)
        self.disks = HypervisorDisks(self._follow, self._resting, around.limits)
        self._meter = CpuMeter(around.limits.health.sample_every_s)

    async def start(self, owner: str, function: Function, node: Node) -> None:
        image_of(function)
        order = Order(owner=owner, function=function, node=node, now_s=self._around.clock.now_s())
        async with self._turns[function.id]:
            link = (await self._follow()).get(node.name)
            if link is None and node.name in self._links.failed:
                raise self._links.failed[node.name]
            if link is None:
                message = f"{node.name} is no hypervisor of the pool {self._pool}"
                raise CannotRun(message, node=node.name)
            await self._look_at(link)
            last = self._having(function.id)
            if last is not None and last[1].guest.owner != owner:
                raise FunctionTaken(function=function.id, owner=last[1].guest.owner)
            if last is None or _state(last[1]) is FunctionState.FAILED:
                await self._start(link, order, last[1].guest if last is not None else None)

    async def stop(self, function_id: str) -> None:
        if (move := self._moves.get(function_id)) is not None:
            await move.end()
        async with self._turns[function_id]:
            links = await self._follow()
            had = self._having(function_id)
            if had is not None and (had[1].guest.moving_to or had[1].guest.left_at):
                try:
                    await self._guest_moves().settle(function_id)
                except UmbelError:
                    if had[1].power is Power.HANDED_OVER:  # it may run elsewhere
                        raise
                await asyncio.gather(*map(self._looked_at, links.values()))
                had = self._having(function_id)
            names = [had[0]] if had is not None else list(links)
            stops = (self._stop_at(links[name], function_id) for name in names)
            done = await asyncio.gather(*stops, return_exceptions=True)
            if failures := [one for one in done if one is not None]:
                raise failures[0]

    async def running(self) -> dict[str, Instance]:
        links = await self._follow()
        answered = await asyncio.gather(*map(self._looked_at, links.values()))
        lost = {name for name, is_there in zip(links, answered, strict=True) if not is_there}
        self.lost_nodes = frozenset(lost | self._links.failed.keys())
        found = {id_ for seen in self._seen.values() for id_ in seen}
        counting = {id_: had[1] for id_ in sorted(found) if (had := self._having(id_)) is not None}
        for id_, seen in counting.items():
            self._sweep(id_, seen.guest)
        return {id_: self._instance(seen) for id_, seen in counting.items()}

    async def hosts(self, nodes: Sequence[Node]) -> dict[str, HostUsage]:
        links = await self._follow()
        known = [n.name for n in nodes if n.name in links and n.name not in self.lost_nodes]
        answers = await asyncio.gather(*(links[name].usage_if_answering() for name in known))
        return {name: usage for name, usage in zip(known, answers, strict=True) if usage}

    def watch(self, on_change: Callable[[str], None]) -> None:
        self._watchers.append(on_change)

    async def close(self) -> None:
        self._watchers.clear()
        await asyncio.gather(*(move.end() for move in list(self._moves.values())))
        await asyncio.gather(*self._sweeps.values())
        attendants, self._attendants = self._attendants, {}
        await asyncio.gather(*(one.close() for one in attendants.values()))
        await self._links.close()

    # -- moves ------------------------------------------------------------------------------

    async def move(self, function: Function, node: Node, how: MoveKind) -> MoveResult:
        move = self._moves.get(function.id)
        if move is None:
            move = self._begin(function.id, node.name, how)
        result = await move.result()
        had = self._having(function.id)
        if had is None or had[0] != node.name:
            message = f"{function.id} was moved elsewhere"
            raise Unavailable(message, function=function.id)
        return result

    async def settle(self, function_id: str) -> None:
        if (move := self._moves.get(function_id)) is not None:
            await move.end()
        async with self._turns[function_id]:
            await self._guest_moves().settle(function_id)

    def progress(self, function_id: str) -> MoveProgress | None:
        return self._guest_moves().progress(function_id) if self._moves else None

    def is_live(self, node: str) -> bool:
        link = self._links.now.get(node)
        return link is None or self._around.limits.copies_live(link.hypervisor.accelerator)

    # -- what only guests can do ------------------------------------------------------------

    async def suspend(self, function_id: str) -> None:
        await (await self._resting(function_id)).suspend(function_id)

    async def resume(self, function_id: str) -> None:
        await (await self._resting(function_id)).resume(function_id)

    async def snapshots(self, function_id: str) -> list[Snapshot]:
        return await (await self._link_of(function_id)).snapshots(function_id)

    async def snapshot(self, function_id: str, name: str) -> None:
        await (await self._resting(function_id)).snapshot(function_id, name)

    async def revert(self, function_id: str, name: str) -> None:
        await (await self._resting(function_id)).revert(function_id, name)

    async def remove_snapshot(self, function_id: str, name: str) -> None:
        await (await self._resting(function_id)).remove_snapshot(function_id, name)

    async def console(self, function_id: str) -> str:
        said = await (await self._link_of(function_id)).console(function_id, MOST_CONSOLE_BYTES)
        return said.decode(errors="replace")

    # -- inside -----------------------------------------------------------------------------

    async def _resting(self, function_id: str) -> "HypervisorLink":
        """Where the guest is. Raises GuestMoving: one that stopped for a move must not be resumed,
        because it may run elsewhere."""
        link, had = await self._link_of(function_id), self._having(function_id)
        if had is None or function_id in self._moves or had[1].guest.moving_to:
            raise GuestMoving(f"{function_id} is being moved", function=function_id)
        return link

    async def _follow(self) -> Mapping[str, "HypervisorLink"]:
        """The links to exactly the hypervisors there are, as they are now."""
        links = await self._links.follow()
        self._seen = {name: self._seen.get(name, {}) for name in links}
        return links

    def _link(self, hypervisor: Hypervisor) -> "HypervisorLink":
        # The library is there only where hypervisors are used, and loads slowly.
        try:
            from umbel.compute.drivers.libvirt.link import HypervisorLink  # noqa: PLC0415
        except ImportError as error:
            message = f"{hypervisor.name} needs libvirt-python: install umbel[libvirt] ({error})"
            raise CannotRun(message, node=hypervisor.name) from error

        def on_change(domain: str) -> None:
            for attendant in self._attendants.values():
                if guests.domain_name(attendant.function_id) == domain:
                    attendant.wake()

        return HypervisorLink(hypervisor, self._around, on_change)

    def _begin(self, function_id: str, target: str, how: MoveKind) -> JointWork[MoveResult]:
        from umbel.compute.drivers.libvirt.moving import MoveOrder  # noqa: PLC0415 -- as below

        order = MoveOrder(function=function_id, target=target, how=how)
        move = JointWork(self._moved(order), order.stop, f"move {function_id}")
        self._moves[function_id] = move
        return move

    async def _moved(self, order: "MoveOrder") -> MoveResult:
        """A move, during which nobody probes the guest."""
        try:
            async with self._turns[order.function]:
                await self._unattend(order.function)
                result = await self._guest_moves().move(order)
        finally:
            del self._moves[order.function]
            await self.running()  # it is attended where it is now
        self._notify(order.function)
        return result

    def _sweep(self, function_id: str, guest: GuestRecord) -> None:
        """Have what an earlier move left removed where its hypervisor answers again."""
        reached = self._links.now.keys() - self.lost_nodes
        is_due = bool(reached & set(guest.left_at))
        if is_due and not guest.moving_to and function_id not in self._sweeps:
            task = asyncio.create_task(self._swept(function_id), name=f"sweep {function_id}")
            self._sweeps[function_id] = task
            task.add_done_callback(lambda _: self._sweeps.pop(function_id))

    async def _swept(self, function_id: str) -> None:
        with suppress(UmbelError):  # the next look tries again
            async with self._turns[function_id]:
                await self._guest_moves().settle(function_id, owed_only=True)

    def _guest_moves(self) -> "GuestMoves":
        from umbel.compute.drivers.libvirt.moving import GuestMoves  # noqa: PLC0415 -- as below

        if self._mover is None:
            self._mover = GuestMoves(self._around, self._follow)
        return self._mover

    async def _link_of(self, function_id: str) -> "HypervisorLink":
        links = await self._follow()
        await asyncio.gather(*map(self._looked_at, links.values()))
        had = self._having(function_id)
        if had is None:
            raise NoSuchGuest(f"No guest runs {function_id}", function=function_id)
        return links[had[0]]

    def _having(self, function_id: str) -> tuple[str, SeenGuest] | None:
        """The node that has the function's guest, and the guest, as last seen."""
        found = {
            name: seen[function_id] for name, seen in self._seen.items() if function_id in seen
        }
        at = copies.counting(found)
        return (at, found[at]) if at else None

    async def _looked_at(self, link: "HypervisorLink") -> bool:
        """Whether the hypervisor answered."""
        try:
            await self._look_at(link)
        except UmbelError as error:
            log.warning("hypervisor does not answer", node=link.hypervisor.name, reason=str(error))
            return False
        return True

    async def _look_at(self, link: "HypervisorLink") -> None:
        name, now_s = link.hypervisor.name, self._around.clock.monotonic_s()
        number = next(self._looks)
        found = await link.seen()
        if number < self._newest[name]:
            return  # it was asked before what is known now
        self._newest[name], self._seen[name] = number, found
        for id_, seen in found.items():
            self._meter.note(id_, now_s, seen.cpu_s)
            is_here = (had := self._having(id_)) is not None and had[0] == name
            is_free = is_here and not self._turns[id_].locked()
            if is_free and _state(seen) is not FunctionState.FAILED:
                self._attend(link, seen.guest)

    async def _start(self, link: "HypervisorLink", order: Order, last: GuestRecord | None) -> None:
        image = self._around.images.get(image_of(order.function))
        for other in self._links.now.values():  # what they have now must not be given twice
            if luns.are_together(link.hypervisor, other.hypervisor):
                await self._look_at(other)
        others = [seen.guest for those in self._seen.values() for seen in those.values()]
        others += self._given.values()
        taken = {one.address for one in others}
        guest = guests.made(order, image, link.hypervisor, last, taken)
        size = self._around.images.part(image, "disk").stat().st_size
        guest = luns.give(guest, link.hypervisor, size, others)
        contents = self._seed(guest, order.function, image, link.hypervisor)
        filtered = await self.firewall.at_start(guest, link.hypervisor)
        self._given[guest.id] = guest
        try:
            await self._unattend(guest.id)
            disk = await asyncio.to_thread(seed_disk.disk_image, contents)
            await link.start(guest, image, disk, filtered)
            await self._look_at(link)
        finally:
            del self._given[guest.id]
        self._attend(link, guest)

    def _seed(
        self, guest: GuestRecord, function: Function, image: Image, hypervisor: Hypervisor
    ) -> dict[str, str]:
        ours = {f"file-{number}": path for number, path in enumerate(self._around.files)}
        names = {str(path): f"{SEED}/{name}" for name, path in ours.items()}
        contents = seed.seed_files(
            guest,
            hypervisor.network,
            command(guest, function, image, names),
            environment(guest, function),
            self._around.ssh_keys,
        )
        return contents | {name: path.read_text() for name, path in ours.items()}

    async def _stop_at(self, link: "HypervisorLink", function_id: str) -> None:
        await self._unattend(function_id)
        await link.stop(function_id)
        self._newest[link.hypervisor.name] = next(self._looks)
        self._seen.get(link.hypervisor.name, {}).pop(function_id, None)
        self._meter.forget(function_id)

    def _attend(self, link: "HypervisorLink", guest: GuestRecord) -> None:
        attendant = self._attendants.get(guest.id)
        if attendant is None or attendant.is_done:
            guarded = Guarded(link=link, limits=self._around.limits, clock=self._around.clock)
            self._attendants[guest.id] = Attendant(guarded, guest, self._notify)

    async def _unattend(self, function_id: str) -> None:
        attendant = self._attendants.pop(function_id, None)
        if attendant is not None:
            await attendant.close()

    def _instance(self, seen: SeenGuest) -> Instance:
        guest, state = seen.guest, _state(seen)
        is_failed = state is FunctionState.FAILED
        return Instance(
            id=guest.id,
            owner=guest.owner,
            description=guest.description,
            node=guest.node,
            state=state,
            address=guest.address,
            ports=guest.ports if state is FunctionState.ACTIVE else {},
            started_s=guest.started_s,
            cpu_cores=0.0 if is_failed else self._meter.cores(guest.id),
            rss_mb=0.0 if is_failed else seen.rss_mb,
            reason=seen.reason,
            is_suspended=seen.power is Power.SUSPENDED,
        )

    def _notify(self, function_id: str) -> None:
        for on_change in list(self._watchers):
            on_change(function_id)


def _state(seen: SeenGuest) -> FunctionState:
    if seen.power is Power.OFF:
        return FunctionState.FAILED
    return FunctionState.ACTIVE if seen.guest.is_ready else FunctionState.BOOTING
