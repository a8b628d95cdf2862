"""Parameters that are known or assumed, each with where it comes from.

"paper" is printed there, "read" was restored from a damaged print, "assumed" is ours.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from umbel.planner.problem import Encoding, Kind, PowerModel, QoeModel, Resolution, Routing

# Servers: paper. Switch and router: read. With them the network's full power meets the axis of
# the paper's power figure; a tenth of them would need ten times fewer servers than it can carry.
PAPER_POWER: Final = PowerModel()
# The rival reading of the same two numbers, a decimal point further left.
LOW_POWER: Final = PowerModel(switch_w=202.0, router_w=455.0)

FMC_ROUTING: Final = Routing()
BACKHAUL_ROUTING: Final = Routing(routes_per_pair=2, detour_hops=1, cpri_reach_hops=2)

# Assumed: usual rate ladders, a score near 1 for a well served request, CPU in real time.
_LADDER: Final[Mapping[Resolution, Encoding]] = MappingProxyType(
    {
        Resolution.R360: Encoding(min_mbps=0.4, max_mbps=1.2, score=0.7, vcpus=0.5),
        Resolution.R720: Encoding(min_mbps=1.2, max_mbps=4.0, score=0.85, vcpus=1.2),
        Resolution.R1080: Encoding(min_mbps=2.5, max_mbps=8.0, score=1.0, vcpus=2.4),
        Resolution.R2160: Encoding(min_mbps=8.0, max_mbps=25.0, score=1.2, vcpus=9.6),
    }
)
_RATE_FACTOR: Final = MappingProxyType({Kind.TOON: 0.7, Kind.MOVIE: 1.0, Kind.SPORT: 1.3})
_VCPU_FACTOR: Final = MappingProxyType({Kind.TOON: 0.8, Kind.MOVIE: 1.0, Kind.SPORT: 1.2})


def ladder(kind: Kind, resolution: Resolution) -> Encoding:
    """The assumed encoding of a kind at a resolution."""
    base = _LADDER[resolution]
    return Encoding(
        min_mbps=base.min_mbps * _RATE_FACTOR[kind],
        max_mbps=base.max_mbps * _RATE_FACTOR[kind],
        score=base.score,
        vcpus=base.vcpus * _VCPU_FACTOR[kind],
    )


LADDER_QOE: Final = QoeModel(
    known=MappingProxyType({(k, r): ladder(k, r) for k in Kind for r in Resolution}),
    unknown=_LADDER,
)
