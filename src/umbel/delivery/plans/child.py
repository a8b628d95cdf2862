"""Runs one request in a process of its own: a request in, what it comes to out."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from umbel.delivery.plans.model import Asked
from umbel.kit import apart
from umbel.kit.apart import WorkerDied
from umbel.kit.errors import Unavailable

TARGET = "umbel.delivery.plans.work:answer"
DRAWING = "umbel.delivery.plans.work:pictures"
_DRAWING_S = 120.0
Hear = Callable[[Mapping[str, object]], Awaitable[None]]


class PlannerCrashed(Unavailable):
    """The planner's process ended without an answer."""

    code = "umbel.planner_crashed"


async def run(
    asked: Asked, hear: Hear, *, most_s: float, pictures: Path | None = None
) -> dict[str, object]:
    """What the planner makes of it; `pictures` is a folder to draw into. Cancelling kills it.

    Raises PlannerCrashed, BadPlanRequest, and the planner's own errors.
    """
    with _crashes():
        made: dict[str, object] = await apart.run(
            TARGET, (asked, pictures), most_s=most_s, hear=hear
        )
    return made


async def draw(made: Mapping[str, object], folder: Path) -> list[Path]:
    """The pictures of a result, drawn into a folder. Raises PlannerCrashed."""
    with _crashes():
        names: list[str] = await apart.run(DRAWING, (made, folder), most_s=_DRAWING_S)
    return [folder / name for name in names]


@contextmanager
def _crashes() -> Iterator[None]:
    try:
        yield
    except WorkerDied as error:
        raise PlannerCrashed(error.message) from None
