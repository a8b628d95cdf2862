"""The literal program of the paper: one column for every symbol, one function for each constraint.

It is large and slow, and it is the oracle: `fast` must give the same optimum. In the docstrings
[A] marks text that is certain, [B] a symbol forced by the tables around it, [C] a reconstruction,
and [ours] what the printed model lacks (docs/explanation/planner.md says why).
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from umbel.planner.instance import Instance
from umbel.planner.linear import INFINITE, Assembly, Floats, Ints, Linear
from umbel.planner.problem import Goal, LeastPower, Tradeoff, Variant
from umbel.planner.result import Infrastructure


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """Column numbers of every decision, by the paper's letters. Table II [A]."""

    x_path: Ints  # commodity x path, Mbit/s
    x_pair: Ints  # commodity x (from, to), Mbit/s
    y: Ints  # path, Mbit/s
    f: Ints  # known commodity x node, share served; rows of unseen ones are -1
    vf: Ints  # unseen commodity x node, requests; rows of known ones are -1
    h: Ints  # content x node, hit ratio
    z: Ints  # node x end
    g: Ints
    r: Ints
    k: Ints
    w: Ints
    t: Ints
    pair_from: Ints  # of each (from, to) that a path joins
    pair_to: Ints
    pair_of: Ints  # path -> its (from, to)


def build(instance: Instance, goal: Goal = Tradeoff(), *, whole_servers: bool = True) -> Linear:
    """The whole program. Without `whole_servers`, k, w and t may be fractions, as in `fast`."""
    return _assembled(instance, goal, whole_servers)[0]


def build_rerouting(instance: Instance, infrastructure: Infrastructure) -> Linear:
    """RCA: the same rows, another goal, and the infrastructure as it is (7)."""
    linear, columns = _assembled(instance, Tradeoff(gamma=0.0), whole_servers=False)
    return define_rerouting(linear, columns, instance, infrastructure)


def _assembled(instance: Instance, goal: Goal, whole_servers: bool) -> tuple[Linear, Columns]:
    assembly = Assembly()
    columns = define_columns(assembly, instance, goal, whole_servers)
    for define in FAMILIES:
        define(assembly, columns, instance)
    if instance.variant is Variant.VIRCA3:
        define_edge_caching(assembly, columns, instance)
    if isinstance(goal, LeastPower):
        define_floor(assembly, columns, instance, goal.qoe_floor)
    return assembly.done(), columns


def define_columns(
    assembly: Assembly, instance: Instance, goal: Goal, whole_servers: bool
) -> Columns:
    """min power - gamma QoE (1a) [A], with the costs of each column:

    power = sum_i 106.4 k_i + 10.417 (w_i + t_i) + 2020 g_i + 4550 r_i   (1b)-(1d) [A, scale B]
    QoE = sum_{e,m,s,i,j} a^{ms} x_ij^{ems} + sum_{e,s,i,j} a^s x_ij^{eus}   (1e) [A]
    """
    c, n, power = len(instance.commodities), instance.nodes, instance.problem.power
    ends = np.stack([instance.path_from, instance.path_to], axis=1).reshape(-1, 2)
    pairs, pair_of = np.unique(ends, axis=0, return_inverse=True)
    per_qoe = instance.watts_per_qoe(goal)
    gain = np.repeat(-per_qoe * instance.commodities.slope, len(pairs))
    known = np.flatnonzero(instance.known)
    f = np.full((c, n), -1, dtype=np.int64)
    f[known] = assembly.columns("f", len(known) * n, upper=1.0).reshape(-1, n)
    unseen = np.flatnonzero(~instance.known)
    vf = np.full((c, n), -1, dtype=np.int64)
    vf[unseen] = assembly.columns("vf", len(unseen) * n).reshape(-1, n)
    per_node = partial(assembly.columns, count=n)
    made = len(instance.ends) * n
    return Columns(
        x_path=assembly.columns("x_path", c * len(instance.paths)).reshape(c, -1),
        x_pair=assembly.columns("x_pair", c * len(pairs), cost=gain).reshape(c, -1),
        y=assembly.columns("y", len(instance.paths)),
        f=f,
        vf=vf,
        h=assembly.columns("h", instance.contents * n, upper=1.0).reshape(-1, n),
        z=assembly.columns("z", made, upper=1.0, integer=True).reshape(n, -1),
        g=per_node("g", upper=1.0, cost=power.switch_w, integer=True),
        r=per_node("r", upper=1.0, cost=power.router_w, integer=True),
        k=per_node("k", cost=power.server_w, integer=whole_servers),
        w=per_node("w", cost=power.vcpu_w, integer=whole_servers),
        t=per_node("t", cost=power.vcpu_w, integer=whole_servers),
        pair_from=pairs[:, 0],
        pair_to=pairs[:, 1],
        pair_of=pair_of.ravel(),
    )


def define_quality_floor(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_j x_ij^{ems} >= b_min^{ms} v_ems f_i^{ems}   for all i, e, m, s   (2a) [A]"""
    _rate_rows(assembly, columns, instance, "(2a)", instance.commodities.least_mbps)


def define_quality_ceiling(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_j x_ij^{ems} <= b_max^{ms} v_ems f_i^{ems}   for all i, e, m, s   (2b) [A]"""
    _rate_rows(assembly, columns, instance, "(2b)", instance.commodities.most_mbps)


def define_unknown_floor(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_j x_ij^{eus} >= b_min^s vf_i^{eus}   for all i, e, s   (2c) [A]"""
    rate = instance.commodities.least_mbps / instance.commodities.parallel
    _rate_rows(assembly, columns, instance, "(2c)", rate)


def define_unknown_ceiling(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_j x_ij^{eus} <= b_max^s vf_i^{eus}   for all i, e, s   (2d) [A]"""
    rate = instance.commodities.most_mbps / instance.commodities.parallel
    _rate_rows(assembly, columns, instance, "(2d)", rate)


def _rate_rows(
    assembly: Assembly, columns: Columns, instance: Instance, family: str, rate: Floats
) -> None:
    seen = family in {"(2a)", "(2b)"}
    some = np.flatnonzero(instance.known if seen else ~instance.known)
    share = (columns.f if seen else columns.vf)[some]
    floor = family in {"(2a)", "(2c)"}
    low, high = (0.0, INFINITE) if floor else (-INFINITE, 0.0)
    rows = assembly.rows(family, share.size, low, high).reshape(share.shape)
    assembly.add(rows[:, columns.pair_from], columns.x_pair[some], 1.0)
    assembly.add(rows, share, -rate[some, None])


def define_unknown_cap(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_i vf_i^{eus} <= v_eus   for all e, s   [ours: printed, the sum has no bound]"""
    some = np.flatnonzero(~instance.known)
    rows = assembly.rows("unknown", len(some), -INFINITE, instance.commodities.parallel[some])
    assembly.add(rows[:, None], columns.vf[some], 1.0)


def define_sources(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """f_i^{ems} = 0, vf_i^{eus} = 0   where i may not serve e   [ours: bounds the paths]"""
    barred = ~instance.serves.T[instance.commodities.end]
    every = np.where(instance.known[:, None], columns.f, columns.vf)
    assembly.limit(every[barred], 0.0)


def define_radio(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_{i, m in M+u, s, p in P_ij} x_p^{ems} <= C_e^LTE z_j^e   e in E^M, j in N   (3a) [C]

    It also makes mobile traffic end where the base band runs, which nothing else does.
    """
    mobile = np.flatnonzero(instance.mobile)
    rows = np.full((len(instance.ends), instance.nodes), -1, dtype=np.int64)
    count = len(mobile) * instance.nodes
    rows[mobile] = assembly.rows("(3a)", count, -INFINITE, 0.0).reshape(-1, instance.nodes)
    moving = np.flatnonzero(instance.mobile[instance.commodities.end])
    landing = rows[instance.commodities.end[moving]][:, instance.path_to]
    assembly.add(landing, columns.x_path[moving], 1.0)
    radio = instance.node_array("radio_mbps")[instance.ends]
    assembly.add(rows[mobile], columns.z.T[mobile], -radio[mobile, None])


def define_split_on_paths(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_{p in P_ij} x_p^{ems} = x_ij^{ems}   e, m in M+u, s, (i,j)   (3b) [A]"""
    rows = assembly.rows("(3b)", columns.x_pair.size, 0.0, 0.0).reshape(columns.x_pair.shape)
    assembly.add(rows[:, columns.pair_of], columns.x_path, 1.0)
    assembly.add(rows, columns.x_pair, -1.0)


def define_fixed_delivery(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """x_ij^{ems} = 0   e in E^F, m in M+u, s, i, j != e   (3c) [A]"""
    end = instance.commodities.end
    astray = instance.ends[end][:, None] != columns.pair_to[None, :]
    assembly.limit(columns.x_pair[astray & ~instance.mobile[end][:, None]], 0.0)


def define_fill(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_{p in P_PoP,i} y_p >= sum_{m,e,s} o_i^{ems} + b_i   i in N, i != PoP   (3d) [B]

    o_i^{ems} = kappa v_ems f_i^{ems} s_m / wd_ems; the print has '='. b_i holds at fixed ends and
    for each base band hosted, b_i z_i^e [ours]; unseen contents fetch alike [ours].
    """
    base, pop = _connectivity(instance), instance.routes.pop
    rows = assembly.rows("(3d)", instance.nodes, np.where(base[0], base[1], 0.0), INFINITE)
    from_pop = np.flatnonzero(instance.path_from == pop)
    assembly.add(rows[instance.path_to[from_pop]], columns.y[from_pop], 1.0)
    fill = instance.commodities.fill_mbps
    share = np.where(instance.known, fill, fill / instance.commodities.parallel)[:, None]
    every = np.where(instance.known[:, None], columns.f, columns.vf)
    away = np.arange(instance.nodes) != pop
    assembly.add(rows[None, away], every[:, away], -share)
    mobile = np.flatnonzero(instance.mobile)
    assembly.add(rows[away][:, None], columns.z[away][:, mobile], -base[1][away][:, None])


def _connectivity(instance: Instance) -> tuple[Floats, Floats]:
    """Where b_i holds always (1 or 0; never at the PoP itself), and b_i."""
    always = np.zeros(instance.nodes)
    always[instance.ends[~instance.mobile]] = 1.0
    always[instance.routes.pop] = 0.0
    return always, instance.node_array("connectivity_mbps")


def define_fill_paths(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """y_p = 0   p not in U_j P_PoP,j   (3e) [B]"""
    assembly.limit(columns.y[instance.path_from != instance.routes.pop], 0.0)


def define_lightpaths(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_{p in P_l} (sum_{e,m,s} x_p^{ems} + y_p)
    <= C^WDM (c_l - n_CPRI sum_{(i,e): l in L_ie^CPRI} z_i^e)   l in L   (3f) [C]

    The term of the deported base bands is not legible; a lightpath of its own for each is ours.
    """
    network = instance.problem.network
    rows = assembly.rows("(3f)", len(instance.lightpath_mbps), -INFINITE, instance.lightpath_mbps)
    _traffic(assembly, columns, instance.on_lightpath.tocoo(), rows)
    number = {(i, j): n for n, (i, j, _size) in enumerate(instance.routes.lightpaths)}
    for end, hosts in instance.routes.hosts.items():
        column = int(np.flatnonzero(instance.ends == end)[0])
        for host in hosts:
            if host != end:
                taken = network.cpri_lightpaths * network.lightpath_mbps
                row = rows[number[host, end]]
                assembly.add(np.array([row]), columns.z[[host], column], taken)


def define_routers(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_{p in P_i^node} (sum_{e,m,s} x_p^{ems} + y_p) <= C^IPR r_i   i in N   (3g) [B]"""
    rows = assembly.rows("(3g)", instance.nodes, -INFINITE, 0.0)
    _traffic(assembly, columns, instance.on_node.tocoo(), rows)
    assembly.add(rows, columns.r, -instance.node_array("router_mbps"))


def define_switches(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_{p in P_i^in + P_i^out} (sum_{e,m,s} x_p^{ems} + y_p) <= C^GES g_i   i in N   (3h) [B]"""
    rows = assembly.rows("(3h)", instance.nodes, -INFINITE, 0.0)
    _traffic(assembly, columns, instance.at_gate.tocoo(), rows)
    assembly.add(rows, columns.g, -instance.node_array("switch_mbps"))


def _traffic(assembly: Assembly, columns: Columns, places: object, rows: Ints) -> None:
    """All traffic of the paths that touch something, in that thing's row."""
    path, thing = places.row, places.col  # type: ignore[attr-defined]
    assembly.add(rows[thing][None, :], columns.x_path[:, path], 1.0)
    assembly.add(rows[thing], columns.y[path], 1.0)


def define_no_base_band(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """z_i^e = 0   e in E^F, i in N   (4a) [A]"""
    assembly.limit(columns.z[:, ~instance.mobile], 0.0)


def define_no_host_at_ends(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """z_i^e = 0   e in E^M, i in E, i != e   (4b) [A]"""
    others = instance.ends[:, None] != instance.ends[None, :]
    assembly.limit(columns.z[instance.ends][others], 0.0)


def define_reach(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """z_i^e = 0   e in E^M, i != e, L_ie^CPRI empty   (4c) [A; that i = e needs no lightpath: ours]

    ViRCA2: z_i^e = 0 for every i != e [A in words].
    """
    assembly.limit(columns.z[:, instance.mobile][~instance.may_host[:, instance.mobile]], 0.0)


def define_one_host(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_i z_i^e = 1   e in E^M   (4d) [A]"""
    mobile = np.flatnonzero(instance.mobile)
    rows = assembly.rows("(4d)", len(mobile), 1.0, 1.0)
    assembly.add(rows[None, :], columns.z[:, mobile], 1.0)


def define_base_bands(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_{e in E^M} d_e z_i^e <= w_i   i in N   (4e) [A]"""
    rows = assembly.rows("(4e)", instance.nodes, -INFINITE, 0.0)
    vcpus = np.where(instance.mobile, instance.node_array("bbu_vcpus")[instance.ends], 0.0)
    assembly.add(rows[:, None], columns.z, vcpus[None, :])
    assembly.add(rows, columns.w, -1.0)


def define_served_once(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_i f_i^{ems} <= 1   e, m, s   (5a) [A]"""
    some = columns.f[instance.known]
    rows = assembly.rows("(5a)", len(some), -INFINITE, 1.0)
    assembly.add(rows[:, None], some, 1.0)


def define_cached(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """h_im >= f_i^{ems}   i, e, m, s   (5b) [A]"""
    some = columns.f[instance.known]
    rows = assembly.rows("(5b)", some.size, -INFINITE, 0.0).reshape(some.shape)
    assembly.add(rows, some, 1.0)
    assembly.add(rows, columns.h[instance.commodities.content[instance.known]], -1.0)


def define_storage(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_m s_m h_im <= S_i   i in N   (5c) [A]"""
    rows = assembly.rows("(5c)", instance.nodes, -INFINITE, instance.node_array("storage_gb"))
    assembly.add(rows[None, :], columns.h, instance.size_gb[:, None])


def define_transcoding(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """sum_{e,s} (sum_m d^{ms} v_ems f_i^{ems} + d^{us} vf_i^{eus}) <= t_i   i in N   (5d) [A]"""
    rows = assembly.rows("(5d)", instance.nodes, -INFINITE, 0.0)
    c = instance.commodities
    share = np.where(instance.known, c.vcpus, c.vcpus / c.parallel)[:, None]
    every = np.where(instance.known[:, None], columns.f, columns.vf)
    assembly.add(rows[None, :], every, share)
    assembly.add(rows, columns.t, -1.0)


def define_servers(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """w_i + t_i <= T k_i   i in N   (6a) [A]"""
    rows = assembly.rows("(6a)", instance.nodes, -INFINITE, 0.0)
    assembly.add(rows, columns.w, 1.0)
    assembly.add(rows, columns.t, 1.0)
    assembly.add(rows, columns.k, -float(instance.problem.network.vcpus_per_server))


def define_racks(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """k_i <= K g_i   i in N   (6b) [A]"""
    rows = assembly.rows("(6b)", instance.nodes, -INFINITE, 0.0)
    assembly.add(rows, columns.k, 1.0)
    assembly.add(rows, columns.g, -instance.node_array("servers"))


def define_edge_caching(assembly: Assembly, columns: Columns, instance: Instance) -> None:
    """f_i^{ems} <= z_i^e, vf_i^{eus} <= v_eus z_i^e   e in E^M, i != PoP: ViRCA3 [A in words]"""
    some = np.flatnonzero(instance.mobile[instance.commodities.end])
    away = np.flatnonzero(np.arange(instance.nodes) != instance.routes.pop)
    every = np.where(instance.known[:, None], columns.f, columns.vf)[some][:, away]
    most = np.where(instance.known, 1.0, instance.commodities.parallel)[some, None]
    rows = assembly.rows("edge", every.size, -INFINITE, 0.0).reshape(every.shape)
    assembly.add(rows, every, 1.0)
    assembly.add(rows, columns.z.T[instance.commodities.end[some]][:, away], -most)


def define_floor(
    assembly: Assembly, columns: Columns, instance: Instance, qoe_floor: float
) -> None:
    """QoE >= floor   [ours: the epsilon-constraint, for points a weighted sum cannot reach]"""
    rows = assembly.rows("floor", 1, qoe_floor, INFINITE)
    assembly.add(rows[:, None], columns.x_pair, instance.commodities.slope[:, None])


def define_rerouting(
    linear: Linear, columns: Columns, instance: Instance, infrastructure: Infrastructure
) -> Linear:
    """max_{x, y, f, vf, h} QoE   s.t. (2), (3), (5) with z, g, r, k, w, t given   (7) [A]

    The rows of (4) and (6) hold for what is given, or the program has no solution.
    """
    lower, upper, cost = linear.lower.copy(), linear.upper.copy(), np.zeros_like(linear.cost)
    cost[columns.x_pair] = -instance.commodities.slope[:, None]
    nodes, names = infrastructure.nodes, instance.routes.names
    given = ("switch_on", "router_on", "servers", "bbu_vcpus", "transcode_vcpus")
    for letter, field in zip((*"grkwt",), given, strict=True):
        fixed = getattr(columns, letter)
        lower[fixed] = upper[fixed] = [float(getattr(node, field)) for node in nodes]
    hosts = [infrastructure.hosts.get(names[end]) for end in instance.ends.tolist()]
    z = np.array([[name == host for host in hosts] for name in names], dtype=np.float64)
    # A host that (4a) to (4c) bar makes the program infeasible.
    lower[columns.z], upper[columns.z] = z, np.minimum(z, upper[columns.z])
    return replace(linear, lower=lower, upper=upper, cost=cost)


FAMILIES = (
    define_quality_floor,
    define_quality_ceiling,
    define_unknown_floor,
    define_unknown_ceiling,
    define_unknown_cap,
    define_sources,
    define_radio,
    define_split_on_paths,
    define_fixed_delivery,
    define_fill,
    define_fill_paths,
    define_lightpaths,
    define_routers,
    define_switches,
    define_no_base_band,
    define_no_host_at_ends,
    define_reach,
    define_one_host,
    define_base_bands,
    define_served_once,
    define_cached,
    define_storage,
    define_transcoding,
    define_servers,
    define_racks,
)
