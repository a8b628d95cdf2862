"""A mixed-integer linear program as arrays, put together family by family.

`Assembly` takes columns, rows and entries with their families' names; `Linear` is the value that
comes out and goes to a solver. Minimisation; a row is `lower <= row <= upper`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Numbers: TypeAlias = float | Floats | Ints
INFINITE = np.inf


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """min cost·x with row and column bounds. `columns` and `rows` map a family to its numbers.

    The matrix is in compressed columns: `starts`, `indices`, `values`.
    """

    cost: Floats
    lower: Floats
    upper: Floats
    integer: Flags
    row_lower: Floats
    row_upper: Floats
    starts: npt.NDArray[np.int32]
    indices: npt.NDArray[np.int32]
    values: Floats
    columns: Mapping[str, Ints]
    rows: Mapping[str, Ints]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, entries."""
        return len(self.cost), len(self.row_lower), len(self.values)

    def matrix(self) -> "sparse.csc_array":
        """The entries as a sparse array of rows x columns."""
        width, height, _entries = self.shape
        return sparse.csc_array((self.values, self.indices, self.starts), shape=(height, width))

    def relaxed(self) -> "Linear":
        """The same without integrality."""
        return replace(self, integer=np.zeros(len(self.cost), dtype=bool))

    def pruned(self) -> "Linear":
        """The same without columns fixed at zero and rows without entries.

        Families keep their order but lose the members that went.
        """
        keep = (self.lower != 0) | (self.upper != 0)
        matrix = self.matrix()[:, keep]
        full = np.diff(matrix.tocsr().indptr) > 0
        full |= (self.row_lower > 0) | (self.row_upper < 0)
        matrix = matrix[full, :].tocsc()
        return Linear(
            cost=self.cost[keep],
            lower=self.lower[keep],
            upper=self.upper[keep],
            integer=self.integer[keep],
            row_lower=self.row_lower[full],
            row_upper=self.row_upper[full],
            starts=matrix.indptr.astype(np.int32),
            indices=matrix.indices.astype(np.int32),
            values=matrix.data,
            columns=_renumbered(self.columns, keep),
            rows=_renumbered(self.rows, full),
        )


def _renumbered(families: Mapping[str, Ints], keep: Flags) -> dict[str, Ints]:
    number = np.cumsum(keep) - 1
    return {name: number[members[keep[members]]] for name, members in families.items()}


class Assembly:
    """Collects a Linear. Columns and rows are numbered in the order they are asked for."""

    def __init__(self) -> None:
        self._columns: dict[str, Ints] = {}
        self._rows: dict[str, Ints] = {}
        self._column_parts: list[tuple[Floats, Floats, Floats, Flags]] = []
        self._row_parts: list[tuple[Floats, Floats]] = []
        self._entries: list[tuple[Ints, Ints, Floats]] = []
        self._limits: list[tuple[Ints, float]] = []
        self._width = 0
        self._height = 0

    def columns(
        self,
        family: str,
        count: int,
        *,
        lower: Numbers = 0.0,
        upper: Numbers = INFINITE,
        cost: Numbers = 0.0,
        integer: bool = False,
    ) -> Ints:
        """New columns; bounds and cost are one number or one for each."""
        self._columns[family] = made = np.arange(self._width, self._width + count)
        self._width += count
        whole = np.full(count, integer)
        self._column_parts.append((*(_spread(n, count) for n in (lower, upper, cost)), whole))  # type: ignore[arg-type]
        return made

    def rows(self, family: str, count: int, lower: Numbers, upper: Numbers) -> Ints:
        """New rows of a family that has none yet."""
        self._rows[family] = made = np.arange(self._height, self._height + count)
        self._height += count
        self._row_parts.append((_spread(lower, count), _spread(upper, count)))
        return made

    def add(self, rows: Ints, columns: Ints, values: Numbers) -> None:
        """Entries; the three are broadcast against each other, and equal places add up."""
        wide = np.broadcast_arrays(rows, columns, np.asarray(values, dtype=np.float64))
        self._entries.append((wide[0].ravel(), wide[1].ravel(), wide[2].ravel()))

    def limit(self, columns: Ints, upper: float) -> None:
        """A new upper bound for columns that exist."""
        self._limits.append((columns, upper))

    def done(self) -> Linear:
        """The program so far."""
        rows, columns, values = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        matrix = sparse.csc_array((values, (rows, columns)), shape=(self._height, self._width))
        lower, upper, cost, integer = (
            np.concatenate(part) for part in zip(*self._column_parts, strict=True)
        )
        for some, bound in self._limits:
            upper[some] = bound
        row_lower, row_upper = (np.concatenate(p) for p in zip(*self._row_parts, strict=True))
        return Linear(
            cost=cost,
            lower=lower,
            upper=upper,
            integer=integer,
            row_lower=row_lower,
            row_upper=row_upper,
            starts=matrix.indptr.astype(np.int32),
            indices=matrix.indices.astype(np.int32),
            values=matrix.data,
            columns=self._columns,
            rows=self._rows,
        )


def _spread(number: Numbers, count: int) -> Floats:
    return np.broadcast_to(np.asarray(number, dtype=np.float64), (count,))
