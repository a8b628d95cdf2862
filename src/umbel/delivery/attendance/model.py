"""What is kept of an event's attendance. Times are epoch seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

MINUTE_S = 60
MOST_MINUTES = 10_080
"""Minutes of one event that are kept: a week with viewers. Sums go on."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """Sessions that were opened, seconds that all of them watched, and how many there were at once
    at most."""

    opened: int = 0
    watched_s: float = 0.0
    peak: int = 0

    def plus(self, other: "Share") -> "Share":
        """Both: sums, and the higher peak."""
        return Share(
            opened=self.opened + other.opened,
            watched_s=self.watched_s + other.watched_s,
            peak=max(self.peak, other.peak),
        )


@dataclass(frozen=True, kw_only=True)
class Minute:
    """What happened in the minute that began at `at_s`."""

    at_s: int
    share: Share


@dataclass(frozen=True, kw_only=True)
class NodeAttendance:
    """What viewers of one access node did at the edges of one node, and how many are there now."""

    access_node: str
    edge_node: str
    share: Share
    now: int = 0


@dataclass(frozen=True, kw_only=True)
class ProtocolAttendance:
    """What viewers did over one protocol, as it was seen every few seconds."""

    protocol: str
    share: Share


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What came since the last time: by event and minute, by event and place, by event and
    protocol, and by event."""

    minutes: Mapping[tuple[str, int], Share] = field(default_factory=dict)
    places: Mapping[tuple[str, str, str], Share] = field(default_factory=dict)
    events: Mapping[str, Share] = field(default_factory=dict)
    protocols: Mapping[tuple[str, str], Share] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Attendance:
    """All that is kept of one event."""

    event_id: str
    whole: Share
    minutes: tuple[Minute, ...]
    places: tuple[NodeAttendance, ...]
    reservations: int
    protocols: tuple[ProtocolAttendance, ...] = ()
