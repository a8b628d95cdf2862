"""All experiments by name, in the paper's order."""

from collections.abc import Mapping

from umbel.simulator.experiments.assumptions import ASSUMPTIONS
from umbel.simulator.experiments.breakdown import FIG4, FIG5
from umbel.simulator.experiments.crowd import FIG8, FIG9, FIG10
from umbel.simulator.experiments.experiment import Experiment
from umbel.simulator.experiments.pareto import FIG3
from umbel.simulator.experiments.request import Name
from umbel.simulator.experiments.steady import FIG6, FIG7

EXPERIMENTS: Mapping[Name, Experiment] = {
    Name.FIG3: FIG3,
    Name.FIG4: FIG4,
    Name.FIG5: FIG5,
    Name.FIG6: FIG6,
    Name.FIG7: FIG7,
    Name.FIG8: FIG8,
    Name.FIG9: FIG9,
    Name.FIG10: FIG10,
    Name.ASSUMPTIONS: ASSUMPTIONS,
}


def named(name: Name) -> Mapping[Name, Experiment]:
    """One, or all."""
    return EXPERIMENTS if name is Name.ALL else {name: EXPERIMENTS[name]}
