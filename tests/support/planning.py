"""Small planning problems for tests: one by hand, many drawn by hypothesis; SCIP beside HiGHS."""

from dataclasses import replace

import numpy as np
import pyscipopt
from hypothesis import strategies as st

from umbel.planner import instance, paths, presets, topologies
from umbel.planner.instance import Instance
from umbel.planner.linear import Linear
from umbel.planner.problem import (
    Access,
    Bundle,
    Content,
    Demand,
    Kind,
    Link,
    Network,
    Node,
    Problem,
    Resolution,
    Routing,
    Variant,
)


def content(name: str, kind: Kind = Kind.MOVIE, size_gb: float = 20.0) -> Content:
    return Content(name=name, kind=kind, size_gb=size_gb, mean_gb=min(1.0, size_gb))


def bundle(
    end: str, name: str, resolution: Resolution = Resolution.R720, parallel: float = 3.0
) -> Bundle:
    return Bundle(end=end, content=name, resolution=resolution, parallel=parallel, watch_s=600.0)


def small_network() -> Network:
    """A PoP, one aggregation node, a fixed and two mobile ends."""
    base = topologies.graph(
        "pop",
        {
            "pop": Access.TRANSIT,
            "agg": Access.TRANSIT,
            "home": Access.FIXED,
            "cell-1": Access.MOBILE,
            "cell-2": Access.MOBILE,
        },
        [("pop", "agg"), ("agg", "home"), ("agg", "cell-1"), ("agg", "cell-2")],
    )
    return replace(base, nodes=tuple(replace(node, servers=4) for node in base.nodes))


def small_problem() -> Problem:
    return Problem(
        network=small_network(),
        demand=Demand(
            contents=(content("a"), content("b", Kind.SPORT)),
            bundles=(
                bundle("home", "a", Resolution.R1080),
                bundle("cell-1", "a"),
                bundle("cell-2", "b", Resolution.R360, 5.0),
            ),
        ),
        qoe=presets.LADDER_QOE,
    )


def compiled(problem: Problem, variant: Variant = Variant.VIRCA) -> Instance:
    routes = paths.find_routes(problem.network, problem.routing)
    return instance.compile_problem(problem, routes, variant)


@st.composite
def problems(draw: st.DrawFn, follow_fibre: bool | None = None) -> Problem:
    """Random trees with extra fibres, up to seven nodes, in which every resource can be scarce."""
    core = draw(st.integers(1, 3))
    accesses = draw(
        st.lists(st.sampled_from([Access.FIXED, Access.MOBILE]), min_size=1, max_size=4)
    )
    names = [f"c{n}" for n in range(core)] + [f"e{n}" for n in range(len(accesses))]
    pairs = {(f"c{draw(st.integers(0, n - 1))}", f"c{n}") for n in range(1, core)}
    pairs |= {(f"c{draw(st.integers(0, core - 1))}", f"e{n}") for n in range(len(accesses))}
    extra = draw(st.lists(st.tuples(st.sampled_from(names[:core]), st.sampled_from(names))))
    for a, b in extra[:2]:
        if a != b and not pairs & {(a, b), (b, a)}:
            pairs.add((a, b))
    nodes = tuple(
        Node(
            name=name,
            access=Access.TRANSIT if n < core else accesses[n - core],
            servers=draw(st.sampled_from([1, 2, 4])),
            storage_gb=draw(st.sampled_from([5.0, 30.0, 500.0])),
            bbu_vcpus=draw(st.sampled_from([2.0, 5.5, 8.0])),
            radio_mbps=draw(st.sampled_from([10.0, 1000.0])),
            router_mbps=draw(st.sampled_from([60.0, 640_000.0])),
            switch_mbps=draw(st.sampled_from([60.0, 320_000.0])),
        )
        for n, name in enumerate(names)
    )
    links = tuple(Link(a=a, b=b, lightpaths=draw(st.integers(1, 3))) for a, b in sorted(pairs))
    network = Network(
        nodes=nodes,
        links=links,
        pop="c0",
        lightpath_mbps=draw(st.sampled_from([20.0, 10_000.0])),
        bypass_lightpaths=draw(st.integers(1, 2)),
    )
    routing = Routing(
        follow_fibre=draw(st.booleans()) if follow_fibre is None else follow_fibre,
        bypass=draw(st.booleans()),
        routes_per_pair=draw(st.integers(1, 2)),
        detour_hops=draw(st.integers(0, 1)),
        cpri_reach_hops=draw(st.integers(0, 2)),
        serve_reach_hops=draw(st.sampled_from([64, 64, 1])),
        lightpaths_per_path=draw(st.integers(1, 3)),
    )
    return Problem(
        network=network,
        routing=routing,
        demand=draw(_demands(names[core:])),
        qoe=replace(presets.LADDER_QOE, unknown_share=draw(st.sampled_from([0.0, 0.1]))),
        miss_share=draw(st.sampled_from([0.1, 0.5, 1.0])),
    )


@st.composite
def _demands(draw: st.DrawFn, ends: list[str]) -> Demand:
    count = draw(st.integers(1, 3))
    contents = tuple(
        content(f"m{n}", draw(st.sampled_from(list(Kind))), draw(st.sampled_from([3.0, 20.0])))
        for n in range(count)
    )
    keys = st.tuples(
        st.sampled_from(ends), st.sampled_from(contents), st.sampled_from(list(Resolution))
    )
    asked = draw(st.lists(keys, min_size=1, max_size=5, unique=True))
    bundles = tuple(
        bundle(end, what.name, resolution, draw(st.sampled_from([0.3, 2.0, 9.0])))
        for end, what, resolution in asked
    )
    return Demand(contents=contents, bundles=bundles)


def scip_optimum(linear: Linear) -> float | None:
    """The least cost by SCIP; None where nothing is feasible."""
    model = pyscipopt.Model()
    model.hideOutput()
    model.setParam("limits/gap", 0.0)
    # SCIP's usual 1e-6 lets it break rows with large coefficients: an optimum was 1e-4 too low.
    model.setParam("numerics/feastol", 1e-9)
    columns = [
        model.addVar(
            lb=linear.lower[n],
            ub=None if np.isinf(linear.upper[n]) else linear.upper[n],
            obj=linear.cost[n],
            vtype="I" if linear.integer[n] else "C",
        )
        for n in range(len(linear.cost))
    ]
    rows = linear.matrix().tocsr()
    for n in range(len(linear.row_lower)):
        span = slice(rows.indptr[n], rows.indptr[n + 1])
        terms = zip(rows.data[span], rows.indices[span], strict=True)
        total = pyscipopt.quicksum(value * columns[column] for value, column in terms)
        if np.isfinite(linear.row_lower[n]):
            model.addCons(total >= linear.row_lower[n])
        if np.isfinite(linear.row_upper[n]):
            model.addCons(total <= linear.row_upper[n])
    model.optimize()
    return model.getObjVal() if model.getStatus() == "optimal" else None
