"""HiGHS behind one call: a Linear in, what the solver found out. The only module that knows it.

One thread and no randomness, so equal programs give equal answers. The clock is the solver's own.
"""

from dataclasses import dataclass
from enum import StrEnum

import highspy
import numpy as np

from umbel.planner.linear import Floats, Ints, Linear

SOLVER = "highs"


class Word(StrEnum):
    """How a run ended."""

    OPTIMAL = "optimal"
    LIMIT = "limit"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    FAILED = "failed"


class Method(StrEnum):
    """How to solve a linear program; all end at a basis."""

    DUAL = "dual"  # goes on from a basis whose bounds or right sides changed
    PRIMAL = "primal"  # goes on from a basis when there are new columns
    INTERIOR = "interior"  # the steadiest from nothing


_STATUS = highspy.HighsModelStatus
_WORDS = {
    _STATUS.kOptimal: Word.OPTIMAL,
    _STATUS.kTimeLimit: Word.LIMIT,
    _STATUS.kIterationLimit: Word.LIMIT,
    _STATUS.kSolutionLimit: Word.LIMIT,
    _STATUS.kInterrupt: Word.LIMIT,
    _STATUS.kObjectiveBound: Word.LIMIT,
    _STATUS.kInfeasible: Word.INFEASIBLE,
    _STATUS.kUnbounded: Word.UNBOUNDED,
    _STATUS.kUnboundedOrInfeasible: Word.INFEASIBLE,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Basis:
    """Where a simplex run stopped: HiGHS' status number of each column and row."""

    columns: tuple[int, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When to stop: seconds, for whole numbers the distance to the bound that will do, and for
    the simplex methods the number of pivots."""

    time_s: float = 60.0
    gap: float = 1e-6
    pivots: int = 2_000_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """`values` is None where nothing was found; `bound` is below every solution's objective."""

    word: Word
    objective: float
    bound: float
    values: Floats | None
    row_duals: Floats | None
    basis: Basis | None
    run_s: float
    branch_nodes: int
    iterations: int


class Session:
    """A program inside the solver, which may change between runs; used by one caller at a time."""

    def __init__(self, linear: Linear) -> None:
        self._whole = bool(linear.integer.any())
        self._width, self._height, _entries = linear.shape
        self._highs = highspy.Highs()  # type: ignore[no-untyped-call]
        for name, value in (("output_flag", False), ("threads", 1), ("mip_rel_gap", 0.0)):
            self._highs.setOptionValue(name, value)
        self._highs.passModel(_program(linear))
        self._spent_s = 0.0

    def start_at(self, values: Floats, columns: Ints | None = None) -> None:
        """A solution to begin from, or its values in some columns: the whole numbers will do."""
        some = np.arange(len(values)) if columns is None else columns
        self._highs.setSolution(len(values), some.astype(np.int32), values)

    def start_from(self, basis: Basis) -> None:
        """A basis of the same shape to begin from."""
        start = highspy.HighsBasis()
        start.col_status = [highspy.HighsBasisStatus(n) for n in basis.columns]
        start.row_status = [highspy.HighsBasisStatus(n) for n in basis.rows]
        start.valid = True
        start.alien = False
        self._highs.setBasis(start)

    def bound_columns(self, columns: Ints, lower: Floats, upper: Floats) -> None:
        """New bounds of some columns."""
        chosen = np.asarray(columns, dtype=np.int32)
        self._highs.changeColsBounds(len(chosen), chosen, lower, upper)

    def run(self, limits: Limits, method: Method = Method.DUAL) -> Outcome:
        """Solves what is there now."""
        highs = self._highs
        highs.setOptionValue("solver", "ipm" if method is Method.INTERIOR else "simplex")
        highs.setOptionValue("simplex_strategy", 4 if method is Method.PRIMAL else 1)
        # HiGHS counts its time limit over all runs of an instance.
        highs.setOptionValue("time_limit", float(self._spent_s + max(limits.time_s, 0.0)))
        highs.setOptionValue("mip_abs_gap", float(limits.gap))
        highs.setOptionValue("simplex_iteration_limit", limits.pivots)
        highs.run()
        total_s = highs.getRunTime()
        run_s, self._spent_s = total_s - self._spent_s, total_s
        info, word = highs.getInfo(), _WORDS.get(highs.getModelStatus(), Word.FAILED)
        solution = highs.getSolution()
        found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        duals = not self._whole and solution.dual_valid
        objective = info.objective_function_value if found else np.inf
        return Outcome(
            word=word,
            objective=objective,
            bound=self._bound(word, objective),
            values=np.array(solution.col_value) if found else None,
            row_duals=np.array(solution.row_dual) if duals else None,
            basis=None if self._whole or word is not Word.OPTIMAL else self._basis(),
            run_s=run_s,
            branch_nodes=max(0, info.mip_node_count) if self._whole else 0,
            iterations=max(0, info.simplex_iteration_count),
        )

    def _bound(self, word: Word, objective: float) -> float:
        if self._whole:
            return float(self._highs.getInfo().mip_dual_bound)
        return objective if word is Word.OPTIMAL else -np.inf

    def _basis(self) -> Basis:
        basis = self._highs.getBasis()
        return Basis(
            columns=tuple(map(int, basis.col_status)), rows=tuple(map(int, basis.row_status))
        )


def solve(linear: Linear, limits: Limits, start: Floats | None = None) -> Outcome:
    """One run from nothing, or from a solution."""
    session = Session(linear)
    if start is not None:
        session.start_at(start)
    return session.run(limits)


def version() -> str:
    """The solver's name and version."""
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    return f"{SOLVER} {solver.version()}"


def _program(linear: Linear) -> "highspy.HighsLp":
    width, height, _entries = linear.shape
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = width, height
    program.col_cost_ = linear.cost
    program.col_lower_, program.col_upper_ = linear.lower, linear.upper
    program.row_lower_, program.row_upper_ = linear.row_lower, linear.row_upper
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = linear.starts
    program.a_matrix_.index_ = linear.indices
    program.a_matrix_.value_ = linear.values
    if linear.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        program.integrality_ = [kinds[whole] for whole in linear.integer.tolist()]
    return program
