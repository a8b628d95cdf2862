"""What is computed, apart from where: a task is a frozen value, its key names its result.

Neighbours: `optimum` and `simulation` do tasks, `results` keeps what they give.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

import umbel
from umbel.simulator.config import BadConfig, Config

# Raise it when a result of the same task means something else than before.
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """One plan without a simulation: for an audience like the config's at `load`. With a floor,
    the least power for that share of all demand at its best; else the config's gamma. `bypass`
    and `more_reach` change the routing of the config's topology."""

    config: Config
    load: float
    floor: float | None = None
    gap_share: float = 0.005
    bypass: bool = True
    more_reach: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.load < float("inf"):
            raise BadConfig("The load of an optimum is not positive")
        if self.floor is not None and not 0 <= self.floor <= 1:
            raise BadConfig("The floor of an optimum is not in [0, 1]")


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """One run, its series in bins of so many seconds."""

    config: Config
    bin_s: float

    def __post_init__(self) -> None:
        if not 0 < self.bin_s < float("inf"):
            raise BadConfig("The bins of a simulation are not positive")


Task = Optimum | Simulation


def key(task: Task) -> str:
    """Equal for equal tasks, in every process and on every machine; another with every version."""
    whole = {
        "kind": type(task).__name__,
        "format": _FORMAT,
        "version": umbel.__version__,
        "task": asdict(task),
    }
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def label(task: Task) -> str:
    """A few words for people."""
    config = task.config
    words = [config.steering.value, config.topology.value]
    if isinstance(task, Optimum):
        goal = f"gamma {config.gamma:g}" if task.floor is None else f"quality {task.floor:.0%}"
        return " ".join([*words, f"load {task.load:g}", goal])
    return " ".join([*words, f"{config.end_s / 3600:.2g} h"])
