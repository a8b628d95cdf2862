"""A plan when time ran out before there was one: no request is served, or everything is on.

Neither is sought: the first is put down at once and checked, the second is one linear program in
the time that was kept back. Both may fail where capacities are scarce.
"""

import numpy as np

from umbel.planner import decode, fast, rca
from umbel.planner.fast import Fast
from umbel.planner.highs import Limits, Session, Word
from umbel.planner.instance import Instance
from umbel.planner.linear import Floats
from umbel.planner.problem import LeastPower
from umbel.planner.result import Infrastructure, NodePlan, Plan

_TOLERANCE = 1e-6
_FLOOR = 1e-6


def plans(program: Fast, limits: Limits) -> tuple[list[Plan], float]:
    """The plans of the two that keep every rule, and the solver's seconds."""
    idle = idle_values(program)
    found = [] if idle is None else [decode.plan_of(program, idle)]
    busy, spent_s = _everything_on(program, limits)
    found += [] if busy is None else [busy]
    instance, goal = program.instance, program.goal
    floor = goal.qoe_floor * (1 - _FLOOR) if isinstance(goal, LeastPower) else 0.0
    fit = [one for one in found if not decode.overfull(instance, one.infrastructure)]
    return [one for one in fit if one.qoe >= floor], spent_s


def idle_values(program: Fast) -> Floats | None:
    """A solution in which base bands stay at home and no request is served; None where it breaks a
    rule."""
    if program.whole_servers:
        return None
    instance, at, columns = program.instance, program.places, program.linear.columns
    values = np.zeros(len(program.linear.cost))
    home = at.host_node == instance.ends[at.host_end]
    values[columns["z"][home]] = 1.0
    vcpus = instance.node_array("bbu_vcpus")[instance.ends[at.host_end[home]]]
    values[columns["u"]] = np.bincount(at.host_node[home], vcpus, instance.nodes)
    on = fast.must_be_on(instance)
    on[at.host_node[home]] = 1.0
    router = on.copy()
    for node in np.flatnonzero(on).tolist():
        _fetch(program, values, router, node)
    if on.any():
        on[instance.routes.pop] = 1.0
    values[columns["g"]], values[columns["r"]] = on, router
    return values if _keeps_rules(program, values) else None


def _fetch(program: Fast, values: Floats, router: Floats, node: int) -> None:
    """What a node always hears from the PoP, over the fewest lightpaths."""
    instance, at = program.instance, program.places
    ways = np.flatnonzero(instance.path_to[at.fill_path] == node).tolist()
    if not ways:
        return
    way = min(ways, key=lambda n: len(instance.paths[at.fill_path[n]]))
    hosted = at.host_node[values[program.linear.columns["z"]] > 0]
    fixed = instance.ends[~instance.mobile]
    times = int((hosted == node).sum()) + int((fixed == node).sum())
    values[program.linear.columns["y"][way]] = (
        times * instance.node_array("connectivity_mbps")[node]
    )
    router[list(instance.paths[at.fill_path[way]])] = 1.0


def _keeps_rules(program: Fast, values: Floats) -> bool:
    linear = program.linear
    activity = linear.matrix() @ values
    rows = (activity >= linear.row_lower - _TOLERANCE) & (activity <= linear.row_upper + _TOLERANCE)
    columns = (values >= linear.lower - _TOLERANCE) & (values <= linear.upper + _TOLERANCE)
    return bool(rows.all() and columns.all())


def _everything_on(program: Fast, limits: Limits) -> tuple[Plan | None, float]:
    """The best quality with every node on and base bands at home."""
    instance = program.instance
    infrastructure = _all_on(instance)
    confined = decode.confine(instance, infrastructure)
    lit = rca.build(confined, infrastructure)
    outcome = Session(lit.linear).run(limits)
    if outcome.word is not Word.OPTIMAL or outcome.values is None:
        return None, outcome.run_s
    return decode.plan_of(lit, outcome.values), outcome.run_s


def _all_on(instance: Instance) -> Infrastructure:
    network, names = instance.problem.network, instance.routes.names
    bbu = np.zeros(instance.nodes)
    moving = instance.ends[instance.mobile]
    bbu[moving] = np.ceil(instance.node_array("bbu_vcpus")[moving])
    nodes = tuple(
        NodePlan(
            name=node.name,
            switch_on=True,
            router_on=True,
            servers=node.servers,
            bbu_vcpus=int(bbu[number]),
            transcode_vcpus=max(0, node.servers * network.vcpus_per_server - int(bbu[number])),
        )
        for number, node in enumerate(network.nodes)
    )
    return Infrastructure(nodes=nodes, hosts={names[end]: names[end] for end in moving.tolist()})
