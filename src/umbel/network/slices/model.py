"""Slices as operators see them: what each one has on every link, and what it carries. Values."""

from dataclasses import dataclass
from enum import StrEnum

from umbel.network.slices.admission import Granted, Terms
from umbel.network.switching.counters import Traffic


class Guarantee(StrEnum):
    """What a slice has on a link: its least rate, no room for it, or no queue that keeps it."""

    GUARANTEED = "guaranteed"
    NO_ROOM = "no_room"
    NO_QUEUE = "no_queue"


@dataclass(frozen=True, kw_only=True)
class SliceLink:
    """A link that the slice's packets cross, from one node to the other, and what its queue sent
    and dropped of them."""

    source: str
    target: str
    state: Guarantee
    traffic: Traffic


@dataclass(frozen=True, kw_only=True)
class SliceStatus:
    """A slice with what it carries. `offered` is what its meters took, with drops over the
    greatest rate."""

    granted: Granted
    terms: Terms
    dscp: int
    streams: tuple[str, ...]
    offered: Traffic
    links: tuple[SliceLink, ...]


@dataclass(frozen=True, kw_only=True)
class LinkShare:
    """A link's one direction: what of it is promised, and what its tunnel and its class for the
    rest sent. Mbit/s."""

    source: str
    target: str
    mbps: float
    promised_mbps: float
    left_mbps: float
    tunnel: Traffic
    rest: Traffic
