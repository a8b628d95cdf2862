"""From a solver's numbers to a Plan, and from an Infrastructure to an Instance confined to it."""

import math
from dataclasses import replace

import numpy as np

from umbel.planner.fast import GBIT, Fast
from umbel.planner.instance import Instance, with_paths
from umbel.planner.linear import Flags, Floats
from umbel.planner.problem import Resolution, Variant
from umbel.planner.result import Flow, Infrastructure, NodePlan, Plan, Power, Service

# Below these a number is the solver's rounding, not a decision.
_SHARE = 1e-7
_MBPS = 1e-5
_VCPU = 1e-5


def plan_of(fast: Fast, values: Floats) -> Plan:
    """The plan that a solution of the compact program stands for; fractions of vCPUs and servers
    are rounded up, so a node may come out with more servers than it has (see `overfull`)."""
    infrastructure = infrastructure_of(fast, values)
    services = _services(fast, values)
    slope = fast.instance.commodities.slope
    columns, places = fast.linear.columns, fast.places
    most = (slope * fast.instance.commodities.most_mbps)[places.share_commodity]
    qoe = most @ values[columns["share"]] - places.shed_slope @ values[columns["shed"]]
    return Plan(
        variant=fast.instance.variant,
        infrastructure=infrastructure,
        services=services,
        flows=_flows(fast, values),
        power=power_of(fast.instance, infrastructure),
        qoe=float(qoe),
    )


def power_of(instance: Instance, infrastructure: Infrastructure) -> Power:
    """(1b)-(1d)"""
    power, nodes = instance.problem.power, infrastructure.nodes
    vcpus = sum(node.bbu_vcpus + node.transcode_vcpus for node in nodes)
    return Power(
        servers_w=power.server_w * sum(n.servers for n in nodes) + power.vcpu_w * vcpus,
        switches_w=power.switch_w * sum(n.switch_on for n in nodes),
        routers_w=power.router_w * sum(n.router_on for n in nodes),
    )


def overfull(instance: Instance, infrastructure: Infrastructure) -> bool:
    """Whether rounding up asked a node for servers that it has not."""
    nodes = zip(infrastructure.nodes, instance.problem.network.nodes, strict=True)
    return any(plan.servers > node.servers for plan, node in nodes)


def infrastructure_of(fast: Fast, values: Floats) -> Infrastructure:
    """z, g, r, k, w, t and h of a solution."""
    instance, places, columns = fast.instance, fast.places, fast.linear.columns
    names, contents = instance.routes.names, instance.problem.demand.contents
    hosting = values[columns["z"]] > 0.5
    bbu = np.bincount(
        places.host_node,
        hosting * instance.node_array("bbu_vcpus")[instance.ends[places.host_end]],
        instance.nodes,
    )
    work = np.bincount(
        places.share_node,
        values[columns["share"]] * instance.commodities.vcpus[places.share_commodity],
        instance.nodes,
    )
    hits: dict[int, list[tuple[str, float]]] = {}
    stored = np.minimum(values[columns["hit"]], _used(fast, values))
    for n in np.flatnonzero(stored > _SHARE).tolist():
        name = contents[int(places.hit_content[n])].name
        hits.setdefault(int(places.hit_node[n]), []).append((name, float(stored[n])))
    per_server = instance.problem.network.vcpus_per_server
    nodes = []
    for n, name in enumerate(names):
        w, t = math.ceil(bbu[n] - _VCPU), math.ceil(work[n] - _VCPU)
        nodes.append(
            NodePlan(
                name=name,
                switch_on=bool(values[columns["g"][n]] > 0.5),
                router_on=bool(values[columns["r"][n]] > 0.5),
                servers=math.ceil((w + t) / per_server),
                bbu_vcpus=w,
                transcode_vcpus=t,
                hits=tuple(hits.get(n, ())),
            )
        )
    ends = instance.ends[places.host_end[hosting]].tolist()
    pairs = zip(ends, places.host_node[hosting].tolist(), strict=True)
    return Infrastructure(nodes=tuple(nodes), hosts={names[e]: names[i] for e, i in pairs})


def _used(fast: Fast, values: Floats) -> Floats:
    """The hit ratio that each cached content needs (5b): storage is free, so the program may give
    more of it than anybody uses."""
    instance, places, columns = fast.instance, fast.places, fast.linear.columns
    used = np.zeros((instance.nodes, instance.contents + 1))
    place = places.share_node, instance.commodities.content[places.share_commodity]
    np.maximum.at(used, place, values[columns["share"]])
    needed: Floats = used[places.hit_node, places.hit_content]
    return needed


def _services(fast: Fast, values: Floats) -> tuple[Service, ...]:
    instance, places, columns = fast.instance, fast.places, fast.linear.columns
    c, names = instance.commodities, instance.routes.names
    contents = [*(content.name for content in instance.problem.demand.contents), ""]
    share = values[columns["share"]]
    # What a class sheds falls on its members as they have room for it.
    room = (c.most_mbps - c.least_mbps)[places.share_commodity] * share
    total = np.bincount(places.shed_class, room, len(places.shed_end))
    part = values[columns["shed"]] / np.where(total > 0, total, 1.0)
    shed = room * np.minimum(part, 1.0)[places.shed_class]
    mbps = c.most_mbps[places.share_commodity] * share - shed
    resolutions = tuple(Resolution)
    return tuple(
        Service(
            end=names[int(instance.ends[c.end[k]])],
            content=contents[int(c.content[k])],
            resolution=resolutions[int(c.resolution[k])],
            source=names[int(places.share_node[n])],
            share=float(share[n]),
            mbps=float(mbps[n]),
        )
        for n in np.flatnonzero(share > _SHARE).tolist()
        for k in (int(places.share_commodity[n]),)
    )


def _flows(fast: Fast, values: Floats) -> tuple[Flow, ...]:
    instance, places, columns = fast.instance, fast.places, fast.linear.columns
    names = instance.routes.names
    named = [names[end] for end in instance.ends.tolist()]

    def path(number: int) -> tuple[str, ...]:
        return tuple(names[node] for node in instance.paths[number])

    mbps = values[columns["flow"]]
    flows = [
        Flow(end=named[places.flow_end[n]], path=path(places.flow_path[n]), mbps=float(mbps[n]))
        for n in np.flatnonzero(mbps > _MBPS).tolist()
    ]
    fetched = values[columns["y"]] * _needed(fast, values)[instance.path_to[places.fill_path]]
    flows += [
        Flow(end="", path=path(places.fill_path[n]), mbps=float(fetched[n]))
        for n in np.flatnonzero(fetched > _MBPS).tolist()
    ]
    return tuple(flows)


def _needed(fast: Fast, values: Floats) -> Floats:
    """The share of what a node could fetch that it has to: (3d) asks for no less, and the surplus
    costs nothing."""
    instance, places, columns = fast.instance, fast.places, fast.linear.columns
    rows = fast.linear.rows["(3d)"]
    fetched = np.bincount(
        instance.path_to[places.fill_path], values[columns["y"]] * GBIT, instance.nodes
    )
    surplus = (fast.linear.matrix()[rows, :] @ values) - fast.linear.row_lower[rows]
    part = 1.0 - np.maximum(surplus, 0.0) / np.where(fetched > 0, fetched, 1.0)
    needed: Floats = np.clip(part, 0.0, 1.0)
    return needed


def confine(instance: Instance, infrastructure: Infrastructure) -> Instance:
    """The instance with z, g and r as given: hosts are single, dark nodes serve nothing, and
    paths touch no switch or router that is off."""
    index = {name: number for number, name in enumerate(instance.routes.names)}
    switch, router = _switches(instance, infrastructure)
    chosen = np.zeros_like(instance.may_host)
    for number, end in enumerate(instance.ends.tolist()):
        host = infrastructure.hosts.get(instance.routes.names[end])
        chosen[end if host is None else index[host], number] = True
    passes = instance.on_node @ (~router).astype(np.float64)
    gates = instance.at_gate @ (~switch).astype(np.float64)
    keep = np.flatnonzero((passes == 0) & (gates == 0)).tolist()
    serves = instance.serves & switch[:, None]
    if instance.variant is Variant.VIRCA3:
        serves &= chosen | (np.arange(instance.nodes) == instance.routes.pop)[:, None]
    lit = with_paths(instance, tuple(instance.paths[n] for n in keep))
    return replace(lit, serves=serves, may_host=instance.may_host & chosen)


def _switches(instance: Instance, infrastructure: Infrastructure) -> tuple[Flags, Flags]:
    """Switches and routers that are of use: behind a dark router a node hears nothing (3d)."""
    index = {name: number for number, name in enumerate(instance.routes.names)}
    switch = np.zeros(instance.nodes, dtype=bool)
    router = np.zeros(instance.nodes, dtype=bool)
    for node in infrastructure.nodes:
        router[index[node.name]] = node.router_on
        heard = node.router_on or index[node.name] == instance.routes.pop
        switch[index[node.name]] = node.switch_on and heard
    return switch, router


def fix_switches(fast: Fast, infrastructure: Infrastructure) -> Fast:
    """The program of a confined instance with its g and r at the given values."""
    lower, upper = fast.linear.lower.copy(), fast.linear.upper.copy()
    on = _switches(fast.instance, infrastructure)
    for letter, state in zip("gr", on, strict=True):
        columns = fast.linear.columns[letter]
        lower[columns] = upper[columns] = state
    return replace(fast, linear=replace(fast.linear, lower=lower, upper=upper))


def darken(fast: Fast, infrastructure: Infrastructure) -> Fast:
    """The whole program with z, g and r as given, and nothing where `confine` leaves it out: same
    columns and rows, so that a basis still fits."""
    instance, at = fast.instance, fast.places
    lit = confine(instance, infrastructure)
    fixed = fix_switches(fast, infrastructure)
    lower, upper, columns = fixed.linear.lower, fixed.linear.upper, fixed.linear.columns
    index = {path: number for number, path in enumerate(instance.paths)}
    open_path = np.zeros(len(instance.paths), dtype=bool)
    open_path[[index[path] for path in lit.paths]] = True
    lands = lit.may_host[instance.path_to[at.flow_path], at.flow_end]
    users: Flags = np.asarray(lit.serves.any(axis=1))
    end = instance.commodities.end[at.share_commodity]
    dark = {
        "flow": ~(open_path[at.flow_path] & lands),
        "y": ~open_path[at.fill_path],
        "share": ~lit.serves[at.share_node, end],
        "shed": ~lit.serves[at.shed_node, at.shed_end],
        "hit": ~users[at.hit_node],
    }
    for family, none in dark.items():
        upper[columns[family][none]] = 0.0
    hosting = lit.may_host[at.host_node, at.host_end].astype(np.float64)
    lower[columns["z"]] = upper[columns["z"]] = hosting
    return fixed
