"""Traces say what they were told, and nothing else passes for one."""

import math
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.small_world import catalogue, small_world, viewers
from umbel.planner.problem import Kind, Resolution
from umbel.planner.trace import (
    HEADER,
    BadTrace,
    Begin,
    Closed,
    ContentRow,
    How,
    Opened,
    Row,
    line_of,
    lines_of,
    rows_of,
)
from umbel.simulator import run, trace
from umbel.simulator.config import Config, Phase
from umbel.simulator.ports import Outcomes
from umbel.simulator.requests import Catalogue, Requests
from umbel.simulator.trace import Trace
from umbel.simulator.workload import Workload

THERE = small_world(lightpath_mbps=200.0, storage_gb=3.0)
ENDS = THERE.ends

names = st.text(
    st.characters(codec="utf-8", exclude_characters=',"', exclude_categories=("Z", "C")),
    min_size=1,
    max_size=30,
)
times = st.floats(0.0, 1e9)
some_rows: st.SearchStrategy[Row] = st.one_of(
    st.builds(Begin, times),
    st.builds(
        ContentRow,
        names,
        st.sampled_from(Kind),
        st.floats(1e-3, 1e6),
        st.integers(1, 10**15),
        st.booleans(),
    ),
    st.builds(
        Opened,
        times,
        names,
        names,
        names,
        st.sampled_from(Resolution),
        st.one_of(st.just(math.inf), st.floats(0.0, 1e4)),
    ),
    st.builds(Closed, times, names, st.sampled_from(How)),
)


@given(st.lists(some_rows, max_size=20), st.sampled_from(["", "\n", "\r\n"]))
def test_rows_come_back_as_they_went(rows: list[Row], line_end: str) -> None:
    lines = [line + line_end for line in lines_of(rows)]
    assert list(rows_of([*lines, line_end])) == rows


@pytest.mark.parametrize(
    "row",
    [
        Opened(0.0, "a b", "end", "content", Resolution.R360),
        Opened(0.0, "", "end", "content", Resolution.R360),
        Opened(-1.0, "s", "end", "content", Resolution.R360),
        Opened(math.nan, "s", "end", "content", Resolution.R360),
        Opened(0.0, "s", "end", "a,b", Resolution.R360),
        Opened(0.0, "s", "end", "content", Resolution.R360, -1.0),
        Closed(math.inf, "s"),
        Closed(0.0, 'a"b'),
        Closed(0.0, "s" * 201),
        ContentRow("c", Kind.TOON, 0.0, 1, False),
        ContentRow("c", Kind.TOON, 1.0, 0, False),
        ContentRow("line\nbreak", Kind.TOON, 1.0, 1, False),
        Begin(math.inf),
    ],
)
def test_what_has_no_line_is_refused(row: Row) -> None:
    with pytest.raises(BadTrace):
        line_of(row)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["umbel-trace,2"],
        ["open,0,s,home-1,c,360p,"],
        [HEADER, HEADER],
        [HEADER, "open,0,s,home-1,c,360p"],
        [HEADER, "open,0,s,home-1,c,480p,"],
        [HEADER, "open,+1,s,home-1,c,360p,"],
        [HEADER, "open,1_0,s,home-1,c,360p,"],
        [HEADER, "open,nan,s,home-1,c,360p,"],
        [HEADER, "close,1e999,s,left"],
        [HEADER, "close,1,s,right"],
        [HEADER, "content,c,movie,1,9223372036854775808,0"],
        [HEADER, "content,c,movie,1,1,2"],
        [HEADER, "close,1," + "s" * 1000 + ",left"],
        [HEADER, "\ufeffclose,1,s,left"],
    ],
)
def test_what_is_no_line_is_refused(lines: list[str]) -> None:
    with pytest.raises(BadTrace):
        list(rows_of(lines))


CONTENT = ContentRow("c", Kind.MOVIE, 60.0, 1000, False)
OPENED = Opened(5.0, "s", "home-1", "c", Resolution.R720)


@pytest.mark.parametrize(
    "rows",
    [
        [OPENED],
        [CONTENT, OPENED, OPENED],
        [CONTENT, replace(OPENED, end="nowhere")],
        [CONTENT, OPENED, Closed(4.0, "s")],
        [CONTENT, Closed(4.0, "s")],
        [CONTENT, OPENED, Closed(6.0, "s"), Closed(7.0, "s")],
        [CONTENT, replace(CONTENT, size_bytes=1001)],
        [CONTENT, Begin(0.0)],
    ],
)
def test_rows_that_make_no_sense_are_refused(rows: list[Row]) -> None:
    with pytest.raises(BadTrace):
        trace.read(rows, ENDS)


def test_who_was_refused_wanted_everything_and_who_is_left_stays_to_the_end() -> None:
    rows: list[Row] = [
        Begin(1_800_000_000.0),
        CONTENT,
        OPENED,
        replace(OPENED, session="r", time_s=6.0),
        Closed(6.0, "r", How.REFUSED),
        replace(OPENED, session="l", time_s=7.0),
        Closed(9.0, "l", How.LOST),
        CONTENT,
        replace(OPENED, session="l", time_s=9.0),
        Closed(20.0, "l"),
    ]
    found = trace.read(rows, ENDS).requests
    assert found.time_s.tolist() == [5.0, 6.0, 7.0, 9.0]
    assert found.until_s.tolist() == [20.0, 66.0, 9.0, 20.0]
    assert np.isinf(found.last_hop_mbps).all()


def same(one: Requests | Catalogue | Outcomes, other: Requests | Catalogue | Outcomes) -> bool:
    pairs = ((getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return all(np.array_equal(a, b) for a, b in pairs)


@given(seed=st.integers(0, 10**6), count=st.integers(0, 60))
@examples(50)
def test_requests_come_back_to_the_last_bit(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    contents = catalogue(random)
    some = viewers(random, THERE, contents, count, span_s=100.0)
    shifted = replace(some, time_s=some.time_s + 1 / 3, until_s=some.until_s + 1 / 3)
    lines = lines_of(trace.rows_from(Trace(catalogue=contents, requests=shifted), ENDS))
    found = trace.read(rows_of(lines), ENDS)
    assert same(found.requests, shifted)
    assert same(found.catalogue, contents)


def test_a_replayed_run_is_the_run() -> None:
    config = Config(phases=(Phase(duration_s=700.0),), catalogue=40, requests_per_s=0.2)
    workload = Workload(config, THERE)
    first = run.replay(config, THERE, workload.catalogue, workload)
    written = Trace(catalogue=workload.catalogue, requests=first.record.requests)
    found = trace.read(rows_of(lines_of(trace.rows_from(written, ENDS))), ENDS)
    again = run.replay(config, THERE, found.catalogue, [found.requests])
    assert same(again.record.outcomes, first.record.outcomes)
    assert len(first.record.outcomes.departed) > 40


def parses(text: str) -> None:
    """Either a trace whose rows come back as they are read, or BadTrace."""
    try:
        rows = list(rows_of(text.split("\n")))
    except BadTrace:
        return
    assert list(rows_of(lines_of(rows))) == rows
    assert len(rows) < len(text.split("\n"))
    try:
        found = trace.read(rows, ENDS)
    except BadTrace:
        return
    assert len(found.requests) <= sum(isinstance(row, Opened) for row in rows)


@given(st.binary(max_size=300))
def test_noise_is_no_trace(raw: bytes) -> None:
    parses(raw.decode("utf-8", errors="surrogateescape"))
    parses(f"{HEADER}\n{raw.decode('latin-1')}")


VALID = "\n".join(
    lines_of([Begin(1.0), CONTENT, OPENED, Closed(6.5, "s"), replace(OPENED, time_s=8.0)])
)
mutations: st.SearchStrategy[Callable[[str], str]] = st.one_of(
    st.builds(
        lambda at, new: lambda text: text[: at % len(text)] + new + text[at % len(text) + 1 :],
        st.integers(0, 10_000),
        st.sampled_from([*"0123456789.,eE+-\n\r\x00 \"'_", "9" * 30, "inf", "nan", "", "٣"]),
    ),
    st.builds(
        lambda a, b: lambda text: "\n".join(swapped(text.split("\n"), a, b)),
        st.integers(0, 100),
        st.integers(0, 100),
    ),
)


def swapped(lines: list[str], a: int, b: int) -> list[str]:
    a, b = a % len(lines), b % len(lines)
    lines[a], lines[b] = lines[b], lines[a]
    return lines


@given(st.lists(mutations, min_size=1, max_size=4))
@examples(400)
def test_a_damaged_trace_is_a_trace_or_refused(changes: list[Callable[[str], str]]) -> None:
    text = VALID
    for change in changes:
        text = change(text) or VALID
    parses(text)
