"""Ranges and conditions of HTTP: what RFC 9110 says, and anything else without harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.repository.ranges import (
    MOST_RANGES,
    BadContentRange,
    ContentRange,
    Decision,
    RangeUnsatisfiable,
    Span,
    Validators,
    applies,
    decide,
    parse_content_range,
    parse_range,
)

NOW = Validators(etag='"abc"', changed_s=784_111_777.9)
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE, AFTER = "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"
DATA = bytes(range(100))


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-99", [(0, 100)]),
        ("bytes=0-", [(0, 100)]),
        ("bytes=90-1000", [(90, 100)]),
        ("bytes=-1", [(99, 100)]),
        ("bytes=-1000", [(0, 100)]),
        ("Bytes = 5-6 , 9-9", [(5, 7), (9, 10)]),
        ("bytes=0-1,,2-3,", [(0, 2), (2, 4)]),
        ("bytes=50-60,0-9,-5", [(50, 61), (0, 10), (95, 100)]),
        ("bytes=0-1,200-300", [(0, 2)]),
    ],
)
def test_ranges_that_are_there(header: str, spans: list[tuple[int, int]]) -> None:
    assert parse_range(header, 100) == [Span(start=a, end=b) for a, b in spans]


@pytest.mark.parametrize("header", ["", "items=0-1", "bytes", "0-1", "bytes 0-1"])
def test_what_is_not_a_range_of_bytes_is_ignored(header: str) -> None:
    assert parse_range(header, 100) is None


@pytest.mark.parametrize(
    "header",
    [
        *("bytes=", "bytes=100-", "bytes=-0", "bytes=5-4", "bytes=a-b", "bytes=--1", "bytes=0-1-2"),
        *("bytes=0x1-2", "bytes=1.5-2", "bytes=\u0661-\u0662", "bytes=0-9,5-6", "bytes=0-,-1"),
        *("bytes=" + "9" * 19 + "-", "bytes=0-" + " " * 2000),
        "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(MOST_RANGES + 1)),
    ],
)
def test_ranges_that_are_not_there(header: str) -> None:
    with pytest.raises(RangeUnsatisfiable) as refused:
        parse_range(header, 100)
    assert refused.value.details == {"size": 100}


def test_an_empty_item_has_no_ranges() -> None:
    with pytest.raises(RangeUnsatisfiable):
        parse_range("bytes=0-0", 0)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 40)), min_size=1, max_size=6))
def test_a_range_that_is_written_is_read(parts: list[tuple[int, int]]) -> None:
    spans = [Span(start=a, end=min(a + b, 100)) for a, b in parts]
    header = "bytes=" + ",".join(f"{s.start}-{s.end - 1}" for s in spans)
    wanted = [n for s in spans for n in range(s.start, s.end)]
    if len(set(wanted)) < len(wanted):
        with pytest.raises(RangeUnsatisfiable):
            parse_range(header, 100)
    else:
        assert parse_range(header, 100) == spans


@given(
    st.one_of(
        st.text(max_size=60), st.text("bytes=0123456789-, *", max_size=60).map("bytes={}".format)
    ),
    st.integers(0, 100),
)
def test_any_header_gives_bytes_that_are_there(header: str, size: int) -> None:
    try:
        spans = parse_range(header, size)
    except RangeUnsatisfiable:
        return
    if spans is not None:
        assert 0 < len(spans) <= MOST_RANGES
        assert sum(s.end - s.start for s in spans) <= size
        assert all(0 <= s.start < s.end <= size for s in spans)
        for s in spans:
            assert parse_content_range(s.content_range(size)) == ContentRange(
                start=s.start, end=s.end, total=size
            )


@pytest.mark.parametrize(
    ("header", "piece"),
    [
        ("bytes 0-99/100", (0, 100, 100)),
        ("bytes 5-5/*", (5, 6, None)),
        (" BYTES  7-8/9 ", (7, 9, 9)),
    ],
)
def test_pieces(header: str, piece: tuple[int, int, int | None]) -> None:
    found = parse_content_range(header)
    assert (found.start, found.end, found.total) == piece


@given(st.one_of(st.text(max_size=40), st.text("bytes 0123456789-/*", max_size=40)))
def test_any_other_header_is_refused_or_means_a_piece(header: str) -> None:
    try:
        piece = parse_content_range(header)
    except BadContentRange:
        return
    assert 0 <= piece.start < piece.end < 10**18 + 1
    assert piece.total is None or piece.end <= piece.total
    total = "*" if piece.total is None else piece.total
    again = f"bytes {piece.start}-{piece.end - 1}/{total}"
    assert parse_content_range(again) == piece


@pytest.mark.parametrize(
    "header",
    ["", "bytes */100", "bytes 5-4/10", "bytes 0-10/10", "bytes 0-1", "items 0-1/2", "bytes=0-1/2"],
)
def test_pieces_that_are_none(header: str) -> None:
    with pytest.raises(BadContentRange):
        parse_content_range(header)


PROCEED, SAME, FAILED = Decision.PROCEED, Decision.NOT_MODIFIED, Decision.FAILED


@pytest.mark.parametrize(
    ("headers", "decision"),
    [
        ({}, PROCEED),
        ({"if-match": '"abc"'}, PROCEED),
        ({"if-match": '"x", "abc"'}, PROCEED),
        ({"if-match": "*"}, PROCEED),
        ({"if-match": '"x"'}, FAILED),
        ({"if-match": 'W/"abc"'}, FAILED),
        ({"if-match": ""}, FAILED),
        ({"if-none-match": '"abc"'}, SAME),
        ({"if-none-match": 'W/"abc"'}, SAME),
        ({"if-none-match": "*"}, SAME),
        ({"if-none-match": '"x"'}, PROCEED),
        ({"if-none-match": '"x"', "if-modified-since": AFTER}, PROCEED),
        ({"if-modified-since": DATE}, SAME),
        ({"if-modified-since": BEFORE}, PROCEED),
        ({"if-modified-since": "yesterday"}, PROCEED),
        ({"if-unmodified-since": DATE}, PROCEED),
        ({"if-unmodified-since": BEFORE}, FAILED),
        ({"if-unmodified-since": "yesterday"}, PROCEED),
        ({"if-match": '"abc"', "if-unmodified-since": BEFORE}, PROCEED),
        ({"if-match": '"x"', "if-none-match": '"abc"'}, FAILED),
    ],
)
def test_conditions(headers: dict[str, str], decision: Decision) -> None:
    assert decide(headers, NOW) is decision


@pytest.mark.parametrize(
    ("if_range", "counts"),
    [
        *((None, True), ('"abc"', True), ('W/"abc"', False), ('"x"', False), (DATE, True)),
        *((BEFORE, False), (AFTER, False), ("", False), ("abc", False)),
    ],
)
def test_a_range_may_have_a_condition(if_range: str | None, counts: bool) -> None:
    assert applies(if_range, NOW) is counts


def test_dates_are_written_as_http_does() -> None:
    assert NOW.last_modified == DATE


@given(
    st.dictionaries(
        st.sampled_from(
            ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"]
        ),
        st.one_of(st.text(max_size=50), st.sampled_from([DATE, "*", '"abc"'])),
    )
)
def test_any_conditions_come_to_something(headers: dict[str, str]) -> None:
    assert decide(headers, NOW) in Decision
    assert applies(headers.get("if-range"), NOW) in {True, False}
