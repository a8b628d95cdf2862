"""Values of forecasts. Times are epoch seconds, viewers are sessions at once (no persons)."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What became of one earlier event: accounts that had reserved it, the most viewers at once,
    viewers on average in each bin of its time (`series.edges`), and watch time in seconds by access
    node."""

    reservations: int
    peak: int
    curve: tuple[float, ...]
    watched_s: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class History:
    """What a provider's earlier events teach. `show_up`: viewers at the peak for each reservation,
    0 to 1; `walk_ins`: viewers at the peak without one; `shape`: viewers as a share of the peak, by
    bin; `shares`: of all watch time, by access node; `events`: how many of them there were."""

    events: int
    show_up: float
    walk_ins: float
    shape: tuple[float, ...]
    shares: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The demand series of one event: at a moment, an access node has `viewers[node]` (its
    viewers at the peak) times `shape` in the bin of that moment. Made at `made_s` from as many
    `reservations` and `earlier` events. At the nodes of `yields`, nothing is made in advance before
    the moment there."""

    event_id: str
    starts_s: float
    ends_s: float
    made_s: float
    reservations: int
    show_up: float
    walk_ins: float
    earlier: int
    viewers: Mapping[str, float]
    shape: tuple[float, ...]
    yields: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A part of an event's time: viewers expected, and viewers there on average; None for the
    future."""

    at_s: float
    expected: float
    present: float | None


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Predicted next to actual, by bin; and viewers now, by access node. `prediction` is None where
    none was made before the event's start."""

    prediction: Prediction | None
    points: tuple[Point, ...]
    present: Mapping[str, int]
