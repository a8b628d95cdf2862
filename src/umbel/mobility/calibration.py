"""What earlier migrations teach the prediction. Pure.

The model of admission.py knows amounts and rates, and nothing of a copy's begin, its channel, the
stop and the resume. So predicted and achieved figures of earlier copies give a straight line each:
what comes on top, and a factor. Until there are some, the model holds as it is: it counts as half a
copy (ridge regression, Hoerl and Kennard, 1970).
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from umbel.mobility.model import Json, Migration, MigrationKind, MigrationState

_MOST = 20
"""The newest copies count: links and machines change."""
_PRIOR = 0.5


@dataclass(frozen=True)
class Line:
    """`extra` + `factor` * x, neither of them negative."""

    extra: float = 0.0
    factor: float = 1.0

    def at(self, x: float) -> float:
        """Its value for `x`."""
        return self.extra + self.factor * x

    def largest(self, most: float) -> float:
        """The largest `x` >= 0 for which it is at most `most`; 0 where there is none."""
        left = max(0.0, most - self.extra)
        return left / self.factor if self.factor > 0 else float("inf") if left > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Lines from the model's seconds and MiB to those that copies took, out of `moves` of them.
    `disk_mb` of the function's disk are expected to travel, and `dirty_mbps` is how fast it wrote
    its memory; None: it is not known."""

    duration: Line = Line()
    gap: Line = Line()
    amount: Line = Line()
    moves: int = 0
    disk_mb: float | None = None
    dirty_mbps: float | None = None


def calibrated(
    history: Iterable[Migration], function: str, kind: MigrationKind, *, is_live: bool
) -> Calibration:
    """What migrations, the newest first, teach about a copy of this function and kind. Those that
    ran while they were copied and those that stopped are not compared with each other."""
    done = [
        one
        for one in history
        if one.state is MigrationState.COMMITTED
        and one.kind is kind
        and _model(one).get("is_live") is is_live
        and one.achieved
    ][:_MOST]
    return Calibration(
        duration=fitted(_points(done, "duration_s")),
        gap=fitted(_points(done, "gap_s")),
        amount=fitted(_points(done, "copied_mb")),
        moves=len(done),
        disk_mb=_disk_mb(done, function),
        dirty_mbps=_dirty_mbps(done, function),
    )


def fitted(points: Sequence[tuple[float, float]]) -> Line:
    """The line nearest to the points (x, y), all >= 0."""
    if not points:
        return Line()
    scale = statistics.fmean(x for x, _ in points) or 1.0
    scaled = [(x / scale, y) for x, y in points]
    n = len(points) + _PRIOR
    sum_x, sum_y = sum(x for x, _ in scaled), sum(y for _, y in scaled)
    sum_xx = sum(x * x for x, _ in scaled) + _PRIOR
    sum_xy = sum(x * y for x, y in scaled) + _PRIOR * scale
    extra = (sum_y * sum_xx - sum_x * sum_xy) / (n * sum_xx - sum_x * sum_x)
    slope = (sum_xy - extra * sum_x) / sum_xx
    if extra < 0:
        extra, slope = 0.0, sum_xy / sum_xx
    if slope < 0:
        extra, slope = sum_y / n, 0.0
    return Line(extra, slope / scale)


def _model(migration: Migration) -> Mapping[str, Any]:
    """What the model itself gave, before it was calibrated; empty where none was predicted."""
    found = (migration.predicted or {}).get("model")
    return found if isinstance(found, Mapping) else {}


def _points(done: Sequence[Migration], name: str) -> list[tuple[float, float]]:
    pairs = [(_number(_model(one), name), _number(one.achieved or {}, name)) for one in done]
    return [(x, y) for x, y in pairs if x is not None and y is not None]


def _disk_mb(done: Sequence[Migration], function: str) -> float | None:
    """The function's own last time, else the median of all."""
    found = [(one.function, _number(one.achieved or {}, "disk_mb")) for one in done]
    known = [(name, value) for name, value in found if value is not None]
    own = [value for name, value in known if name == function]
    if own:
        return own[0]
    return statistics.median(value for _, value in known) if known else None


def _dirty_mbps(done: Sequence[Migration], function: str) -> float | None:
    found = (_number(one.progress, "dirty_mbps") for one in done if one.function == function)
    return next((value for value in found if value is not None), None)


def _number(found: Json, name: str) -> float | None:
    value = found.get(name)
    return float(value) if isinstance(value, int | float) and value >= 0 else None
