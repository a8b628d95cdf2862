"""Slices kept: what was promised is put into meters, marks and queues, again when paths change.

In: requests of the portal; streams and their links as they are. Out: rows (desired), and the
fabric's and the queues' `ensure`. One task looks at all slices when woken and every few seconds; it
also counts. Neighbours: admission.py decides; delivery says which streams a slice is for.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.controller import Controller
from umbel.kit.errors import Conflict, UmbelError, Unprocessable
from umbel.kit.ids import new_id
from umbel.network.model import Pair
from umbel.network.overlay import streams as carriage
from umbel.network.slices import admission
from umbel.network.slices.admission import (
    Granted,
    Offer,
    SliceExists,
    SliceRequest,
    SliceStream,
)
from umbel.network.slices.model import Guarantee, LinkShare, SliceLink, SliceStatus
from umbel.network.slices.ports import Queues, Slicing, StreamsOf, StreamSource
from umbel.network.slices.store import NoSuchSlice, SliceStore
from umbel.network.switching.counters import Watch

log = structlog.get_logger(__name__)

_ALL = "slices"
_PATIENCE_S = 5.0


class SlicesUnsupported(Conflict):
    """The network of this installation cannot hold streams to slices: it has no switches of its
    own."""

    code = "umbel.slices_unsupported"


class NoSharedStream(Unprocessable):
    """The two functions are on no common stream."""

    code = "umbel.no_shared_stream"


@dataclass(frozen=True, kw_only=True)
class Underlay:
    """What holds slices: the fabric, the queues, and each node's device toward a neighbour by
    (node, neighbour)."""

    fabric: Slicing
    queues: Queues
    devices: Mapping[Pair, str]


@dataclass(frozen=True, kw_only=True)
class _Ridden:
    """A stream of a slice and the links that the slice's part of it crosses; None: not known."""

    stream: str
    links: tuple[Pair, ...] | None
    flow: admission.Flow | None


_Rides = Mapping[str, Sequence[_Ridden]]


@dataclass(kw_only=True)
class Slices:
    """The door to slices."""

    store: SliceStore
    streams: StreamSource
    offer: Offer
    clock: Clock
    under: Underlay | None = None
    pace_s: float = 5.0
    _marked: dict[str, carriage.Slice] = field(default_factory=dict)
    _laid: dict[Pair, tuple[admission.QueueClass, ...]] = field(default_factory=dict)
    _turn: int = 0
    _unknown: set[Pair] = field(default_factory=set)
    _meters: Watch[int] = field(default_factory=Watch)
    _classes: Watch[tuple[Pair, int]] = field(default_factory=Watch)
    _tunnels: Watch[Pair] = field(default_factory=Watch)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._controller = Controller(self._look)
        # Queues that an earlier control plane left are taken away unless they are wanted still.
        self._unknown |= set(self.under.devices if self.under else ())

    async def run(self) -> None:
        """Keep the slices until cancelled."""
        if self.under is None:
            return
        self._controller.wake(_ALL)
        try:
            await asyncio.Event().wait()
        finally:
            await self._controller.close()

    def wake(self) -> None:
        """Look at all slices again: some way changed."""
        self._controller.wake(_ALL)

    async def close(self) -> None:
        """Look no more; meters and queues stay as they are."""
        await self._controller.close()

    # -- the portal's -----------------------------------------------------------------------

    async def open(self, request: SliceRequest) -> SliceStatus:
        """A new slice, in force. Raises SlicesUnsupported, NoRoomForSlice, SliceExists,
        NoSharedStream."""
        under = self._must()
        streams_of = await self.streams.now()
        new = Granted(id=new_id("sl"), number=0, request=request, opened_s=self.clock.now_s())
        rides = _rides([new], streams_of, under.fabric)
        if request.functions and not rides[new.id]:
            raise NoSharedStream(functions=list(request.functions))
        route = _links(rides[new.id])
        mine = {ride.stream for ride in rides[new.id]}

        def decide(held: tuple[Granted, ...]) -> tuple[Granted, ...]:
            for other in held:
                if mine & {one.stream for one in streams_of(other.request)}:
                    raise SliceExists(slice=other.id)
            number = admission.admit(self.offer, held, request, route)
            return (*held, replace(new, number=number, links=route))

        await self.store.change(decide, at_s=new.opened_s)
        await self._settled()
        return await self.one(new.id)

    async def all(self) -> tuple[SliceStatus, ...]:
        """Every slice, oldest first. Raises SlicesUnsupported."""
        under = self._must()
        held = await self.store.all()
        rides = _rides(held, await self.streams.now(), under.fabric)
        return tuple(self._status(one, rides[one.id]) for one in held)

    async def one(self, slice_id: str) -> SliceStatus:
        """That slice. Raises NoSuchSlice, SlicesUnsupported."""
        for status in await self.all():
            if status.granted.id == slice_id:
                return status
        raise NoSuchSlice(slice=slice_id)

    async def end(self, slice_id: str) -> None:
        """The slice is no more, nor its meters and queues. Raises NoSuchSlice,
        SlicesUnsupported."""
        self._must()

        def decide(held: tuple[Granted, ...]) -> tuple[Granted, ...]:
            kept = tuple(one for one in held if one.id != slice_id)
            if len(kept) == len(held):
                raise NoSuchSlice(slice=slice_id)
            return kept

        await self.store.change(decide, at_s=self.clock.now_s())
        await self._settled()

    async def shares(self) -> tuple[LinkShare, ...]:
        """Each link's two directions. Raises SlicesUnsupported."""
        self._must()
        held = await self.store.all()
        return tuple(
            self._share(pair, link.mbps, held)
            for link in self.offer.topology.links
            for pair in ((link.a, link.b), (link.b, link.a))
        )

    # -- keeping ----------------------------------------------------------------------------

    async def _settled(self) -> None:
        """Waits until a look that began after now is done; not for ever: it goes on by itself."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._controller.wake(_ALL)
        await asyncio.wait([done], timeout=_PATIENCE_S)

    async def _look(self, _key: str) -> float:
        waiting, self._waiting = self._waiting, []
        try:
            await self._keep(self._must())
        finally:
            for done in waiting:
                if not done.done():
                    done.set_result(None)
        return self.pace_s

    async def _keep(self, under: Underlay) -> None:
        held = await self.store.all()
        rides = _rides(held, await self.streams.now(), under.fabric)
        routes = {
            slice_id: _links(ridden)
            for slice_id, ridden in rides.items()
            if all(ride.links is not None for ride in ridden)
        }
        if admission.settle(self.offer, held, routes) != held:
            held = await self.store.change(
                lambda now: admission.settle(self.offer, now, routes), at_s=self.clock.now_s()
            )
        await self._mark(under, held, rides)
        await self._queue(under, held, rides)
        await self._count(under, held)

    async def _mark(self, under: Underlay, held: Sequence[Granted], rides: _Rides) -> None:
        """A stream that several slices want is the oldest one's."""
        wanted: dict[str, carriage.Slice] = {}
        for one in held:
            for ride in rides.get(one.id, ()):
                wanted.setdefault(ride.stream, admission.metered(one, self.offer))
        for stream in sorted(wanted.keys() | self._marked.keys()):
            kind = wanted.get(stream)
            if self._marked.get(stream) == kind:
                continue
            try:
                await under.fabric.slice(stream, kind)
            except UmbelError as error:
                log.warning("stream not held to its slice", stream=stream, reason=error.message)
                continue
            self._marked.pop(stream, None)
            if kind is not None:
                self._marked[stream] = kind

    async def _queue(self, under: Underlay, held: Sequence[Granted], rides: _Rides) -> None:
        flows = {
            slice_id: [ride.flow for ride in ridden if ride.flow]
            for slice_id, ridden in rides.items()
        }
        plan = admission.plan(self.offer, held, flows)
        for link in sorted({*plan, *self._laid, *self._unknown}):
            device = under.devices.get(link)
            if device is None or (link in plan and self._laid.get(link) == plan[link]):
                continue
            self._laid.pop(link, None)
            self._unknown.add(link)
            try:
                if link in plan:
                    await under.queues.ensure(link[0], device, plan[link])
                    self._laid[link] = plan[link]
                else:
                    await under.queues.remove(link[0], device)
            except UmbelError as error:
                log.warning("link not queued", link="-".join(link), reason=error.message)
                continue
            self._unknown.discard(link)

    async def _count(self, under: Underlay, held: Sequence[Granted]) -> None:
        now_s = self.clock.monotonic_s()
        try:
            found = await under.fabric.counted()
            self._meters.look(found.meters, now_s)
            self._tunnels.look(found.links, now_s)
            self._turn += 1
            for link in admission.looked_at([*self._laid], held, self._turn):
                counts = await under.queues.counts(link[0], under.devices[link])
                if counts.keys() != {one.number for one in self._laid[link]}:
                    del self._laid[link]  # somebody cleared the device: lay it again
                by_class = {(link, number): count for number, count in counts.items()}
                self._classes.look(by_class, self.clock.monotonic_s())
        except UmbelError as error:
            log.warning("slices not counted", reason=error.message)
        self._meters.keep(one.number for one in held)
        self._classes.keep((link, one.number) for link in self._laid for one in self._laid[link])

    # -- showing ----------------------------------------------------------------------------

    def _must(self) -> Underlay:
        if self.under is None:
            raise SlicesUnsupported
        return self.under

    def _status(self, one: Granted, ridden: Sequence[_Ridden]) -> SliceStatus:
        number = admission.class_of(one.number)
        return SliceStatus(
            granted=one,
            terms=self.offer.terms[one.request.grade],
            dscp=admission.DSCP[one.request.grade],
            streams=tuple(ride.stream for ride in ridden),
            offered=self._meters.of(one.number),
            links=tuple(
                SliceLink(
                    source=link[0],
                    target=link[1],
                    state=self._state(one, link),
                    traffic=self._classes.of((link, number)),
                )
                for link in (*one.links, *one.lacking)
            ),
        )

    def _state(self, one: Granted, link: Pair) -> Guarantee:
        if link in one.lacking:
            return Guarantee.NO_ROOM
        number = admission.class_of(one.number)
        laid = {made.number for made in self._laid.get(link, ())}
        return Guarantee.GUARANTEED if number in laid else Guarantee.NO_QUEUE

    def _share(self, link: Pair, mbps: float, held: Sequence[Granted]) -> LinkShare:
        left = admission.left_kbps(self.offer, held, link)
        return LinkShare(
            source=link[0],
            target=link[1],
            mbps=mbps,
            promised_mbps=(self.offer.promisable_kbps(link) - left) / 1000,
            left_mbps=left / 1000,
            tunnel=self._tunnels.of(link),
            rest=self._classes.of((link, admission.DEFAULT)),
        )


def _rides(
    held: Sequence[Granted], streams_of: StreamsOf, fabric: Slicing
) -> dict[str, list[_Ridden]]:
    return {one.id: [_ride(each, fabric) for each in streams_of(one.request)] for one in held}


def _ride(wanted: SliceStream, fabric: Slicing) -> _Ridden:
    """A stream that has a tree but is not carried yet will be: its links are not known. One
    without a tree has none."""
    links, flow = fabric.way(wanted.stream)
    if flow is None:
        return _Ridden(stream=wanted.stream, links=None if wanted.planted else (), flow=None)
    if wanted.nodes is not None:
        a, b = wanted.nodes
        links = admission.between(links, a, b) or admission.between(links, b, a)
    return _Ridden(stream=wanted.stream, links=links, flow=flow)


def _links(ridden: Sequence[_Ridden]) -> tuple[Pair, ...]:
    return tuple(dict.fromkeys(link for ride in ridden for link in ride.links or ()))
