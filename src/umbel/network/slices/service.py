"""Slices enforced: promises become meters, marks and queues, and follow paths that change.

In: requests of the portal; streams and their links as they are. Out: rows (desired), and the
fabric's and the queues' `ensure`. One task reconciles all slices when woken and every few seconds,
and counts. Neighbours: admission.py decides; delivery says which streams a slice is for.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from umbel.kit.clock import Clock
from umbel.kit.controller import Controller, Pace
from umbel.kit.errors import Conflict, UmbelError, Unprocessable
from umbel.kit.ids import new_id
from umbel.network.model import Pair
from umbel.network.overlay import streams as routed
from umbel.network.slices import admission
from umbel.network.slices.admission import (
    Granted,
    Offer,
    SliceExists,
    SliceRequest,
    SliceStream,
    Terms,
)
from umbel.network.slices.model import Guarantee, LinkShare, SliceLink, SliceStatus
from umbel.network.slices.ports import Queues, SlicingFabric, StreamsOf, StreamSource
from umbel.network.slices.store import NoSuchSlice, SliceStore
from umbel.network.switching.counters import RateMeter
from umbel.network.topology.sites import Site

log = structlog.get_logger(__name__)

_ALL = "slices"
_MOST_WAIT_S = 5.0


class SlicesUnsupported(Conflict):
    """The network of this installation cannot hold streams to slices: it has no switches of its
    own."""

    code = "umbel.slices_unsupported"


class NoSharedStream(Unprocessable):
    """No stream passes through both functions."""

    code = "umbel.no_shared_stream"


@dataclass(frozen=True, kw_only=True)
class Underlay:
    """What holds slices: the fabric, the queues, and the sites, which name their devices."""

    fabric: SlicingFabric
    queues: Queues
    sites: Mapping[str, Site]

    @property
    def devices(self) -> dict[Pair, str]:
        """Each node's device toward a neighbour now, by (node, neighbour)."""
        return {
            (node, near): device
            for node, site in self.sites.items()
            for near, device in site.queues.items()
        }


@dataclass(frozen=True, kw_only=True)
class _StreamRoute:
    """A stream of a slice and the links that the slice's part of it crosses; None: not known."""

    stream: str
    links: tuple[Pair, ...] | None
    flow: admission.StreamDestination | None


_StreamRoutes = Mapping[str, Sequence[_StreamRoute]]


@dataclass(kw_only=True)
class Slices:
    """Opens, lists and ends slices, and enforces them."""

    store: SliceStore
    streams: StreamSource
    offers: Callable[[], Offer]
    clock: Clock
    underlay: Underlay | None = None
    interval_s: float = 5.0
    _marked: dict[str, routed.Slice] = field(default_factory=dict)
    _installed: dict[Pair, tuple[admission.QueueClass, ...]] = field(default_factory=dict)
    _turn: int = 0
    _devices: Mapping[Pair, str] = field(default_factory=dict)
    _unknown: set[Pair] = field(default_factory=set)
    _meters: RateMeter[int] = field(default_factory=RateMeter)
    _classes: RateMeter[tuple[Pair, int]] = field(default_factory=RateMeter)
    _tunnels: RateMeter[Pair] = field(default_factory=RateMeter)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._controller = Controller(self._reconcile)

    def pace(self) -> Pace:
        """Whether runs happen when they are due."""
        return self._controller.pace()

    async def run(self) -> None:
        """Enforce the slices until cancelled."""
        if self.underlay is None:
            return
        await self._controller.run(_ALL)

    def wake(self) -> None:
        """Reconcile all slices: some path changed."""
        self._controller.wake(_ALL)

    async def close(self) -> None:
        """Stop; meters and queues stay as they are."""
        await self._controller.close()

    # -- the portal's -----------------------------------------------------------------------

    async def open(self, request: SliceRequest) -> SliceStatus:
        """A new slice, in force. Raises SlicesUnsupported, NoRoomForSlice, SliceExists,
        NoSharedStream."""
        underlay = self._require_fabric()
        streams_of = await self.streams.now()
        new = Granted(id=new_id("sl"), number=0, request=request, opened_s=self.clock.now_s())
        routes = _stream_routes([new], streams_of, underlay.fabric)
        if request.functions and not routes[new.id]:
            raise NoSharedStream(functions=list(request.functions))
        route = _links(routes[new.id])
        mine = {route.stream for route in routes[new.id]}
        offer = self.offers()

        def decide(held: tuple[Granted, ...]) -> tuple[Granted, ...]:
            for other in held:
                if mine & {one.stream for one in streams_of(other.request)}:
                    raise SliceExists(slice=other.id)
            number = admission.admit(offer, held, request, route)
            return (*held, replace(new, number=number, links=route))

        await self.store.change(decide, at_s=new.opened_s)
        await self._reconciled()
        return await self.one(new.id)

    async def all(self) -> tuple[SliceStatus, ...]:
        """Every slice, oldest first. Raises SlicesUnsupported."""
        underlay = self._require_fabric()
        held = await self.store.all()
        routes = _stream_routes(held, await self.streams.now(), underlay.fabric)
        terms = self.offers().terms
        return tuple(self._status(one, terms[one.request.grade], routes[one.id]) for one in held)

    async def one(self, slice_id: str) -> SliceStatus:
        """That slice. Raises NoSuchSlice, SlicesUnsupported."""
        for status in await self.all():
            if status.granted.id == slice_id:
                return status
        raise NoSuchSlice(slice=slice_id)

    async def end(self, slice_id: str) -> None:
        """The slice is no longer, nor its meters and queues. Raises NoSuchSlice,
        SlicesUnsupported."""
        self._require_fabric()

        def decide(held: tuple[Granted, ...]) -> tuple[Granted, ...]:
            kept = tuple(one for one in held if one.id != slice_id)
            if len(kept) == len(held):
                raise NoSuchSlice(slice=slice_id)
            return kept

        await self.store.change(decide, at_s=self.clock.now_s())
        await self._reconciled()

    async def shares(self) -> tuple[LinkShare, ...]:
        """Each link's two directions. Raises SlicesUnsupported."""
        self._require_fabric()
        held, offer = await self.store.all(), self.offers()
        return tuple(
            self._share(pair, link.mbps, held, offer)
            for link in offer.topology.links
            for pair in ((link.a, link.b), (link.b, link.a))
        )

    # -- keeping ----------------------------------------------------------------------------

    async def _reconciled(self) -> None:
        """Wait for a reconciliation that begins after this, at most `_MOST_WAIT_S`."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._controller.wake(_ALL)
        await asyncio.wait([done], timeout=_MOST_WAIT_S)

    async def _reconcile(self, _key: str) -> float:
        waiting, self._waiting = self._waiting, []
        try:
            await self._apply(self._require_fabric())
        finally:
            for done in waiting:
                if not done.done():
                    done.set_result(None)
        return self.interval_s

    async def _apply(self, underlay: Underlay) -> None:
        held = await self.store.all()
        routes = _stream_routes(held, await self.streams.now(), underlay.fabric)
        links = {
            slice_id: _links(some)
            for slice_id, some in routes.items()
            if all(route.links is not None for route in some)
        }
        offer = self.offers()
        if admission.reassign(offer, held, links) != held:
            held = await self.store.change(
                lambda now: admission.reassign(offer, now, links), at_s=self.clock.now_s()
            )
        await self._mark(underlay, held, offer, routes)
        await self._queue(underlay, held, offer, routes)
        await self._count(underlay, held)

    async def _mark(
        self, underlay: Underlay, held: Sequence[Granted], offer: Offer, routes: _StreamRoutes
    ) -> None:
        """A stream that several slices want is the oldest one's."""
        wanted: dict[str, routed.Slice] = {}
        for one in held:
            for route in routes.get(one.id, ()):
                wanted.setdefault(route.stream, admission.metered(one, offer))
        for stream in sorted(wanted.keys() | self._marked.keys()):
            kind = wanted.get(stream)
            if self._marked.get(stream) == kind:
                continue
            try:
                await underlay.fabric.set_slice(stream, kind)
            except UmbelError as error:
                log.warning("stream not held to its slice", stream=stream, reason=error.message)
                continue
            self._marked.pop(stream, None)
            if kind is not None:
                self._marked[stream] = kind

    async def _queue(
        self, underlay: Underlay, held: Sequence[Granted], offer: Offer, routes: _StreamRoutes
    ) -> None:
        flows = {
            slice_id: [route.flow for route in some if route.flow]
            for slice_id, some in routes.items()
        }
        plan = admission.plan(offer, held, flows)
        self._follow(underlay.devices)
        for link in sorted({*plan, *self._installed, *self._unknown}):
            device = self._devices.get(link)
            if device is None or (link in plan and self._installed.get(link) == plan[link]):
                continue
            self._installed.pop(link, None)
            self._unknown.add(link)
            try:
                if link in plan:
                    await underlay.queues.ensure(link[0], device, plan[link])
                    self._installed[link] = plan[link]
                else:
                    await underlay.queues.remove(link[0], device)
            except UmbelError as error:
                log.warning("link not queued", link="-".join(link), reason=error.message)
                continue
            self._unknown.discard(link)

    def _follow(self, devices: Mapping[Pair, str]) -> None:
        """Know these devices, and no others. Queues that an earlier control plane left at a new
        one are removed unless they are still wanted."""
        self._unknown |= {link for link in devices if link not in self._devices}
        self._unknown &= devices.keys()
        for link in self._installed.keys() - devices.keys():
            del self._installed[link]
        self._devices = devices

    async def _count(self, underlay: Underlay, held: Sequence[Granted]) -> None:
        now_s = self.clock.monotonic_s()
        try:
            found = await underlay.fabric.counters()
            self._meters.update(found.meters, now_s)
            self._tunnels.update(found.links, now_s)
            self._turn += 1
            for link in admission.links_to_read([*self._installed], held, self._turn):
                counts = await underlay.queues.counts(link[0], self._devices[link])
                if counts.keys() != {one.number for one in self._installed[link]}:
                    del self._installed[link]  # somebody cleared the device: lay it again
                by_class = {(link, number): count for number, count in counts.items()}
                self._classes.update(by_class, self.clock.monotonic_s())
        except UmbelError as error:
            log.warning("slices not counted", reason=error.message)
        self._meters.retain(one.number for one in held)
        self._classes.retain(
            (link, one.number) for link in self._installed for one in self._installed[link]
        )

    # -- showing ----------------------------------------------------------------------------

    def _require_fabric(self) -> Underlay:
        if self.underlay is None:
            raise SlicesUnsupported
        return self.underlay

    def _status(self, one: Granted, terms: Terms, routes: Sequence[_StreamRoute]) -> SliceStatus:
        number = admission.class_of(one.number)
        return SliceStatus(
            granted=one,
            terms=terms,
            dscp=admission.DSCP[one.request.grade],
            streams=tuple(route.stream for route in routes),
            offered=self._meters.of(one.number),
            links=tuple(
                SliceLink(
                    source=link[0],
                    target=link[1],
                    state=self._state(one, link),
                    traffic=self._classes.of((link, number)),
                )
                for link in (*one.links, *one.unguaranteed)
            ),
        )

    def _state(self, one: Granted, link: Pair) -> Guarantee:
        if link in one.unguaranteed:
            return Guarantee.NO_ROOM
        number = admission.class_of(one.number)
        installed = {made.number for made in self._installed.get(link, ())}
        return Guarantee.GUARANTEED if number in installed else Guarantee.NO_QUEUE

    def _share(self, link: Pair, mbps: float, held: Sequence[Granted], offer: Offer) -> LinkShare:
        left = admission.left_kbps(offer, held, link)
        return LinkShare(
            source=link[0],
            target=link[1],
            mbps=mbps,
            promised_mbps=(offer.promisable_kbps(link) - left) / 1000,
            left_mbps=left / 1000,
            tunnel=self._tunnels.of(link),
            rest=self._classes.of((link, admission.DEFAULT)),
        )


def _stream_routes(
    held: Sequence[Granted], streams_of: StreamsOf, fabric: SlicingFabric
) -> dict[str, list[_StreamRoute]]:
    return {
        one.id: [_stream_route(each, fabric) for each in streams_of(one.request)] for one in held
    }


def _stream_route(wanted: SliceStream, fabric: SlicingFabric) -> _StreamRoute:
    """A stream that has a tree but is not carried yet will be: its links are not known. One
    without a tree has none."""
    links, flow = fabric.stream_route(wanted.stream)
    if flow is None:
        return _StreamRoute(stream=wanted.stream, links=None if wanted.planted else (), flow=None)
    if wanted.nodes is not None:
        a, b = wanted.nodes
        links = admission.between(links, a, b) or admission.between(links, b, a)
    return _StreamRoute(stream=wanted.stream, links=links, flow=flow)


def _links(routes: Sequence[_StreamRoute]) -> tuple[Pair, ...]:
    return tuple(dict.fromkeys(link for route in routes for link in route.links or ()))
