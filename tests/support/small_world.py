"""A small network on which everything is scarce, with random steering plans and viewers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from umbel.planner import admission, presets
from umbel.planner.admission import Guide, Lane
from umbel.planner.linear import Floats
from umbel.planner.problem import (
    Access,
    Demand,
    Kind,
    Link,
    Network,
    Node,
    Resolution,
    Routing,
    Variant,
)
from umbel.planner.result import Infrastructure, NodePlan, Plan, Power
from umbel.simulator import steering_plans, world
from umbel.simulator.ports import SteeringPlan
from umbel.simulator.requests import Catalogue, Requests
from umbel.simulator.world import World

CONTENTS = 12
KINDS = tuple(Kind)
RESOLUTIONS = tuple(Resolution)


def small_world(lightpath_mbps: float = 60.0, storage_gb: float = 0.002) -> World:
    """pop - core - two homes and two masts; two servers a node."""
    plain: dict[str, Any] = {
        "servers": 2,
        "storage_gb": storage_gb,
        "router_mbps": 400.0,
        "switch_mbps": 300.0,
    }
    nodes = [Node(name="pop", **plain), Node(name="core", level=1, **plain)]
    for number in (1, 2):
        for name, access in (("home", Access.FIXED), ("mast", Access.MOBILE)):
            nodes.append(
                Node(
                    name=f"{name}-{number}",
                    access=access,
                    level=2,
                    bbu_vcpus=2.0,
                    radio_mbps=25.0,
                    **plain,
                )
            )
    links = [Link(a="pop", b="core")] + [
        Link(a="core", b=node.name, lightpaths=2) for node in nodes[2:]
    ]
    network = Network(
        nodes=tuple(nodes),
        links=tuple(links),
        pop="pop",
        vcpus_per_server=6,
        lightpath_mbps=lightpath_mbps,
    )
    return world.of_network(network, Routing(), presets.LADDER_QOE, presets.PAPER_POWER)


def catalogue(random: np.random.Generator) -> Catalogue:
    """A dozen contents of 0.1 to 1 MB, so that a cache holds some of them."""
    return Catalogue(
        names=tuple(f"c{n}" for n in range(CONTENTS)),
        kind=random.integers(0, len(KINDS), CONTENTS),
        duration_s=random.choice([10.0, 60.0, 240.0], CONTENTS),
        size_bytes=random.integers(100_000, 2_500_000, CONTENTS),
        uhd=random.random(CONTENTS) < 0.3,
    )


def viewers(
    random: np.random.Generator, there: World, contents: Catalogue, count: int, span_s: float
) -> Requests:
    """Requests at times on a coarse grid, so that some coincide with others and with departures."""
    time_s: Floats = np.sort(np.round(random.uniform(0, span_s, count)))
    content = np.minimum(random.geometric(0.25, count) - 1, CONTENTS - 1)
    watched = random.choice([0.0, 0.5, 1.0], count, p=[0.1, 0.4, 0.5])
    return Requests(
        time_s=time_s,
        until_s=time_s + contents.duration_s[content] * watched,
        end=random.integers(0, len(there.ends), count),
        content=content.astype(np.int64),
        resolution=random.integers(0, len(RESOLUTIONS), count),
        last_hop_mbps=random.choice([0.3, 2.0, 10.0, np.inf], count),
    )


def some_steering(random: np.random.Generator, there: World, contents: Catalogue) -> SteeringPlan:
    """Some nodes on, some base bands away from their site, and lanes of any size."""
    base = steering_plans.nearest(there, contents.kind)
    on = _some_infrastructure(random, there)
    paths = {
        end: tuple(path for path in some if random.random() < 0.8)
        for end, some in _lit(there, on).items()
    }
    bundles = {}
    ends: dict[str, dict[tuple[str, ...], float]] = {}
    for end, some in paths.items():
        for name in ("", *base.names):
            for resolution in RESOLUTIONS:
                if some and random.random() < 0.3:
                    chosen = random.choice(len(some), min(len(some), 3), replace=False)
                    lanes = [Lane(path=some[n], mbps=float(random.uniform(0, 8))) for n in chosen]
                    bundles[end, name, resolution] = tuple(lanes)
                    for lane in lanes:
                        of = ends.setdefault(end, {})
                        of[lane.path] = of.get(lane.path, 0.0) + lane.mbps
    whole = {
        end: tuple(Lane(path=path, mbps=mbps) for path, mbps in of.items())
        for end, of in ends.items()
    }
    guide = Guide(
        problem=base.guide.problem,
        bundles=bundles,
        ends=whole,
        paths=paths,
        contents=base.guide.contents,
    )
    labels = np.where(random.random(CONTENTS) < 0.3, -1, contents.kind)
    fills = {n: some for n, some in base.fills.items() if random.random() < 0.8}
    return replace(base, why="some", guide=guide, infrastructure=on, fills=fills, labels=labels)


def _lit(there: World, on: Infrastructure) -> Mapping[str, tuple[tuple[str, ...], ...]]:
    nothing = Plan(
        variant=Variant.VIRCA,
        infrastructure=on,
        services=(),
        flows=(),
        power=Power(servers_w=0.0, switches_w=0.0, routers_w=0.0),
        qoe=0.0,
    )
    problem = steering_plans.problem_of(there, Demand(contents=(), bundles=()))
    return admission.guide_of(problem, there.routes, nothing).paths


def _some_infrastructure(random: np.random.Generator, there: World) -> Infrastructure:
    everything = steering_plans.everything_on(there)
    nodes = tuple(
        NodePlan(
            name=node.name,
            switch_on=bool(random.random() < 0.9),
            router_on=bool(random.random() < 0.9),
            servers=int(random.integers(0, 4)),
            bbu_vcpus=node.bbu_vcpus,
            transcode_vcpus=0,
        )
        for node in everything.nodes
    )
    hosts = {end: "core" if random.random() < 0.3 else end for end in everything.hosts}
    return Infrastructure(nodes=nodes, hosts=hosts)
