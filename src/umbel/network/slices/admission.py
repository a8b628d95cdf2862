"""Slices: what a stream is promised, whether the links can keep it, and the queues that do. Pure.

In: the operator's topology and terms, the slices held, the links their streams cross. Out: an
admission or a refusal, and for each end of a link the classes its queue must have. delivery acts on
it: meters hold a slice to its most (overlay/streams.Slice), queues under the tunnels keep its
least. A link counts each way by itself; a slice crosses it in the direction of its packets.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from umbel.kit.errors import Conflict, Exhausted, Unavailable
from umbel.kit.validation import describe_errors
from umbel.network.model import Pair, Topology
from umbel.network.overlay import streams
from umbel.network.topology import paths


class NoRoomForSlice(Exhausted):
    """A link on the path has too little unreserved bandwidth for this slice."""

    code = "umbel.no_room_for_slice"


class SliceExists(Conflict):
    """The stream already has a slice; close that one first."""

    code = "umbel.slice_exists"


class QueueRefused(Unavailable):
    """The node did not install the queue or does not answer."""

    code = "umbel.queue_refused"


class Grade(StrEnum):
    """The classes of slices, best first."""

    GOLD = "gold"
    SILVER = "silver"
    BRONZE = "bronze"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """A grade's guaranteed and greatest rate, in Mbit/s of the stream's Ethernet frames."""

    min_mbps: float
    max_mbps: float

    @property
    def min_kbps(self) -> int:
        """What queues keep."""
        return round(self.min_mbps * 1000)

    @property
    def max_kbps(self) -> int:
        """What meters hold to."""
        return round(self.max_mbps * 1000)


TERMS: Mapping[Grade, Terms] = {
    Grade.GOLD: Terms(min_mbps=50.0, max_mbps=100.0),
    Grade.SILVER: Terms(min_mbps=25.0, max_mbps=50.0),
    Grade.BRONZE: Terms(min_mbps=12.5, max_mbps=25.0),
}
DSCP: Mapping[Grade, int] = {Grade.GOLD: 32, Grade.SILVER: 24, Grade.BRONZE: 26}
"""How the grades are marked, by RFC 4594: CS4 (4.4, real-time interactive), CS3 (4.6, broadcast
video), AF31 (4.5, multimedia streaming). EF stays with the operator's telephony."""
CONTROL_DSCP = 48
"""CS6: what keeps the network itself alive, tunnels' BFD packets among it (RFC 4594, 3.1)."""

_PROMISED = 0.9
"""The share of a link that is promised; the rest is for tunnel headers, BFD packets and others."""
_HEADERS = 1.05
"""What a tunnel adds to packets of a video's size: 42 bytes to 1242, and some to spare."""
_CONTROL_SHARE = 0.01
_DEEP_S, _WIRE_BITS, _LEAST_DEPTH = 0.2, 1284 * 8, 50
_MOST_SLICES = 0x500  # classes of one queue are reported by 16 bits, and so are queues
_BURST_S = 0.1
"""What a slice may send at once, in time at its rate: a keyframe is many packets."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What the operator has to promise from."""

    topology: Topology
    terms: Mapping[Grade, Terms] = field(default_factory=lambda: TERMS)

    def promisable_kbps(self, link: Pair) -> int:
        """What a link can guarantee in all, each way. Raises NotInTopology."""
        (found,) = paths.links_of(self.topology, link)
        return int(found.mbps * 1000 * _PROMISED)


@dataclass(frozen=True, kw_only=True)
class SliceRequest:
    """A slice for a stream over all of its tree, or (`functions`) for the streams from one function
    to another, on the way between the two. One of both is given."""

    grade: Grade
    stream: str = ""
    functions: Pair | None = None


@dataclass(frozen=True, kw_only=True)
class SliceStream:
    """A stream of a slice. `nodes` are those of the slice's two functions; None: the slice is for
    all of the tree. `planted` tells whether the stream has a tree."""

    stream: str
    nodes: Pair | None = None
    planted: bool = False


@dataclass(frozen=True, kw_only=True)
class Granted:
    """A slice that is held. `number` is its meter's. It is guaranteed on `links`, given as
    (from, to), and only marked on the `unguaranteed` ones: its stream came when they were full."""

    id: str
    number: int
    request: SliceRequest
    links: tuple[Pair, ...] = ()
    unguaranteed: tuple[Pair, ...] = ()
    opened_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class StreamDestination:
    """A stream as the overlay knows it: the UDP destination it has inside the tunnels; port 0:
    whatever goes to the address."""

    address: str
    port: int


@dataclass(frozen=True, kw_only=True)
class QueueClass:
    """One class of a link end's queue: `rate_kbps` is its own, up to `ceil_kbps` it borrows what
    others leave, lower `priority` first, and `burst_bytes` may leave at once after a silence.
    `depth` packets wait in it. It takes packets by the `dscp` on the outside and, if there are
    `flows`, only theirs. Class DEFAULT takes the rest; class LINK is the whole link."""

    number: int
    rate_kbps: int
    ceil_kbps: int
    priority: int
    depth: int
    burst_bytes: int = 0
    dscp: int | None = None
    flows: tuple[StreamDestination, ...] = ()


LINK, CONTROL, DEFAULT, _FIRST_SLICE = 0x1, 0x2, 0x3, 0xF
"""Numbers of classes; slice n has _FIRST_SLICE + n."""


class _TermsEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    min_mbps: float = Field(gt=0, le=1_000_000, allow_inf_nan=False)
    max_mbps: float = Field(gt=0, le=1_000_000, allow_inf_nan=False)


def inspect(document: object) -> tuple[dict[Grade, Terms], list[str]]:
    """The terms a network document's part `slices` sets, else the defaults; and what is wrong."""
    terms = dict(TERMS)
    problems: list[str] = []
    part = document.get("slices") if isinstance(document, Mapping) else None
    if part is None:
        return terms, problems
    if not isinstance(part, Mapping):
        return terms, ["slices is not a mapping of grades"]
    for name, raw in part.items():
        if name not in {grade.value for grade in Grade}:
            problems.append(f"slice {name}: unknown grade; there are: {', '.join(Grade)}")
            continue
        try:
            entry = _TermsEntry.model_validate(raw)
        except ValidationError as error:
            problems += describe_errors(f"slice {name}", error)
            continue
        if entry.min_mbps > entry.max_mbps:
            problems.append(f"slice {name}: min_mbps is greater than max_mbps")
        terms[Grade(name)] = Terms(min_mbps=entry.min_mbps, max_mbps=entry.max_mbps)
    return terms, problems


def admit(
    offer: Offer, held: Sequence[Granted], request: SliceRequest, route: Iterable[Pair]
) -> int:
    """The number for a new slice over the links of `route`, given as (from, to).

    Raises NoRoomForSlice naming the first link that cannot guarantee it and what is left there,
    SliceExists for a subject that has one, NotInTopology for a link that is none.
    """
    for other in held:
        if (other.request.stream, other.request.functions) == (request.stream, request.functions):
            raise SliceExists(slice=other.id)
    asked = offer.terms[request.grade]
    for link in dict.fromkeys(route):
        left = left_kbps(offer, held, link)
        if left < asked.min_kbps:
            raise NoRoomForSlice(
                f"Link {link[0]}-{link[1]} has {left / 1000:g} Mbit/s left to guarantee",
                link=list(link),
                left_mbps=left / 1000,
                asked_mbps=asked.min_mbps,
            )
    taken = {other.number for other in held}
    number = next(n for n in range(1, len(taken) + 2) if n not in taken)
    if number > _MOST_SLICES:
        raise NoRoomForSlice("There are as many slices as a switch has meters")
    return number


def left_kbps(offer: Offer, held: Iterable[Granted], link: Pair) -> int:
    """What the link can still guarantee in that direction."""
    promised = sum(offer.terms[o.request.grade].min_kbps for o in held if link in o.links)
    return offer.promisable_kbps(link) - promised


def reassign(
    offer: Offer, held: Sequence[Granted], routes: Mapping[str, Sequence[Pair]]
) -> tuple[Granted, ...]:
    """The slices after their streams' links changed to `routes` (by id; a slice without one keeps
    its links). What a slice has and still crosses it keeps; then, oldest first, each gets the new
    links that have room and lacks the others. The order of `held` stays."""
    left: dict[Pair, int] = {}
    won: dict[str, list[Pair]] = defaultdict(list)
    by_age = sorted(held, key=lambda one: (one.opened_s, one.number))
    for keeping in (True, False):
        for one in by_age:
            need = offer.terms[one.request.grade].min_kbps
            for link in dict.fromkeys(routes.get(one.id, one.links)):
                if (link in one.links) is not keeping:
                    continue
                room = left.setdefault(link, _promisable(offer, link))
                if room >= need:
                    left[link] = room - need
                    won[one.id].append(link)
    return tuple(_reassigned(one, routes.get(one.id, one.links), won[one.id]) for one in held)


def _promisable(offer: Offer, link: Pair) -> int:
    """Nothing for a link that is not in the topology any more."""
    try:
        return offer.promisable_kbps(link)
    except paths.NotInTopology:
        return 0


def _reassigned(one: Granted, route: Sequence[Pair], won: Sequence[Pair]) -> Granted:
    route = tuple(dict.fromkeys(route))
    return replace(
        one,
        links=tuple(link for link in route if link in won),
        unguaranteed=tuple(link for link in route if link not in won),
    )


def between(links: Sequence[Pair], a: str, b: str) -> tuple[Pair, ...]:
    """Of a tree's links, given as (from, to), those on the way from one node down to another; none
    when there is no such way."""
    above = {to: source for source, to in links}
    stream_route: list[Pair] = []
    node = b
    while node != a:
        if node not in above or len(stream_route) > len(links):
            return ()
        stream_route.append((above[node], node))
        node = above[node]
    return tuple(reversed(stream_route))


def metered(granted: Granted, offer: Offer) -> streams.Slice:
    """The slice as switches hold a stream to it."""
    most = offer.terms[granted.request.grade].max_kbps
    return streams.Slice(
        number=granted.number,
        kbps=most,
        burst_kb=max(1, round(most * _BURST_S)),
        dscp=DSCP[granted.request.grade],
    )


def plan(
    offer: Offer, held: Sequence[Granted], flows: Mapping[str, Sequence[StreamDestination]]
) -> dict[Pair, tuple[QueueClass, ...]]:
    """The queue of each link end (node, neighbour): the link, what keeps the network alive, the
    slices whose packets leave by it, the rest. Ends without slices have one too: on a full link
    BFD packets would be lost, and the link taken for dead. `flows` are the slices' streams by slice
    id."""
    ends = ((link.a, link.b) for link in offer.topology.links)
    crossing: dict[Pair, list[Granted]] = {end: [] for a, b in ends for end in ((a, b), (b, a))}
    for one in sorted(held, key=lambda one: one.number):
        for link in one.links:
            crossing.setdefault(link, []).append(one)
    return {
        link: tuple(_classes(offer, link, slices, flows))
        for link, slices in sorted(crossing.items())
    }


def links_to_read(installed: Sequence[Pair], held: Iterable[Granted], turn: int) -> list[Pair]:
    """Of the link ends with queues those whose counters are read at the look number `turn`: what
    slices use, and one of the others after the other, for asking takes a process each."""
    used = {link for one in held for link in one.links}
    others = [link for link in installed if link not in used]
    mine = [link for link in installed if link in used]
    return [*mine, others[turn % len(others)]] if others else mine


def _classes(
    offer: Offer,
    link: Pair,
    held: Sequence[Granted],
    flows: Mapping[str, Sequence[StreamDestination]],
) -> Iterator[QueueClass]:
    (found,) = paths.links_of(offer.topology, link)
    whole = max(1, int(found.mbps * 1000))
    control = max(1, int(whole * _CONTROL_SHARE))
    yield QueueClass(number=LINK, rate_kbps=whole, ceil_kbps=whole, priority=0, depth=0)
    yield _leaf(CONTROL, control, whole, 0, dscp=CONTROL_DSCP)
    rest = whole - control
    for one in held:
        grade = one.request.grade
        rate = int(offer.terms[grade].min_kbps * _HEADERS)
        rest -= rate
        made = _leaf(class_of(one.number), rate, whole, 1 + [*Grade].index(grade))
        yield replace(
            made,
            burst_bytes=int(rate * _BURST_S * 1000 / 8),
            dscp=DSCP[grade],
            flows=tuple(flows.get(one.id, ())),
        )
    yield _leaf(DEFAULT, max(1, rest), whole, 4)


def _leaf(number: int, rate: int, whole: int, priority: int, dscp: int | None = None) -> QueueClass:
    depth = max(
        _LEAST_DEPTH, int((whole if number == DEFAULT else rate) * _DEEP_S * 1000 / _WIRE_BITS)
    )
    return QueueClass(
        number=number,
        rate_kbps=rate,
        ceil_kbps=whole,
        priority=priority,
        depth=depth,
        dscp=dscp,
    )


def class_of(number: int) -> int:
    """The number of the class for the slice of that number."""
    return _FIRST_SLICE + number
