"""The baseline: everything on, the nearest node with room, for ever. As SLS places its edges."""

from collections.abc import Iterator

from umbel.simulator import courses
from umbel.simulator.ports import Course, View
from umbel.simulator.requests import Catalogue
from umbel.simulator.world import World


class Nearest:
    """One course."""

    def __init__(self, world: World, catalogue: Catalogue) -> None:
        self._world = world
        self._catalogue = catalogue

    def begin(self) -> Course:
        return courses.nearest(self._world, self._catalogue.kind)

    def moments(self, until_s: float) -> Iterator[float]:
        return iter(())

    def look(self, view: View) -> Course | None:
        return None
