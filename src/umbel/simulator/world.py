"""The network by numbers, as both engines read it: a Config in, a World out.

Everything that carries traffic is a resource with a capacity in Mbit/s: lightpath bundles (3f),
routers (3g), switches (3h) and base stations' radio (3a). A path is a list of resources.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from umbel.planner import paths, presets, topologies
from umbel.planner.linear import Flags, Floats, Ints
from umbel.planner.paths import Routes
from umbel.planner.problem import Access, Network, PowerModel, QoeModel, Routing
from umbel.planner.result import Infrastructure
from umbel.simulator.config import Config, PowerScale, Topology

BYTES_PER_GB = 10**9
Path = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """What does not change while a run lasts. Nodes and ends are numbers in the routes' order;
    `path_resources[path_starts[p]:path_starts[p + 1]]` are what path p uses."""

    network: Network
    routing: Routing
    qoe: QoeModel
    power: PowerModel
    routes: Routes
    names: tuple[str, ...]
    ends: tuple[str, ...]
    mobile: Flags  # by end
    paths: tuple[Path, ...]
    path_from: Ints
    path_starts: Ints
    path_resources: Ints
    capacity_mbps: Floats  # by resource, no base band deported
    radio: Ints  # by end: its resource, -1 where there is none
    storage_bytes: Ints  # by node

    @cached_property
    def path_number(self) -> Mapping[Path, int]:
        """The number of each path."""
        return {path: number for number, path in enumerate(self.paths)}

    @cached_property
    def node_number(self) -> Mapping[str, int]:
        """The number of each node."""
        return {name: number for number, name in enumerate(self.names)}

    def resources_of(self, path: int) -> Ints:
        """What a path uses."""
        return self.path_resources[self.path_starts[path] : self.path_starts[path + 1]]

    def capacity_under(self, on: Infrastructure) -> Floats:
        """Capacities in Mbit/s: a base band away from its site takes lightpaths (3f)."""
        capacity = self.capacity_mbps.copy()
        number = {(i, j): n for n, (i, j, _count) in enumerate(self.routes.lightpaths)}
        cpri_mbps = self.network.cpri_lightpaths * self.network.lightpath_mbps
        for end, host in on.hosts.items():
            if host != end:
                capacity[number[self.node_number[host], self.node_number[end]]] -= cpri_mbps
        return capacity

    def vcpus_under(self, on: Infrastructure) -> Floats:
        """vCPUs of each node that transcoding may use: those of running servers without base
        bands; none where the switch is off."""
        found = np.zeros(len(self.names))
        for node in on.nodes:
            if node.switch_on:
                running = node.servers * self.network.vcpus_per_server
                found[self.node_number[node.name]] = running - node.bbu_vcpus
        return found


def build(config: Config) -> World:
    """The world of a config."""
    fmc = config.topology is Topology.FMC_TREE
    network = topologies.fmc_tree() if fmc else topologies.mobile_backhaul()
    nodes = tuple(
        replace(
            node,
            servers=config.servers,
            storage_gb=config.storage_gb,
            bbu_vcpus=config.bbu_vcpus,
        )
        for node in network.nodes
    )
    network = replace(network, nodes=nodes, vcpus_per_server=config.vcpus_per_server)
    routing = presets.FMC_ROUTING if fmc else presets.BACKHAUL_ROUTING
    scale = {PowerScale.PAPER: presets.PAPER_POWER, PowerScale.LOW: presets.LOW_POWER}
    return of_network(network, routing, presets.LADDER_QOE, scale[config.power])


def of_network(network: Network, routing: Routing, qoe: QoeModel, power: PowerModel) -> World:
    """Any network as a world. Raises BadProblem, TooManyPaths."""
    routes = paths.find_routes(network, routing)
    ends = [network.nodes[end] for end in routes.ends]
    mobile = np.array([end.access is Access.MOBILE for end in ends], dtype=bool)
    bundles, nodes = len(routes.lightpaths), len(network.nodes)
    used = [_resources(path, routes, nodes) for path in routes.paths]
    radio = np.where(mobile, bundles + 2 * nodes + np.cumsum(mobile) - 1, -1)
    capacity = [count * network.lightpath_mbps for _i, _j, count in routes.lightpaths]
    capacity += [node.router_mbps for node in network.nodes]
    capacity += [node.switch_mbps for node in network.nodes]
    capacity += [end.radio_mbps for end in ends if end.access is Access.MOBILE]
    storage = [int(node.storage_gb * BYTES_PER_GB) for node in network.nodes]
    return World(
        network=network,
        routing=routing,
        qoe=qoe,
        power=power,
        routes=routes,
        names=routes.names,
        ends=tuple(end.name for end in ends),
        mobile=mobile,
        paths=tuple(tuple(routes.names[node] for node in path) for path in routes.paths),
        path_from=np.array([path[0] for path in routes.paths], dtype=np.int64),
        path_starts=np.cumsum([0, *(len(some) for some in used)]).astype(np.int64),
        path_resources=np.array([one for some in used for one in some], dtype=np.int64),
        capacity_mbps=np.array(capacity, dtype=np.float64),
        radio=radio.astype(np.int64),
        storage_bytes=np.array(storage, dtype=np.int64),
    )


def _resources(path: tuple[int, ...], routes: Routes, nodes: int) -> list[int]:
    """Bundles, then routers passed, then the switches at both ends; one node: its switch alone."""
    number = {(i, j): n for n, (i, j, _count) in enumerate(routes.lightpaths)}
    bundles = len(routes.lightpaths)
    found = [number[hop] for hop in pairwise(path)]
    if len(path) > 1:
        found += [bundles + node for node in path]
    return [*found, *(bundles + nodes + node for node in sorted({path[0], path[-1]}))]
