"""Putting the program into the solver, at paths x contents = 1e5.

Next to the literal program, which is a hundred times as large, and the same program written
as expressions for two solvers.
"""

import _planning
import highspy
import numpy as np

from umbel.planner import clustering, fast, formulation, instance, paths
from umbel.planner.highs import Session
from umbel.planner.linear import Linear

RUNS = 5
PEER_RUNS = 3


def expressions(linear: Linear) -> highspy.Highs:
    """The same program the usual way: a variable and a constraint at a time."""
    highs = highspy.Highs()  # type: ignore[no-untyped-call]
    highs.setOptionValue("output_flag", False)
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    columns = [
        highs.addVariable(lb=low, ub=high, obj=cost, type=kinds[whole])
        for low, high, cost, whole in zip(
            linear.lower, linear.upper, linear.cost, linear.integer.astype(int), strict=True
        )
    ]
    rows = linear.matrix().tocsr()
    for number, (low, high) in enumerate(zip(linear.row_lower, linear.row_upper, strict=True)):
        span = slice(rows.indptr[number], rows.indptr[number + 1])
        if span.start == span.stop:
            continue
        terms = zip(rows.data[span], rows.indices[span], strict=True)
        total = highspy.Highs.qsum(value * columns[column] for value, column in terms)
        if low == high:
            highs.addConstr(total == low)
        elif np.isfinite(high):
            highs.addConstr(total <= high)
        else:
            highs.addConstr(total >= low)
    return highs


def main() -> None:
    """One case."""
    routing = _planning.presets.FMC_ROUTING
    routes = paths.find_routes(_planning.topologies.fmc_tree(), routing)
    contents = clustering.most_clusters(len(routes.paths))
    problem = _planning.fmc_problem(1.0, contents)

    def build() -> Linear:
        linear = fast.build(instance.compile_problem(problem, routes)).linear
        Session(linear)
        return linear

    build()
    value, linear = _planning.timed(build, RUNS)
    _planning.note(
        f"{len(routes.paths)} paths x {contents} contents; columns, rows, entries {linear.shape}"
    )

    def literal() -> Linear:
        made = formulation.build(instance.compile_problem(problem, routes)).pruned()
        Session(made)
        return made

    peer, large = _planning.timed(literal, 1)
    _planning.note(f"paper form: columns, rows, entries {large.shape}")
    _planning.report("plan-build", "1e5", value, "paper form", peer, RUNS)
    peer, _model = _planning.timed(lambda: _planning.expressions(linear), PEER_RUNS)
    _planning.report("plan-build", "1e5", value, _planning.SCIP, peer, RUNS)
    peer, _highs = _planning.timed(lambda: expressions(linear), PEER_RUNS)
    _planning.report("plan-build", "1e5", value, "highspy expressions", peer, RUNS)


if __name__ == "__main__":
    main()
