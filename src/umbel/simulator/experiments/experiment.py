"""What an experiment is: the tasks it needs by case, rows made of their results, a picture of the
rows, and how the rows compare with the paper. All pure except for matplotlib's memory.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from umbel.simulator.experiments.tasks import Task

Case = tuple[Any, ...]
Cases = Mapping[Case, Task]
Found = Mapping[Case, Mapping[str, Any]]
Row = Mapping[str, str | float | None]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A statement, what the paper says of it, and what the rows say."""

    what: str
    paper: str
    ours: str


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """`cases` takes whether it is to be quick."""

    title: str
    cases: Callable[[bool], Cases]
    rows: Callable[[Found], list[Row]]
    draw: Callable[[Sequence[Row]], Figure]
    claims: Callable[[Sequence[Row]], list[Claim]]


def claims_of(*said: tuple[str, str, str]) -> list[Claim]:
    """Of each what it is about, what the paper says, and what the rows say."""
    return [Claim(what=what, paper=paper, ours=ours) for what, paper, ours in said]


def table(rows: Sequence[Row]) -> str:
    """CSV with a header; six digits, an empty cell for nothing."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.6g}"


def number(row: Row, column: str) -> float:
    """A number of a row; NaN where there is none."""
    value = row[column]
    return float("nan") if value is None or isinstance(value, str) else float(value)


def column(rows: Sequence[Row], name: str) -> list[float]:
    """A column's numbers."""
    return [number(row, name) for row in rows]


def chosen(rows: Sequence[Row], **of: object) -> list[Row]:
    """The rows with these values."""
    return [row for row in rows if all(row[name] == value for name, value in of.items())]


def percent(share: float) -> str:
    """A share for people; "none" for NaN."""
    return "none" if share != share else f"{share:.1%}"  # noqa: PLR0124 -- NaN


def span(values: Sequence[float], unit: str = "") -> str:
    """From the least to the most, for people."""
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"
