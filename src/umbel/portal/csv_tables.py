"""Tables as CSV (RFC 4180) that spreadsheets read without running anything. Pure.

In: a head and rows. Out: text. A text that a spreadsheet would take for a formula gets an
apostrophe in front, as OWASP advises against CSV injection.
"""

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Cell = str | int | float


def serialize(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """The table. Numbers stay numbers."""
    out = io.StringIO()
    writer = csv.writer(out)
    for row in (head, *rows):
        writer.writerow([_safe(cell) for cell in row])
    return out.getvalue()


def _safe(cell: Cell) -> Cell:
    if isinstance(cell, str) and cell.lstrip(" ").startswith(_FORMULAS):
        return f"'{cell}"
    return cell
