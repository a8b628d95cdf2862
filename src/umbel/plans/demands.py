"""A demand file (CSV) or a request's rows become bundles: text or mappings in, a Demand out.

One row is a bundle of parallel requests. A content's own columns (kind, sizes) may be given on any
of its rows and must agree. Every problem is reported at once, by row.
"""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from umbel.planner.problem import Bundle, Content, Demand, Kind, Resolution

NEEDED = ("end", "content", "resolution", "parallel")
COLUMNS = (*NEEDED, "watch_s", "kind", "size_gb", "mean_gb", "uhd")
MOST_ROWS = 1_000_000
# Where a row does not say: half an hour is watched of a movie, stored at the best rate's 8 Mbit/s.
_WATCH_S = 1800.0
_STORED_MBPS = 8.0
_TEXT = frozenset({"end", "content", "resolution", "kind", "uhd"})
_UHD = {"": None, "0": False, "1": True, "false": False, "true": True, "no": False, "yes": True}

Row = Mapping[str, object]


def read_csv(text: str) -> tuple[tuple[Row, ...], list[str]]:
    """The rows of a CSV text with a header, and what is wrong with its form."""
    try:
        return _read(text)
    except csv.Error as error:
        return (), [f"the demand is not CSV: {error}"]


def _read(text: str) -> tuple[tuple[Row, ...], list[str]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    header = [(name or "").strip() for name in reader.fieldnames or ()]
    problems = [f"column {name!r} is unknown" for name in header if name not in COLUMNS]
    problems += [f"column {n!r} is named twice" for n in sorted(set(header)) if header.count(n) > 1]
    problems += [f"column {name!r} is missing" for name in NEEDED if name not in header]
    if problems:
        return (), problems
    reader.fieldnames = header
    rows = []
    for number, found in enumerate(reader, start=1):
        if number > MOST_ROWS:
            return (), [f"there are more than {MOST_ROWS} rows"]
        # DictReader puts what is beyond the header under None.
        if None in found:
            problems.append(f"row {number}: more fields than columns")
        elif any(value is None for value in found.values()):
            problems.append(f"row {number}: fewer fields than columns")
        else:
            rows.append({name: (value or "").strip() for name, value in found.items()})
    return tuple(rows), problems


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A row that could be read; None where it does not say."""

    number: int
    bundle: Bundle
    kind: Kind | None
    size_gb: float | None
    mean_gb: float | None
    uhd: bool | None


def parse(rows: Iterable[Row]) -> tuple[Demand, list[str]]:
    """The demand, and what is wrong with it; wrong rows are left out."""
    problems: list[str] = []
    found = [_entry(number, row, problems) for number, row in enumerate(rows, start=1)]
    entries = [entry for entry in found if entry is not None]
    by_content: dict[str, list[_Entry]] = {}
    for entry in entries:
        by_content.setdefault(entry.bundle.content, []).append(entry)
    contents = tuple(_content(name, some, problems) for name, some in by_content.items())
    if not problems and not entries:
        problems.append("there is no demand")
    return Demand(contents=contents, bundles=tuple(e.bundle for e in entries)), problems


def _entry(number: int, row: Row, problems: list[str]) -> _Entry | None:
    title = f"row {number}"
    if not isinstance(row, Mapping):
        problems.append(f"{title}: not a row of named fields")
        return None
    wrong = [f"{title}: field {str(key)!r} is unknown" for key in row if key not in COLUMNS]
    wrong += [f"{title}: {name} is missing" for name in NEEDED if row.get(name) in (None, "")]
    texts = {name: _text(title, name, row, wrong) for name in COLUMNS if name in _TEXT}
    numbers = {name: _number(title, name, row, wrong) for name in COLUMNS if name not in _TEXT}
    kind = _one_of(title, "kind", texts["kind"], tuple(Kind), wrong)
    resolution = _one_of(title, "resolution", texts["resolution"], tuple(Resolution), wrong)
    uhd = texts["uhd"].lower()
    if uhd not in _UHD:
        wrong.append(f"{title}: uhd is {uhd!r}, not one of true, false")
    problems += wrong
    if wrong or resolution is None:
        return None
    watch_s = numbers["watch_s"]
    bundle = Bundle(
        end=texts["end"],
        content=texts["content"],
        resolution=Resolution(resolution),
        parallel=numbers["parallel"] or 0.0,
        watch_s=_WATCH_S if watch_s is None else watch_s,
    )
    return _Entry(
        number=number,
        bundle=bundle,
        kind=Kind(kind) if kind else None,
        size_gb=numbers["size_gb"],
        mean_gb=numbers["mean_gb"],
        uhd=_UHD[uhd],
    )


def _text(title: str, name: str, row: Row, wrong: list[str]) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        wrong.append(f"{title}: {name} is {value!r}, not a text")
        return ""
    return value.strip()


def _number(title: str, name: str, row: Row, wrong: list[str]) -> float | None:
    """The number; what range it must be in is the planner's to say, but for NaN and infinity."""
    value = row.get(name)
    if value is None or value == "":
        return None
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            wrong.append(f"{title}: {name} is {_short(value)}, not a number")
            return None
    if not math.isfinite(number):
        wrong.append(f"{title}: {name} is {_short(value)}, not a finite number")
        return None
    return number


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _one_of(
    title: str, name: str, value: str, known: tuple[str, ...], wrong: list[str]
) -> str | None:
    if not value:
        return None
    if value not in known:
        wrong.append(f"{title}: {name} is {_short(value)}, not one of {', '.join(known)}")
        return None
    return value


def _content(name: str, entries: list[_Entry], problems: list[str]) -> Content:
    """A content of its rows; those that do not agree are reported."""
    said: dict[str, object] = {}
    for entry in entries:
        for field in ("kind", "size_gb", "mean_gb", "uhd"):
            value = getattr(entry, field)
            if value is not None and said.setdefault(field, value) != value:
                problems.append(
                    f"row {entry.number}: content {name!r} has {field} {value} here"
                    f" and {said[field]} before"
                )
    watch_s = max(entry.bundle.watch_s for entry in entries)
    size = said.get("size_gb")
    size_gb = size if isinstance(size, float) else max(watch_s, 1.0) * _STORED_MBPS / 8000.0
    mean = said.get("mean_gb")
    kind = said.get("kind")
    return Content(
        name=name,
        kind=kind if isinstance(kind, Kind) else Kind.MOVIE,
        size_gb=size_gb,
        mean_gb=mean if isinstance(mean, float) else size_gb,
        uhd=said.get("uhd") is True,
    )
