"""What is left of a machine for the functions of its nodes, given the work of others there. Pure.

What the functions of its nodes use or were promised, and what is measured beyond them, is taken.
Where the operator allots more to the nodes than the machine has, as on one machine that plays a
whole network, allotments are no promise of the machine and it sets no limit.
"""

import math
from collections.abc import Collection, Iterable, Mapping

from umbel.compute.model import HostUsage, Instance, Resources

NO_LIMIT = math.inf


def left(
    host: HostUsage,
    nodes: Collection[str],
    capacity: Mapping[str, Resources],
    used: Mapping[str, Resources],
    instances: Iterable[Instance],
) -> Resources:
    """CPU and memory left of the machine that these nodes are on. `used` is what their functions
    use or were promised, `instances` say what is measured of that."""
    allotted = sum((capacity[node] for node in nodes), Resources())
    ours = sum((used.get(node, Resources()) for node in nodes), Resources())
    here = [one for one in instances if one.node in nodes]
    foreign_cores = host.cores_used - sum(one.cpu_cores for one in here)
    foreign_mb = host.memory_used_mb - sum(one.rss_mb for one in here)
    return Resources(
        cores=_left(host.cores, allotted.cores, ours.cores, foreign_cores),
        memory_mb=_left(host.memory_mb, allotted.memory_mb, ours.memory_mb, foreign_mb),
        mbps=NO_LIMIT,
    )


def least(a: Resources, b: Resources) -> Resources:
    """The less of each."""
    return Resources(
        cores=min(a.cores, b.cores),
        memory_mb=min(a.memory_mb, b.memory_mb),
        mbps=min(a.mbps, b.mbps),
    )


def _left(whole: float, allotted: float, ours: float, foreign: float) -> float:
    return NO_LIMIT if allotted > whole else whole - ours - max(0.0, foreign)
