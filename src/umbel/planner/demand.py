"""A made-up audience with the paper's statistics: a random generator in, observed requests out.

For benches, tests and simulation; a running platform observes real ones. Times in s, sizes in GB.
"""

from dataclasses import dataclass

import numpy as np

from umbel.planner.linear import Flags, Floats, Ints
from umbel.planner.problem import Access, Kind, Network, Resolution

# Printed: popularity, durations, what of them is watched, and the resolutions asked for.
ZIPF = 0.8
CATALOGUE = 10_000
REQUESTS_PER_S = 0.4  # by end node, at load 1
DURATIONS_S = np.array([240.0, 900.0, 3600.0])
WATCHED = np.array([0.72, 0.65, 1.0])
POPULAR_MIX = np.array([0.66, 0.24, 0.10])
OTHER_MIX = np.array([0.5, 0.3, 0.2])
FIXED_RESOLUTIONS = np.array([0.3, 0.3, 0.3, 0.1])
MOBILE_RESOLUTIONS = np.array([0.4, 0.4, 0.2, 0.0])
# Assumed: how many contents count as popular, the kinds' shares, who exists in 2160p, and the
# stored rates.
POPULAR_SHARE = 0.2
KIND_MIX = np.array([0.3, 0.5, 0.2])
UHD_SHARE = 0.25
STORED_MBPS = np.array([8.0, 25.0])
KIND_RATE = np.array([0.7, 1.0, 1.3])


@dataclass(frozen=True, kw_only=True, eq=False)
class Observations:
    """What was watched during a window, one entry per content that was.

    `kind` is the number of a Kind; `watch_s` the mean time watched; `parallel` [content, end,
    resolution] the mean number of requests running at once.
    """

    ends: tuple[str, ...]
    kind: Ints
    duration_s: Floats
    size_gb: Floats
    uhd: Flags
    watch_s: Floats
    parallel: Floats

    def __len__(self) -> int:
        return len(self.kind)


def observe(
    random: np.random.Generator,
    network: Network,
    load: float = 1.0,
    window_s: float = 1800.0,
    contents: int = CATALOGUE,
) -> Observations:
    """Poisson requests for a Zipf catalogue during a window, at every end node alike."""
    weight = np.arange(1, contents + 1) ** -ZIPF
    kind = random.choice(len(Kind), contents, p=KIND_MIX)
    popular = np.arange(contents) < contents * POPULAR_SHARE
    length = np.where(
        popular,
        random.choice(len(DURATIONS_S), contents, p=POPULAR_MIX),
        random.choice(len(DURATIONS_S), contents, p=OTHER_MIX),
    )
    uhd = random.random(contents) < UHD_SHARE
    ends = [node for node in network.nodes if node.access is not Access.TRANSIT]
    count = np.zeros((contents, len(ends)))
    for number in range(len(ends)):
        asked = random.poisson(REQUESTS_PER_S * load * window_s)
        drawn = random.choice(contents, asked, p=weight / weight.sum())
        count[:, number] = np.bincount(drawn, minlength=contents)
    seen = np.flatnonzero(count.sum(axis=1))
    watch_s = (DURATIONS_S * WATCHED)[length[seen]]
    # Little's law: requests running at once = requests per second x seconds each.
    running = count[seen] / window_s * watch_s[:, None]
    mix = np.array([_mix(node.access) for node in ends]).reshape(-1, len(Resolution))
    size_mbit = DURATIONS_S[length] * STORED_MBPS[uhd.astype(int)] * KIND_RATE[kind]
    return Observations(
        ends=tuple(node.name for node in ends),
        kind=kind[seen],
        duration_s=DURATIONS_S[length[seen]],
        size_gb=size_mbit[seen] / 8000.0,
        uhd=uhd[seen],
        watch_s=watch_s,
        parallel=running[:, :, None] * mix[None, :, :],
    )


def _mix(access: Access) -> Floats:
    return FIXED_RESOLUTIONS if access is Access.FIXED else MOBILE_RESOLUTIONS
