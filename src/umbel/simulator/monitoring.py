"""What monitoring sees of requests: a View in, mean numbers of parallel requests out.

Refused requests count as if they had been served: they are demand.
"""

import numpy as np

from umbel.planner.demand import Observations
from umbel.planner.drift import Sample
from umbel.planner.linear import Floats
from umbel.planner.problem import Resolution
from umbel.simulator.ports import SteeringPlan, View
from umbel.simulator.world import BYTES_PER_GB, World

_RESOLUTIONS = tuple(Resolution)


def share_of(view: View, from_s: float) -> Floats:
    """By request: for which share of the time since `from_s` its viewer watches, or would."""
    requests = view.requests
    begin = np.maximum(requests.time_s, from_s)
    end = np.minimum(requests.until_s, view.now_s)
    shares: Floats = np.maximum(end - begin, 0.0) / (view.now_s - from_s)
    return shares


def observed(view: View, world: World, from_s: float) -> Observations:
    """The contents that were watched since a time, for clustering."""
    requests, catalogue = view.requests, view.catalogue
    weight = share_of(view, from_s)
    shape = (len(catalogue), len(world.ends), len(_RESOLUTIONS))
    parallel = np.zeros(shape)
    np.add.at(parallel, (requests.content, requests.end, requests.resolution), weight)
    watching = np.bincount(
        requests.content, weight * (requests.until_s - requests.time_s), len(catalogue)
    )
    total = np.bincount(requests.content, weight, len(catalogue))
    seen = np.flatnonzero(total)
    return Observations(
        ends=world.ends,
        kind=catalogue.kind[seen],
        duration_s=catalogue.duration_s[seen],
        size_gb=catalogue.size_bytes[seen] / BYTES_PER_GB,
        uhd=catalogue.uhd[seen],
        watch_s=watching[seen] / total[seen],
        parallel=parallel[seen],
    )


def sample(view: View, world: World, steering: SteeringPlan, from_s: float) -> Sample:
    """Mean parallel requests since a time, as `drift` counts them under a steering plan."""
    requests, outcomes = view.requests, view.outcomes
    weight = share_of(view, from_s)
    source = np.where(outcomes.path >= 0, world.path_from[outcomes.path], len(world.names))
    label = steering.labels[requests.content] + 1
    shape = (len(world.ends), len(steering.names) + 1, len(_RESOLUTIONS), len(world.names) + 1)
    place = np.ravel_multi_index((requests.end, label, requests.resolution, source), shape)
    counts = np.bincount(place, weight, int(np.prod(shape)))
    contents, nodes = ("", *steering.names), (*world.names, "")
    found = {}
    for flat in np.flatnonzero(counts).tolist():
        end, content, resolution, node = np.unravel_index(flat, shape)
        key = (world.ends[end], contents[content], _RESOLUTIONS[resolution], nodes[node])
        found[key] = float(counts[flat])
    return found


def used_vcpus(view: View, from_s: float) -> float:
    """Mean vCPUs that transcoding took since a time."""
    return float(share_of(view, from_s) @ view.outcomes.vcpus)
