"""What a run depends on, and nothing else: frozen, hashable values. Equal configs, equal runs.

Numbers that the paper prints or that were assumed for it are in `planner.demand` and `presets`;
here is what an experiment turns.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import pairwise

from umbel.caches.policies import Policy
from umbel.kit.errors import Invalid


class BadConfig(Invalid):
    """The configuration of the run is not valid."""

    code = "umbel.bad_config"


class Topology(StrEnum):
    """The two networks of the paper."""

    FMC_TREE = "fmc-tree"
    MOBILE_BACKHAUL = "mobile-backhaul"


class Steering(StrEnum):
    """Who decides what is on and where requests go."""

    NEAREST = "nearest"  # everything on; the nearest node with room, for ever
    VIRCA = "virca"
    VIRCA2 = "virca2"
    VIRCA3 = "virca3"


class PowerScale(StrEnum):
    """Two readings of the paper's switch and router powers."""

    PAPER = "paper"
    LOW = "low"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of the run. The end nodes are divided into as many groups as there are loads, in
    the network's order; `load` multiplies the request rate of each group, and `first_share` of
    its requests are for the first catalogue, the rest for the second."""

    duration_s: float
    loads: tuple[float, ...] = (1.0,)
    first_shares: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a run depends on.

    `warmup_s` goes before the first phase with its loads, and is left out of what is collected:
    caches fill. `fetch_mbps` is the most that one fetch from the PoP takes while a player starts.
    """

    topology: Topology = Topology.FMC_TREE
    steering: Steering = Steering.NEAREST
    phases: tuple[Phase, ...] = (Phase(duration_s=3600.0),)
    seed: int = 1
    warmup_s: float = 0.0
    gamma: float = 1.0
    catalogue: int = 10_000
    catalogues: int = 1
    zipf: float = 0.8
    requests_per_s: float = 0.4
    cache: Policy = Policy.LRU
    storage_gb: float = 500.0
    vcpus_per_server: int = 12
    servers: int = 20
    bbu_vcpus: float = 8.0
    power: PowerScale = PowerScale.PAPER
    fetch_mbps: float = 1000.0
    miss_share: float = 0.5
    clusters: int = 20
    sample_s: float = 240.0
    rca_s: float = 300.0
    virca_s: float = 1800.0
    solver_s: float = 60.0

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise BadConfig(f"The config has {len(problems)} fault(s)", problems=problems)

    @property
    def key(self) -> str:
        """The same for equal configs in every process: what results are kept under."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def end_s(self) -> float:
        """When the last phase ends; the warm-up begins at 0."""
        return self.warmup_s + sum(phase.duration_s for phase in self.phases)

    def spans(self) -> tuple[tuple[float, float, Phase], ...]:
        """(from, to, phase) in seconds; the warm-up belongs to the first phase."""
        edges = [0.0, self.warmup_s + self.phases[0].duration_s]
        for phase in self.phases[1:]:
            edges.append(edges[-1] + phase.duration_s)
        return tuple((a, b, p) for (a, b), p in zip(pairwise(edges), self.phases, strict=True))


_POSITIVE = (
    "zipf",
    "fetch_mbps",
    "sample_s",
    "rca_s",
    "virca_s",
    "solver_s",
    "storage_gb",
    "bbu_vcpus",
)
_NOT_NEGATIVE = ("warmup_s", "gamma", "requests_per_s")
_COUNTS = ("catalogue", "servers", "vcpus_per_server", "clusters")
_INFINITE = float("inf")


def _problems(config: Config) -> list[str]:
    found = [f"{n} is not positive" for n in _POSITIVE if not 0 < getattr(config, n) < _INFINITE]
    found += [f"{n} is negative" for n in _NOT_NEGATIVE if not 0 <= getattr(config, n) < _INFINITE]
    found += [f"{n} is not at least 1" for n in _COUNTS if getattr(config, n) < 1]
    if config.catalogues not in (1, 2):
        found.append("there are one or two catalogues")
    if not 0 <= config.miss_share <= 1:
        found.append("miss_share is not in [0, 1]")
    if not config.phases:
        found.append("there is no phase")
    for number, phase in enumerate(config.phases):
        found += [f"phase {number + 1}: {fault}" for fault in _phase_problems(phase, config)]
    return found


def _phase_problems(phase: Phase, config: Config) -> list[str]:
    found = []
    if not 0 < phase.duration_s < _INFINITE:
        found.append("its duration is not positive")
    if not phase.loads or not all(0 <= load < _INFINITE for load in phase.loads):
        found.append("it has no loads, or a negative one")
    shares = phase.first_shares
    if len(shares) not in (0, len(phase.loads)) or not all(0 <= s <= 1 for s in shares):
        found.append("its shares of the first catalogue are not one for each load in [0, 1]")
    if any(share < 1 for share in shares) and config.catalogues == 1:
        found.append("it asks for a second catalogue, and there is one")
    return found
