"""Viewers as the paper has them: a Config and a World in, Requests chunk by chunk out.

Poisson arrivals at each end node, a Zipf catalogue, durations, watched shares, resolutions and
last hops by access; flash crowds and a second catalogue by phase. A chunk depends on the seed and
its number alone, so runs that differ in steering see the same viewers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from umbel.planner import demand
from umbel.planner.linear import Floats, Ints
from umbel.planner.problem import Kind
from umbel.simulator.config import Config, Phase
from umbel.simulator.requests import Catalogue, Requests
from umbel.simulator.world import World

CHUNK_S = 600.0
# Printed, in Mbit/s; that they are equally likely is assumed.
FIXED_HOPS_MBPS = np.array([5.0, 15.0, 30.0, 40.0, 60.0, 80.0])
MOBILE_HOPS_MBPS = np.array([2.0, 5.0, 10.0, 15.0, 20.0, 25.0])
_BYTES_PER_MBIT = 125_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Audience:
    """Who asks for what: `popularity` [access, content] of each catalogue alone, 0 fixed and 1
    mobile; contents of the second catalogue follow those of the first."""

    catalogue: Catalogue
    popularity: Floats
    rank: Ints  # from 0, within its catalogue
    watched: Floats  # share of the duration, by content


def audience(config: Config) -> Audience:
    """The catalogues of a config."""
    random = np.random.default_rng([config.seed, 0])
    count = config.catalogue * config.catalogues
    rank = np.tile(np.arange(config.catalogue), config.catalogues)
    length = random.choice(len(demand.DURATIONS_S), count, p=demand.OTHER_MIX)
    kind = random.choice(len(Kind), count, p=demand.KIND_MIX)
    uhd = random.random(count) < demand.UHD_SHARE
    duration_s = demand.DURATIONS_S[length]
    rate_mbps = demand.STORED_MBPS[uhd.astype(np.int64)] * demand.KIND_RATE[kind]
    catalogue = Catalogue(
        names=tuple(f"c{number}" for number in range(count)),
        kind=kind.astype(np.int64),
        duration_s=duration_s,
        size_bytes=np.rint(duration_s * rate_mbps * _BYTES_PER_MBIT).astype(np.int64),
        uhd=uhd,
    )
    # A content has one length; that popular short ones prevail on mobile accesses is their taste.
    popular = rank < config.catalogue * demand.POPULAR_SHARE
    taste = np.where(popular, (demand.POPULAR_MIX / demand.OTHER_MIX)[length], 1.0)
    fixed = (rank + 1.0) ** -config.zipf
    return Audience(
        catalogue=catalogue,
        popularity=np.stack([fixed, fixed * taste]),
        rank=rank,
        watched=demand.WATCHED[length],
    )


class Workload:
    """All requests of a run: iterate for chunks in order of time."""

    def __init__(self, config: Config, world: World) -> None:
        self._config = config
        self._world = world
        self._audience = audience(config)
        self.catalogue = self._audience.catalogue
        self._mix = np.cumsum([demand.FIXED_RESOLUTIONS, demand.MOBILE_RESOLUTIONS], axis=1)
        self._hops = np.stack([FIXED_HOPS_MBPS, MOBILE_HOPS_MBPS])
        self._taste = [
            np.cumsum(popularity)
            for one in range(config.catalogues)
            for popularity in self._audience.popularity[:, self._span(one)]
        ]

    def __iter__(self) -> Iterator[Requests]:
        chunk = 0
        for from_s, to_s, phase in self._config.spans():
            begin_s = from_s
            while begin_s < to_s:
                until_s = min(begin_s + CHUNK_S, to_s)
                chunk += 1
                yield self._chunk(chunk, begin_s, until_s, phase)
                begin_s = until_s

    def _span(self, catalogue: int) -> slice:
        size = self._config.catalogue
        return slice(catalogue * size, (catalogue + 1) * size)

    def _chunk(self, number: int, from_s: float, to_s: float, phase: Phase) -> Requests:
        random = np.random.default_rng([self._config.seed, number])
        group = self._groups(len(phase.loads))
        rate = self._config.requests_per_s * np.array(phase.loads)[group]
        end = np.repeat(np.arange(len(group)), random.poisson(rate * (to_s - from_s)))
        time_s = random.uniform(from_s, to_s, len(end))
        order = np.argsort(time_s, kind="stable")
        time_s, end = time_s[order], end[order]
        mobile = self._world.mobile[end].astype(np.int64)
        shares = np.array(phase.first_shares or [1.0] * len(phase.loads))[group][end]
        second = (random.random(len(end)) >= shares).astype(np.int64)
        content = self._contents(random.random(len(end)), mobile, second)
        drawn = random.random(len(end))
        resolution = (drawn[:, None] >= self._mix[mobile]).sum(axis=1)
        hop = random.integers(0, self._hops.shape[1], len(end))
        catalogue = self.catalogue
        return Requests(
            time_s=time_s,
            until_s=time_s + catalogue.duration_s[content] * self._audience.watched[content],
            end=end.astype(np.int64),
            content=content,
            resolution=np.minimum(resolution, self._mix.shape[1] - 1).astype(np.int64),
            last_hop_mbps=self._hops[mobile, hop],
        )

    def _groups(self, count: int) -> Ints:
        """The group of each end: equal stretches of the network's order."""
        ends = len(self._world.ends)
        return (np.arange(ends) * count // ends).astype(np.int64)

    def _contents(self, drawn: Floats, mobile: Ints, second: Ints) -> Ints:
        """By inverse transform, each access and catalogue with its own taste."""
        found = np.zeros(len(drawn), dtype=np.int64)
        for number, taste in enumerate(self._taste):
            catalogue, access = divmod(number, 2)
            some = (mobile == access) & (second == catalogue)
            place = np.searchsorted(taste, drawn[some] * taste[-1], side="right")
            found[some] = np.minimum(place, len(taste) - 1) + catalogue * self._config.catalogue
        return found
