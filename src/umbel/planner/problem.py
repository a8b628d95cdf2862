"""What a planning problem is made of: frozen values with their units. No rule lives here.

`checks` says what is wrong with one, `presets` holds known parameters, `topologies` known
networks, `clustering` makes a Demand of observations. The symbols of the paper are in brackets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Access(StrEnum):
    """What a node connects: nothing, homes over fibre, or phones over a base station."""

    TRANSIT = "transit"
    FIXED = "fixed"
    MOBILE = "mobile"


class Kind(StrEnum):
    """Content types, in rising order of picture complexity."""

    TOON = "toon"
    MOVIE = "movie"
    SPORT = "sport"


class Resolution(StrEnum):
    """Requested picture heights, rising [S]."""

    R360 = "360p"
    R720 = "720p"
    R1080 = "1080p"
    R2160 = "2160p"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A micro data centre with an optical cross-connect, a switch, an IP router and servers.

    `level` counts from 0 at the PoP, for reports only. `bbu_vcpus` [d_e] and `radio_mbps`
    [C_e^LTE] matter for mobile sites only. `connectivity_mbps` [b_i] is kept free from the PoP to
    every fixed site and every host of base bands.
    """

    name: str
    access: Access = Access.TRANSIT
    level: int = 0
    servers: int = 20
    storage_gb: float = 500.0
    switch_mbps: float = 320_000.0
    router_mbps: float = 640_000.0
    connectivity_mbps: float = 1.0
    bbu_vcpus: float = 8.0
    radio_mbps: float = 1000.0


@dataclass(frozen=True, kw_only=True)
class Link:
    """A fibre between two nodes; `lightpaths` [c_l] in each direction end at both neighbours."""

    a: str
    b: str
    lightpaths: int = 4


@dataclass(frozen=True, kw_only=True)
class Network:
    """Nodes, fibres, and what one lightpath carries [C^WDM].

    `bypass_lightpaths` is the size of the bundle between two nodes that are not neighbours, and
    `cpri_lightpaths` how many of a bundle one deported base band takes.
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    pop: str
    vcpus_per_server: int = 12
    lightpath_mbps: float = 10_000.0
    bypass_lightpaths: int = 2
    cpri_lightpaths: int = 1


@dataclass(frozen=True, kw_only=True)
class Routing:
    """Which paths are looked at. Bounded, because paths x contents is the size of the problem.

    An IP path is a chain of at most `lightpaths_per_path` lightpaths. With `follow_fibre` it is a
    physical route (the `routes_per_pair` shortest, at most `detour_hops` longer than the best)
    cut into lightpaths; without, any chain of those lightpaths. `bypass`: a lightpath may pass
    nodes without touching their routers. A base band may move `cpri_reach_hops` fibres away. An
    end is served by itself, the PoP, and nodes at most `serve_reach_hops` fibres away.
    """

    bypass: bool = True
    follow_fibre: bool = True
    lightpaths_per_path: int = 3
    routes_per_pair: int = 1
    detour_hops: int = 0
    cpri_reach_hops: int = 1
    serve_reach_hops: int = 64
    ends_relay: bool = False
    ends_serve_others: bool = False
    most_paths: int = 100_000


@dataclass(frozen=True, kw_only=True)
class PowerModel:
    """Watts: a running server, each vCPU in use, a switch that is on, a router in use (1c, 1d)."""

    server_w: float = 106.4
    vcpu_w: float = 10.417
    switch_w: float = 2020.0
    router_w: float = 4550.0


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """One kind at one resolution: the rates of least and best quality [b_min, b_max] in Mbit/s,
    the quality score at the best rate, and the vCPUs to transcode into it [d]."""

    min_mbps: float
    max_mbps: float
    score: float
    vcpus: float

    @property
    def score_per_mbps(self) -> float:
        """Slope of the linear quality model [a]."""
        return self.score / self.max_mbps


@dataclass(frozen=True, kw_only=True)
class QoeModel:
    """Encodings of known kinds, and of contents not seen yet [u].

    Requests for unseen contents are at most `unknown_share` of the known demand of the same site
    and resolution: without a cap the best quality would be to serve them without end.
    """

    known: Mapping[tuple[Kind, Resolution], Encoding]
    unknown: Mapping[Resolution, Encoding]
    unknown_share: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Content:
    """A content, or a cluster that stands for many [m].

    `size_gb` is what storing it all takes (a cluster: the sum of its members); `mean_gb` what one
    cache miss fetches. 1 GB is 8000 Mbit.
    """

    name: str
    kind: Kind
    size_gb: float
    mean_gb: float
    uhd: bool = False


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Parallel requests [v_ems] from one end node for one content at one resolution, each
    watched for `watch_s` seconds on average [wd_ems]."""

    end: str
    content: str
    resolution: Resolution
    parallel: float
    watch_s: float


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The contents [M] and the bundles of requests for them; absent bundles are zero."""

    contents: tuple[Content, ...]
    bundles: tuple[Bundle, ...]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything the planner knows. `miss_share` [kappa] is the share of requests a reactive
    cache must fetch from the PoP."""

    network: Network
    demand: Demand
    qoe: QoeModel
    routing: Routing = field(default_factory=Routing)
    power: PowerModel = field(default_factory=PowerModel)
    miss_share: float = 0.5


class Variant(StrEnum):
    """The paper's planner and its two competitors."""

    VIRCA = "virca"
    VIRCA2 = "virca2"  # no base band leaves its site
    VIRCA3 = "virca3"  # caching only at the end node (or its base band's host) and the PoP


@dataclass(frozen=True, kw_only=True)
class Tradeoff:
    """Least `power_w - gamma x QoE` (1a). gamma is without unit: 1 weighs the whole demand at
    its best quality as much as everything switched on."""

    gamma: float = 1.0


@dataclass(frozen=True, kw_only=True)
class LeastPower:
    """Least power with a total QoE of at least `qoe_floor`."""

    qoe_floor: float


Goal = Tradeoff | LeastPower


@dataclass(frozen=True, kw_only=True)
class Effort:
    """When to be content: seconds of solving, and a gap as a share of the power with everything
    on. The objective may pass through zero, so a gap relative to it would mean nothing."""

    time_s: float = 60.0
    gap_share: float = 0.005
