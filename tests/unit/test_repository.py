"""The repository's pure parts: chunks regrouped, ranges of parts, patterns of strangers."""

import re
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.repository.model import BadPattern, Part
from umbel.repository.patterns import Patterns
from umbel.repository.pieces import pieces
from umbel.repository.reading import spans


@given(st.lists(st.binary(max_size=20)), st.integers(1, 12))
async def test_pieces_are_the_same_bytes(chunks: list[bytes], size: int) -> None:
    async def come() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    found = [piece async for piece in pieces(come(), size)]
    assert b"".join(found) == b"".join(chunks)
    assert all(len(piece) == size for piece in found[:-1])
    assert all(0 < len(piece) <= size for piece in found)


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(0, 60), st.integers(0, 60))
def test_a_range_touches_its_parts_only(sizes: list[int], start: int, end: int) -> None:
    whole = bytes(range(sum(sizes)))
    found, at, parts = b"", 0, []
    data = {}
    for number, size in enumerate(sizes):
        parts.append(Part(blob=str(number), item="i", number=number, size=size, sha256=""))
        data[str(number)], at = whole[at : at + size], at + size
    for part, first, last in spans(parts, start, end):
        assert 0 <= first < last <= part.size
        found += data[part.blob][first:last]
    assert found == whole[start:end]


# What both engines mean by the same words; RE2 is then compared with another one.
ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "(?:ab)", "(a|b)", "a|b", "^", "$"])
PATTERN = st.lists(
    st.tuples(ATOMS, st.sampled_from(["", "*", "+", "?", "{1,2}"])), min_size=1, max_size=4
).map(
    lambda parts: "".join(
        atom + (repeat if atom not in {"^", "$", "a|b"} else "") for atom, repeat in parts
    )
)


@given(PATTERN, st.text("abc", max_size=8))
def test_a_pattern_means_what_it_says(pattern: str, text: str) -> None:
    expected = re.search(pattern, text) is not None
    assert Patterns({"k": pattern}).match({"k": text}) is expected


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_a_pattern_or_refused(pattern: str, text: str) -> None:
    try:
        compiled = Patterns({"k": pattern})
    except BadPattern:
        return
    assert compiled.match({"k": text}) in {True, False}
    assert not compiled.match({"other": text})


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(a|aa)+$", "(.*a){20}$", "(a*)*b"])
def test_a_pattern_costs_as_the_text_is_long(pattern: str) -> None:
    """A backtracking engine would not come to an end before the test's timeout."""
    assert not Patterns({"k": pattern}).match({"k": "a" * 4095 + "!"})
