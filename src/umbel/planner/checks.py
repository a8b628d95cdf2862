"""What is wrong with a Problem: all of it at once, each thing by name. Nothing is repaired."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields

from umbel.kit.errors import Invalid
from umbel.planner.problem import (
    Access,
    Bundle,
    Content,
    Demand,
    Encoding,
    Kind,
    Link,
    Network,
    Node,
    PowerModel,
    Problem,
    QoeModel,
    Resolution,
    Routing,
)

_TINY = 1e-6


class BadProblem(Invalid):
    """The planning problem cannot be solved as stated."""

    code = "umbel.bad_problem"


# Class -> field -> (least, most, unit). Least is above zero where the model divides by it, or
# where zero would be a thing that can carry nothing.
_RANGES: dict[type, dict[str, tuple[float, float, str]]] = {
    Node: {
        "level": (0, 100, ""),
        "servers": (1, 100_000, "servers"),
        "storage_gb": (_TINY, 1e8, "GB"),
        "switch_mbps": (1, 1e9, "Mbit/s"),
        "router_mbps": (1, 1e9, "Mbit/s"),
        "connectivity_mbps": (_TINY, 1e6, "Mbit/s"),
        "bbu_vcpus": (_TINY, 1e6, "vCPU"),
        "radio_mbps": (1, 1e7, "Mbit/s"),
    },
    Link: {"lightpaths": (1, 10_000, "lightpaths")},
    Network: {
        "vcpus_per_server": (1, 4096, "vCPU"),
        "lightpath_mbps": (1, 1e7, "Mbit/s"),
        "bypass_lightpaths": (1, 10_000, "lightpaths"),
        "cpri_lightpaths": (0, 10_000, "lightpaths"),
    },
    Routing: {
        "lightpaths_per_path": (1, 64, "lightpaths"),
        "routes_per_pair": (1, 1000, "routes"),
        "detour_hops": (0, 64, "hops"),
        "cpri_reach_hops": (0, 64, "hops"),
        "serve_reach_hops": (0, 64, "hops"),
        "most_paths": (1, 1e8, "paths"),
    },
    PowerModel: {
        "server_w": (0, 1e5, "W"),
        "vcpu_w": (_TINY, 1e4, "W"),
        "switch_w": (_TINY, 1e6, "W"),
        "router_w": (_TINY, 1e6, "W"),
    },
    Encoding: {
        "min_mbps": (_TINY, 1e4, "Mbit/s"),
        "max_mbps": (_TINY, 1e4, "Mbit/s"),
        "score": (_TINY, 1e6, ""),
        "vcpus": (_TINY, 1e4, "vCPU"),
    },
    QoeModel: {"unknown_share": (0, 10, "")},
    Content: {"size_gb": (_TINY, 1e9, "GB"), "mean_gb": (_TINY, 1e6, "GB")},
    Bundle: {"parallel": (0, 1e9, "requests"), "watch_s": (_TINY, 1e7, "s")},
    Problem: {"miss_share": (_TINY, 1, "")},
}
# Counted things.
_WHOLE = frozenset(field.name for kind in _RANGES for field in fields(kind) if field.type is int)


def check(problem: Problem) -> None:
    """Raises BadProblem with every problem in `details["problems"]`."""
    problems = list(inspect(problem))
    if problems:
        raise BadProblem(f"The planning problem has {len(problems)} fault(s)", problems=problems)


def inspect(problem: Problem) -> Iterator[str]:
    """What is wrong, one sentence each; nothing where all is well."""
    yield from _in_range("problem", problem)
    yield from _in_range("routing", problem.routing)
    yield from _in_range("power", problem.power)
    yield from inspect_network(problem.network, problem.routing)
    yield from _qoe(problem.qoe)
    yield from _demand(problem.demand, problem.network)


def inspect_network(network: Network, routing: Routing) -> Iterator[str]:
    """What is wrong with the network alone."""
    yield from _in_range("network", network)
    names = [node.name for node in network.nodes]
    yield from _unique("node", names)
    for node in network.nodes:
        yield from _in_range(f"node {node.name!r}", node)
    known = set(names)
    if network.pop not in known:
        yield f"pop {network.pop!r} is not a node"
    for link in network.links:
        yield from _in_range(f"link {link.a}-{link.b}", link)
        yield from (f"link {link.a}-{link.b}: unknown node {n!r}" for n in _absent(link, known))
        if link.a == link.b:
            yield f"link {link.a}-{link.b}: joins a node to itself"
    yield from _unique("link", ["-".join(sorted((link.a, link.b))) for link in network.links])
    yield from _unreached(network, routing)


def _absent(link: Link, known: set[str]) -> list[str]:
    return sorted({link.a, link.b} - known)


def _unreached(network: Network, routing: Routing) -> Iterator[str]:
    """Nodes without a way to the PoP; end nodes pass nothing on unless they relay."""
    near: dict[str, set[str]] = {node.name: set() for node in network.nodes}
    for link in network.links:
        if link.a in near and link.b in near:
            near[link.a].add(link.b)
            near[link.b].add(link.a)
    ends = {n.name for n in network.nodes if n.access is not Access.TRANSIT and n.name in near}
    if network.pop not in near:
        return
    seen, queue = {network.pop}, [network.pop]
    for name in queue:
        if name in ends and name != network.pop and not routing.ends_relay:
            continue
        fresh = sorted(near[name] - seen)
        seen.update(fresh)
        queue.extend(fresh)
    yield from (
        f"node {name!r} cannot be reached from the pop" for name in near if name not in seen
    )


def _qoe(qoe: QoeModel) -> Iterator[str]:
    yield from _in_range("qoe", qoe)
    for kind in Kind:
        for resolution in Resolution:
            if (kind, resolution) not in qoe.known:
                yield f"qoe: no encoding of {kind} at {resolution}"
    for (kind, resolution), encoding in qoe.known.items():
        yield from _encoding(f"encoding {kind}/{resolution}", encoding)
    for resolution in Resolution:
        if resolution not in qoe.unknown:
            yield f"qoe: no encoding of unknown contents at {resolution}"
    for resolution, encoding in qoe.unknown.items():
        yield from _encoding(f"encoding unknown/{resolution}", encoding)


def _encoding(title: str, encoding: Encoding) -> Iterator[str]:
    wrong = list(_in_range(title, encoding))
    yield from wrong
    if not wrong and encoding.min_mbps > encoding.max_mbps:
        yield f"{title}: min_mbps {encoding.min_mbps} is above max_mbps {encoding.max_mbps}"


def _demand(demand: Demand, network: Network) -> Iterator[str]:
    names = [content.name for content in demand.contents]
    yield from _unique("content", names)
    for content in demand.contents:
        title = f"content {content.name!r}"
        wrong = list(_in_range(title, content))
        yield from wrong
        if not wrong and content.mean_gb > content.size_gb * (1 + _TINY):
            yield f"{title}: mean_gb {content.mean_gb} is above size_gb {content.size_gb}"
    ends = {node.name for node in network.nodes if node.access is not Access.TRANSIT}
    contents = set(names)
    keys = []
    for bundle in demand.bundles:
        title = f"bundle {bundle.end}/{bundle.content}/{bundle.resolution}"
        keys.append(title.removeprefix("bundle "))
        yield from _in_range(title, bundle)
        if bundle.end not in ends:
            yield f"{title}: {bundle.end!r} is not an end node"
        if bundle.content not in contents:
            yield f"{title}: {bundle.content!r} is not a content"
    yield from _unique("bundle", keys)


def _unique(title: str, names: Iterable[str]) -> Iterator[str]:
    yield from (
        f"{title} {name!r} is named {n} times" for name, n in Counter(names).items() if n > 1
    )


def _in_range(title: str, value: object) -> Iterator[str]:
    for name, (least, most, unit) in _RANGES[type(value)].items():
        number = getattr(value, name)
        if isinstance(number, bool) or not isinstance(number, int | float):
            yield f"{title}: {name} is {number!r}, not a number"
        elif isinstance(number, float) and name in _WHOLE and not number.is_integer():
            yield f"{title}: {name} is {number}, not a whole number"
        elif not math.isfinite(number) or not least <= number <= most:
            yield f"{title}: {name} is {number}, outside {least:g}..{most:g} {unit}".rstrip()
