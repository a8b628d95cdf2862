"""The compact program for production, with the same optimum as the literal one.

1. A path only meets capacities through the sum of an end's commodities, so flows are kept for
   (end, path) and split back in proportion.
2. x = b_max v f less what is shed, and shedding is kept for (end, source, slope): who sheds within
   one slope of the quality model makes no difference, so (2) is one row for each such class.
3. k, w and t become one fraction u at the price of a full server's vCPU, a lower bound that
   `solve` rounds up afterwards; or stay whole with `whole_servers`.
4. Cuts that only exclude what costs and gives nothing: g <= r, z <= g, no service from a dark node.
Flow rows are in Gbit/s, vCPU rows in hundreds, storage rows in units of the node.
"""

from dataclasses import dataclass

import numpy as np

from umbel.planner.instance import Instance
from umbel.planner.linear import INFINITE, Assembly, Floats, Ints, Linear
from umbel.planner.problem import Goal, LeastPower, Tradeoff, Variant

GBIT = 1e-3
HUNDRED = 1e-2


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """What each column family is about: parallel arrays of numbers."""

    share_commodity: Ints  # of `share`
    share_node: Ints
    shed_class: Ints  # share -> its class
    shed_end: Ints  # of `shed`, by class
    shed_node: Ints
    shed_slope: Floats
    hit_node: Ints
    hit_content: Ints
    host_node: Ints  # of `z`
    host_end: Ints
    flow_end: Ints
    flow_path: Ints
    fill_path: Ints  # of `y`
    balance: Ints  # end x nodes + node of each row of (3b)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fast:
    """The program and what its columns are about."""

    linear: Linear
    places: Places
    instance: Instance
    goal: Goal
    whole_servers: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class _Draft:
    assembly: Assembly
    instance: Instance
    places: Places
    share: Ints
    shed: Ints
    hit: Ints
    z: Ints
    g: Ints
    r: Ints
    vcpu: Ints  # u, or w and t one after the other
    servers: Ints  # k, empty without whole servers
    flow: Ints
    y: Ints


def build(instance: Instance, goal: Goal = Tradeoff(), *, whole_servers: bool = False) -> Fast:
    """The compact program of an instance that has its paths."""
    places = find_places(instance)
    draft = _columns(Assembly(), instance, places, goal, whole_servers)
    for define in _FAMILIES:
        define(draft)
    if instance.variant is Variant.VIRCA3:
        _edge_caching(draft)
    if isinstance(goal, LeastPower):
        _floor(draft, goal.qoe_floor)
    linear = draft.assembly.done()
    return Fast(
        linear=linear, places=places, instance=instance, goal=goal, whole_servers=whole_servers
    )


def find_places(instance: Instance) -> Places:
    """The columns that may be other than zero."""
    share_commodity, share_node = np.nonzero(instance.serves.T[instance.commodities.end])
    slopes, slope = np.unique(instance.commodities.slope, return_inverse=True)
    end = instance.commodities.end[share_commodity]
    key = (end * instance.nodes + share_node) * len(slopes) + slope[share_commodity]
    keys, shed_class = np.unique(key, return_inverse=True)
    users = np.unique(share_node)
    hit_node, hit_content = np.meshgrid(users, np.arange(instance.contents), indexing="ij")
    host_node, host_end = np.nonzero(instance.may_host & instance.mobile[None, :])
    leads = instance.serves[instance.path_from] & instance.may_host[instance.path_to]
    flow_end, flow_path = np.nonzero(leads.T)
    pop = instance.routes.pop
    served = end * instance.nodes + share_node
    sent = flow_end * instance.nodes + instance.path_from[flow_path]
    return Places(
        balance=np.unique(np.concatenate([served, sent])),
        share_commodity=share_commodity,
        share_node=share_node,
        shed_class=shed_class,
        shed_end=keys // len(slopes) // instance.nodes,
        shed_node=keys // len(slopes) % instance.nodes,
        shed_slope=slopes[keys % len(slopes)],
        hit_node=hit_node.ravel(),
        hit_content=hit_content.ravel(),
        host_node=host_node,
        host_end=host_end,
        flow_end=flow_end,
        flow_path=flow_path,
        fill_path=np.flatnonzero((instance.path_from == pop) & (instance.path_to != pop)),
    )


def _columns(
    assembly: Assembly, instance: Instance, places: Places, goal: Goal, whole_servers: bool
) -> _Draft:
    c, n, power = instance.commodities, instance.nodes, instance.problem.power
    per_qoe = instance.watts_per_qoe(goal)
    some = places.share_commodity
    gain = -per_qoe * c.slope[some]
    on = must_be_on(instance)
    per_server = instance.problem.network.vcpus_per_server
    # (6a) and (6b) bound these; a second bound would hide which of them is short.
    price = power.vcpu_w + (0.0 if whole_servers else power.server_w / per_server)
    family, width = ("wt", 2 * n) if whole_servers else ("u", n)
    vcpu = assembly.columns(family, width, cost=price, integer=whole_servers)
    count = n if whole_servers else 0
    servers = assembly.columns("k", count, cost=power.server_w, integer=True)
    return _Draft(
        assembly=assembly,
        instance=instance,
        places=places,
        vcpu=vcpu,
        servers=servers,
        z=assembly.columns("z", len(places.host_node), upper=1.0, integer=True),
        g=assembly.columns("g", n, lower=on, upper=1.0, cost=power.switch_w, integer=True),
        r=assembly.columns("r", n, lower=on, upper=1.0, cost=power.router_w, integer=True),
        share=assembly.columns("share", len(some), upper=1.0, cost=gain * c.most_mbps[some]),
        shed=assembly.columns("shed", len(places.shed_end), cost=per_qoe * places.shed_slope),
        hit=assembly.columns("hit", len(places.hit_node), upper=1.0),
        flow=assembly.columns("flow", len(places.flow_end)),
        y=assembly.columns("y", len(places.fill_path)),
    )


def must_be_on(instance: Instance) -> Floats:
    """1 for nodes that (3d) or (4d) keep on whatever the rest is: fixed ends and the PoP that
    they hear from, and mobile sites that cannot give their base band away."""
    on = np.zeros(instance.nodes)
    stuck = ~instance.mobile | (instance.may_host.sum(axis=0) == 1)
    on[instance.may_host[:, stuck].any(axis=1)] = 1.0
    # An end that is the PoP itself needs a switch but no router: left to the rows.
    on[instance.routes.pop] = 0.0
    on[instance.routes.pop] = on.max(initial=0.0)
    return on


def _flow_rows(draft: _Draft) -> None:
    """(3b) summed over an end's commodities: for each end and source, the flow on its paths is
    the traffic served at best quality less what is shed."""
    inst, at = draft.instance, draft.places
    rows = draft.assembly.rows("(3b)", len(at.balance), 0.0, 0.0)

    def row(end: Ints, node: Ints) -> Ints:
        return rows[np.searchsorted(at.balance, end * inst.nodes + node)]

    flow = row(at.flow_end, inst.path_from[at.flow_path])
    share = row(inst.commodities.end[at.share_commodity], at.share_node)
    shed = row(at.shed_end, at.shed_node)
    most = inst.commodities.most_mbps[at.share_commodity]
    draft.assembly.add(flow, draft.flow, GBIT)
    draft.assembly.add(share, draft.share, -most * GBIT)
    draft.assembly.add(shed, draft.shed, GBIT)


def _shed_rows(draft: _Draft) -> None:
    """(2a)-(2d): shed <= sum (b_max - b_min) v f over a class."""
    inst, at = draft.instance, draft.places
    rows = draft.assembly.rows("(2)", len(draft.shed), -INFINITE, 0.0)
    draft.assembly.add(rows, draft.shed, GBIT)
    room = (inst.commodities.most_mbps - inst.commodities.least_mbps)[at.share_commodity]
    draft.assembly.add(rows[at.shed_class], draft.share, -room * GBIT)


def _radio_rows(draft: _Draft) -> None:
    """(3a), where the radio carries no more than all that the end asks for."""
    inst, at = draft.instance, draft.places
    rows = draft.assembly.rows("(3a)", len(draft.z), -INFINITE, 0.0)
    row_of = np.full((len(inst.ends), inst.nodes), -1, dtype=np.int64)
    row_of[at.host_end, at.host_node] = rows
    moving = inst.mobile[at.flow_end]
    landing = row_of[at.flow_end[moving], inst.path_to[at.flow_path[moving]]]
    draft.assembly.add(landing, draft.flow[moving], GBIT)
    asked = np.bincount(inst.commodities.end, inst.commodities.most_mbps, len(inst.ends))
    most = np.minimum(inst.node_array("radio_mbps")[inst.ends], asked * 1.001 + 1.0)
    draft.assembly.add(rows, draft.z, -most[at.host_end] * GBIT)


def _fill_rows(draft: _Draft) -> None:
    """(3d), (3e)"""
    inst, at = draft.instance, draft.places
    pop, free = inst.routes.pop, inst.node_array("connectivity_mbps")
    least = np.zeros(inst.nodes)
    least[inst.ends[~inst.mobile]] = free[inst.ends[~inst.mobile]]
    least[pop] = 0.0
    rows = draft.assembly.rows("(3d)", inst.nodes, least * GBIT, INFINITE)
    draft.assembly.add(rows[inst.path_to[at.fill_path]], draft.y, GBIT)
    away = at.share_node != pop
    need = inst.commodities.fill_mbps[at.share_commodity[away]] * GBIT
    draft.assembly.add(rows[at.share_node[away]], draft.share[away], -need)
    hosted = at.host_node != pop
    node = at.host_node[hosted]
    draft.assembly.add(rows[node], draft.z[hosted], -free[node] * GBIT)


def _lightpath_rows(draft: _Draft) -> None:
    """(3f)"""
    inst, at, network = draft.instance, draft.places, draft.instance.problem.network
    most = inst.lightpath_mbps * GBIT
    rows = draft.assembly.rows("(3f)", len(most), -INFINITE, most)
    _traffic(draft, inst.on_lightpath, rows)
    number = {(i, j): n for n, (i, j, _size) in enumerate(inst.routes.lightpaths)}
    ends = inst.ends[at.host_end]
    moved = np.flatnonzero(at.host_node != ends)
    pairs = zip(at.host_node[moved], ends[moved], strict=True)
    taken = np.array([number[int(i), int(e)] for i, e in pairs], dtype=np.int64)
    each = network.cpri_lightpaths * network.lightpath_mbps * GBIT
    draft.assembly.add(rows[taken], draft.z[moved], each)


def _gate_rows(draft: _Draft) -> None:
    """(3g), (3h). No node sees more than all traffic there can be, which is often a smaller and
    so a tighter coefficient than the capacity."""
    inst = draft.instance
    every = inst.commodities.most_mbps.sum() + inst.commodities.fill_mbps.sum()
    every += inst.node_array("connectivity_mbps").max() * len(inst.ends)
    limits = (
        ("(3g)", inst.on_node, draft.r, "router_mbps"),
        ("(3h)", inst.at_gate, draft.g, "switch_mbps"),
    )
    for family, places, switch, field in limits:
        most = np.minimum(inst.node_array(field), every * 1.001 + 1.0)
        rows = draft.assembly.rows(family, inst.nodes, -INFINITE, 0.0)
        _traffic(draft, places, rows)
        draft.assembly.add(rows, switch, -most * GBIT)


def _traffic(draft: _Draft, places: object, rows: Ints) -> None:
    at = draft.places
    for columns, paths in ((draft.flow, at.flow_path), (draft.y, at.fill_path)):
        touched = places[paths].tocoo()  # type: ignore[index]
        draft.assembly.add(rows[touched.col], columns[touched.row], GBIT)


def _hosting_rows(draft: _Draft) -> None:
    """(4d), and the cut z <= g. (4a)-(4c) are columns that do not exist."""
    inst, at = draft.instance, draft.places
    row_of = np.full(len(inst.ends), -1, dtype=np.int64)
    mobile = np.flatnonzero(inst.mobile)
    row_of[mobile] = draft.assembly.rows("(4d)", len(mobile), 1.0, 1.0)
    draft.assembly.add(row_of[at.host_end], draft.z, 1.0)
    rows = draft.assembly.rows("z<=g", len(draft.z), -INFINITE, 0.0)
    draft.assembly.add(rows, draft.z, 1.0)
    draft.assembly.add(rows, draft.g[at.host_node], -1.0)


def _cache_rows(draft: _Draft) -> None:
    """(5a) with the cap of unseen contents, (5b), (5c) with the cut that a dark node holds none."""
    inst, at = draft.instance, draft.places
    once = draft.assembly.rows("(5a)", len(inst.commodities), -INFINITE, 1.0)
    known = inst.known[at.share_commodity]
    cached = draft.assembly.rows("(5b)", int(known.sum()), -INFINITE, 0.0)
    draft.assembly.add(once[at.share_commodity], draft.share, 1.0)
    draft.assembly.add(cached, draft.share[known], 1.0)
    hit_of = np.full((inst.nodes, inst.contents), -1, dtype=np.int64)
    hit_of[at.hit_node, at.hit_content] = draft.hit
    content = inst.commodities.content[at.share_commodity[known]]
    draft.assembly.add(cached, hit_of[at.share_node[known], content], -1.0)
    stored = draft.assembly.rows("(5c)", inst.nodes, -INFINITE, 0.0)
    part_of_node = inst.size_gb[at.hit_content] / inst.node_array("storage_gb")[at.hit_node]
    draft.assembly.add(stored[at.hit_node], draft.hit, part_of_node)
    draft.assembly.add(stored, draft.g, -1.0)


def _server_rows(draft: _Draft) -> None:
    """(4e), (5d), (6a), (6b)"""
    inst, at, make = draft.instance, draft.places, draft.assembly
    whole = len(draft.servers) > 0
    bbu = make.rows("(4e)" if whole else "(4e)(5d)", inst.nodes, -INFINITE, 0.0)
    work = make.rows("(5d)", inst.nodes, -INFINITE, 0.0) if whole else bbu
    vcpus = inst.node_array("bbu_vcpus")[inst.ends[at.host_end]]
    make.add(bbu[at.host_node], draft.z, vcpus * HUNDRED)
    need = inst.commodities.vcpus[at.share_commodity]
    make.add(work[at.share_node], draft.share, need * HUNDRED)
    make.add(np.concatenate([bbu, work])[: len(draft.vcpu)], draft.vcpu, -HUNDRED)
    most = inst.node_array("servers")
    per_server = float(inst.problem.network.vcpus_per_server)
    packed = make.rows("(6a)", inst.nodes, -INFINITE, 0.0)
    make.add(np.tile(packed, 2)[: len(draft.vcpu)], draft.vcpu, HUNDRED)
    if whole:
        make.add(packed, draft.servers, -per_server * HUNDRED)
        rows = make.rows("(6b)", inst.nodes, -INFINITE, 0.0)
        make.add(rows, draft.servers, 1.0)
        make.add(rows, draft.g, -most)
    else:
        make.add(packed, draft.g, -most * per_server * HUNDRED)


def _router_cut(draft: _Draft) -> None:
    """g <= r except at the PoP: what a node serves or hosts it hears of through its router, by
    (3d); a switch that is on for nothing only costs."""
    away = np.arange(draft.instance.nodes) != draft.instance.routes.pop
    rows = draft.assembly.rows("g<=r", int(away.sum()), -INFINITE, 0.0)
    draft.assembly.add(rows, draft.g[away], 1.0)
    draft.assembly.add(rows, draft.r[away], -1.0)


def _dark_cut(draft: _Draft) -> None:
    """A dark node has no hits and serves nothing unseen: without vCPUs (5d) neither gives any
    quality. Stronger than (5c) and (6), which hold for sums only."""
    inst, at = draft.instance, draft.places
    unseen = np.flatnonzero(~inst.known[at.share_commodity])
    parts = ((draft.hit, at.hit_node), (draft.share[unseen], at.share_node[unseen]))
    for family, (columns, node) in zip(("h<=g", "vf<=g"), parts, strict=True):
        rows = draft.assembly.rows(family, len(columns), -INFINITE, 0.0)
        draft.assembly.add(rows, columns, 1.0)
        draft.assembly.add(rows, draft.g[node], -1.0)


def _edge_caching(draft: _Draft) -> None:
    """ViRCA3: f_i^{ems} <= z_i^e for mobile ends and i != PoP."""
    inst, at = draft.instance, draft.places
    end = inst.commodities.end[at.share_commodity]
    some = np.flatnonzero(inst.mobile[end] & (at.share_node != inst.routes.pop))
    z_of = np.full((inst.nodes, len(inst.ends)), -1, dtype=np.int64)
    z_of[at.host_node, at.host_end] = draft.z
    rows = draft.assembly.rows("edge", len(some), -INFINITE, 0.0)
    draft.assembly.add(rows, draft.share[some], 1.0)
    draft.assembly.add(rows, z_of[at.share_node[some], end[some]], -1.0)


def _floor(draft: _Draft, qoe_floor: float) -> None:
    """QoE >= floor, in hundreds."""
    c, some = draft.instance.commodities, draft.places.share_commodity
    row = draft.assembly.rows("floor", 1, qoe_floor * HUNDRED, INFINITE)
    draft.assembly.add(row, draft.share, c.slope[some] * c.most_mbps[some] * HUNDRED)
    draft.assembly.add(row, draft.shed, -draft.places.shed_slope * HUNDRED)


_FAMILIES = (
    _flow_rows,
    _shed_rows,
    _radio_rows,
    _fill_rows,
    _lightpath_rows,
    _gate_rows,
    _hosting_rows,
    _cache_rows,
    _server_rows,
    _router_cut,
    _dark_cut,
)
