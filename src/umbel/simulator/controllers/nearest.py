"""The baseline: everything on, the nearest node with room, for ever. As SLS places its edges."""

from collections.abc import Iterator

from umbel.simulator import steering_plans
from umbel.simulator.ports import SteeringPlan, View
from umbel.simulator.requests import Catalogue
from umbel.simulator.world import World


class Nearest:
    """One steering plan."""

    def __init__(self, world: World, catalogue: Catalogue) -> None:
        self._world = world
        self._catalogue = catalogue

    def begin(self) -> SteeringPlan:
        return steering_plans.nearest(self._world, self._catalogue.kind)

    def decision_times(self, until_s: float) -> Iterator[float]:
        return iter(())

    def decide(self, view: View) -> SteeringPlan | None:
        return None
