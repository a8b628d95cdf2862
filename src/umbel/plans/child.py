"""Runs one request in a process of its own, request in, result out; and draws results likewise."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from umbel.kit import apart
from umbel.kit.apart import WorkerDied
from umbel.kit.errors import Unavailable
from umbel.plans.model import PlanRequest

TARGET = "umbel.plans.work:answer"
OnProgress = Callable[[Mapping[str, object]], Awaitable[None]]

# A process may need this beyond the solver's own time, and this many times the limit: paths,
# clustering, whole servers and drawing have no limit of their own.
_MORE_S = 300.0
_TIMES = 3.0
_DRAW = "umbel.plans.drawing:draw"
_DRAWING_S = 120.0


class PlannerCrashed(Unavailable):
    """The planner's process ended without an answer."""

    code = "umbel.planner_crashed"


async def run(
    request: PlanRequest,
    on_progress: OnProgress,
    *,
    pictures: Path | None = None,
    most_s: float | None = None,
) -> dict[str, object]:
    """What the planner makes of it; `pictures` is a folder to draw into. It is killed when it
    is cancelled, or after `most_s`: five minutes more than three times the solver's limit for each
    plan, if nothing else is said.

    Raises PlannerCrashed, BadPlanRequest, and the planner's own errors.
    """
    own_s = _MORE_S + _TIMES * request.time_s * max(1, request.points)
    made: dict[str, object] = await _apart(
        TARGET,
        request,
        pictures,
        on_progress=on_progress,
        most_s=own_s if most_s is None else most_s,
    )
    return made


async def draw(made: Mapping[str, object], folder: Path) -> list[Path]:
    """The pictures of a result, drawn into a folder. Raises PlannerCrashed."""
    names: list[str] = await _apart(_DRAW, made, folder, on_progress=None, most_s=_DRAWING_S)
    return [folder / name for name in names]


async def _apart(
    target: str, *arguments: object, on_progress: OnProgress | None, most_s: float
) -> Any:
    try:
        return await apart.run(target, *arguments, most_s=most_s, on_progress=on_progress)
    except WorkerDied as error:
        raise PlannerCrashed(error.message) from None
