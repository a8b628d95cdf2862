"""What a recorder gives, written down and read back; bytes that make no sense are refused."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from umbel.media.model import Pulled, PulledSegment
from umbel.media.record import answer
from umbel.media.record.answer import AnswerMalformed


def pulled(bodies: list[bytes], maps: dict[int, bytes]) -> Pulled:
    numbers = sorted(maps)
    segments = tuple(
        PulledSegment(
            number=7 + 2 * index,
            duration_s=2.0,
            wall_s=1_700_000_000.25 + 2 * index,
            discontinuity=index == 0,
            map_number=numbers[index % len(numbers)],
            keyframes=index,
            body=body,
        )
        for index, body in enumerate(bodies)
    )
    return Pulled(boot="b-_1", dropped=3, ended=True, maps=maps, segments=segments)


SIMPLE = pulled([b"first", b"second"], {4: b"map"})


@examples(100)
@given(
    st.lists(st.binary(max_size=200), max_size=10),
    st.dictionaries(st.integers(0, 10**9), st.binary(max_size=50), min_size=1, max_size=3),
)
def test_what_is_written_is_read(bodies: list[bytes], maps: dict[int, bytes]) -> None:
    given_ = pulled(bodies, maps)
    assert answer.decode(answer.encode(given_)) == given_


def test_nothing_yet_is_an_answer() -> None:
    empty = Pulled(boot="b", dropped=0, ended=False, maps={}, segments=())
    assert answer.decode(answer.encode(empty)) == empty


def changed(**fields: object) -> bytes:
    """The simple answer with other fields in its header."""
    line, _, rest = answer.encode(SIMPLE).partition(b"\n")
    return json.dumps({**json.loads(line), **fields}).encode() + b"\n" + rest


def with_segment(**fields: object) -> bytes:
    line = answer.encode(SIMPLE).partition(b"\n")[0]
    first, *others = json.loads(line)["segments"]
    return changed(segments=[{**first, **fields}, *others])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no header"),
        (b"x" * 100_000, "no header"),
        (b"{}\n", "missing"),
        (b"[]\n", "not an object"),
        (b"\xff\n", "not JSON"),
        (b"[" * 60_000 + b"\n", "not JSON"),
        (b'{"boot": NaN}\n', "not JSON"),
        (b'{"boot": ' + b"9" * 10_000 + b"}\n", "not JSON"),
        (changed(boot="a/b"), "boot"),
        (changed(boot=""), "boot"),
        (changed(boot=5), "boot"),
        (changed(dropped=-1), "dropped"),
        (changed(dropped=True), "dropped"),
        (changed(dropped=1.5), "dropped"),
        (changed(ended=1), "ended"),
        (changed(maps=[]), "maps"),
        (changed(maps={"x": 3}), "maps"),
        (changed(maps={"4": 3, "04": 0}), "maps"),
        (changed(maps={"4": 2}), "bytes behind"),
        (changed(maps={"5": 3}), "not there"),
        (changed(maps={"4": 10**6}), "4: not a number"),
        (changed(segments={}), "segments"),
        (changed(segments=[3]), "segments"),
        (changed(segments=[{}] * 300), "at most"),
        (changed(segments=[]), "bytes behind"),
        (with_segment(number=9), "do not grow"),
        (with_segment(number=2**60), "number"),
        (with_segment(size=10**9), "size"),
        (with_segment(size=1000), "shorter"),
        (with_segment(duration_s=-0.1), "duration_s"),
        (with_segment(duration_s="2"), "duration_s"),
        (with_segment(duration_s=10**400), "duration_s"),
        (with_segment(wall_s=1e300), "wall_s"),
        (with_segment(discontinuity=None), "discontinuity"),
        (with_segment(keyframes=-3), "keyframes"),
        (answer.encode(SIMPLE)[:-1], "shorter"),
        (answer.encode(SIMPLE) + b"!", "bytes behind"),
    ],
)
def test_what_makes_no_sense_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(AnswerMalformed) as caught:
        answer.decode(data)
    assert why in caught.value.message


@examples(300)
@given(st.integers(0, 2**32))
def test_damaged_bytes_are_read_or_refused(seed: int) -> None:
    noise = random.Random(seed)
    data = bytearray(answer.encode(SIMPLE))
    for _ in range(noise.randrange(1, 6)):
        at = noise.randrange(len(data))
        data[at : at + noise.randrange(3)] = noise.randbytes(noise.randrange(4))
    try:
        found = answer.decode(bytes(data))
    except AnswerMalformed:
        return
    assert sum(len(segment.body) for segment in found.segments) <= len(data)
    assert all(segment.map_number in found.maps for segment in found.segments)


@examples(100)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_any_field_may_be_anything(value: object) -> None:
    for name in ("boot", "dropped", "ended", "maps", "segments"):
        try:
            answer.decode(changed(**{name: value}))
        except AnswerMalformed:
            continue
    for name in ("number", "duration_s", "wall_s", "discontinuity", "map", "size", "keyframes"):
        try:
            answer.decode(with_segment(**{name: value}))
        except AnswerMalformed:
            continue


def test_a_repr_does_not_show_the_media() -> None:
    shown = repr(replace(SIMPLE, segments=SIMPLE.segments * 2))
    assert "second" not in shown
    assert "b'map'" not in shown
