"""Phrases and cues: what programs say is bounded, and times follow the calendar."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.media.speech import cues, lines
from umbel.media.speech.cues import Cue, MalformedCue, SoundClock
from umbel.media.speech.lines import MalformedLine
from umbel.media.speech.model import LONGEST_TEXT, MOST_WORDS, Phrase, Word

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text() | JSON,
        "start": st.floats() | st.integers() | JSON,
        "end": st.floats() | st.integers() | JSON,
        "final": st.booleans() | JSON,
        "words": JSON,
    },
)


def line(**fields: Any) -> bytes:
    return json.dumps({"text": "go on", "start": 1, "end": 2.5, **fields}).encode()


def test_a_line_is_a_phrase() -> None:
    words = [{"text": "go", "start": 1, "end": 1.5}]
    assert lines.read_line(line(words=words, final=False, other=1)) == Phrase(
        text="go on",
        start_s=1,
        end_s=2.5,
        is_final=False,
        words=(Word(text="go", start_s=1, end_s=1.5),),
    )


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"[" * 50_000,
        b"\xff",
        line(text=1),
        line(start=-1),
        line(start=3),
        line(end=float("inf")),
        line(end=10**400),
        line(start=True),
        line(final="yes"),
        line(words=[1]),
        line(words=[{"text": "x"}]),
    ],
)
def test_what_is_no_phrase_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedLine):
        lines.read_line(data)


def test_nothing_said_is_no_phrase() -> None:
    assert lines.read_line(b" \r") is None
    assert lines.read_line(line(text=" \t")) is None


def test_a_phrase_is_bounded() -> None:
    word = {"text": "go", "start": 1, "end": 2}
    phrase = lines.read_line(line(text="x" * 9000, words=[word] * 9000))
    assert phrase is not None
    assert (len(phrase.text), len(phrase.words)) == (LONGEST_TEXT, MOST_WORDS)


@given(st.binary() | FIELDS.map(lambda fields: json.dumps(fields).encode()))
def test_any_line_is_a_phrase_or_refused(data: bytes) -> None:
    try:
        phrase = lines.read_line(data)
    except MalformedLine:
        return
    if phrase is not None:
        assert 0 <= phrase.start_s <= phrase.end_s
        assert phrase.text.isprintable()
        assert 0 < len(phrase.text) <= LONGEST_TEXT


@given(
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | FIELDS.map(lambda fields: json.dumps(fields).encode())
)
def test_any_message_is_a_cue_or_refused(data: bytes) -> None:
    try:
        cue = cues.decode(data)
    except MalformedCue:
        return
    assert 0 <= cue.start_s <= cue.end_s
    assert cues.decode(cues.encode(cue)) == cue


def test_a_cue_is_the_same_on_the_other_side() -> None:
    cue = Cue(text="Grüß Gott <b>", start_s=1_700_000_000.125, end_s=1_700_000_001.0)
    assert cues.decode(cues.encode(cue)) == cue


@given(st.text(min_size=1), st.floats(0, 100), st.floats(0, 100))
def test_pieces_have_all_words_in_order(text: str, start_s: float, length_s: float) -> None:
    phrase = Phrase(text=lines.plain(text), start_s=start_s, end_s=start_s + length_s)
    pieces = list(cues.split(phrase))
    assert " ".join(piece.text for piece in pieces) == phrase.text
    for piece in pieces:
        assert len(piece.text) <= cues.LONGEST_CUE or " " not in piece.text
        assert start_s <= piece.start_s <= piece.end_s <= start_s + length_s + 1e-6


def test_a_long_phrase_is_cut_where_its_words_are() -> None:
    words = tuple(Word(text="x" * 9, start_s=n, end_s=n + 0.5) for n in range(20))
    phrase = Phrase(text=" ".join(word.text for word in words), start_s=0, end_s=19.5, words=words)
    pieces = list(cues.split(phrase))
    assert [(piece.start_s, piece.end_s) for piece in pieces] == [(0, 7.5), (8, 15.5), (16, 19.5)]


def test_the_clock_follows_where_sound_was_lost() -> None:
    clock = SoundClock()
    for tick in range(100):
        clock.note(tick * 0.02, 1000 + tick * 0.02)
    clock.note(2.0, 1005.0)  # three seconds were lost
    clock.note(2.02, 1005.03)
    assert clock.wall_s(1.0) == pytest.approx(1001)
    assert clock.wall_s(2.5) == pytest.approx(1005.5)
    assert clock.wall_s(-1) == pytest.approx(999)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e9))))
def test_the_clock_remembers_little(notes: list[tuple[float, float]]) -> None:
    clock = SoundClock()
    for sound_s, wall_s in sorted(notes):
        clock.note(sound_s, wall_s)
        assert abs(clock.wall_s(sound_s) - wall_s) <= 0.06
    phrase = Phrase(text="x", start_s=1, end_s=3)
    cue = cues.on_calendar(phrase, clock)
    assert cue.end_s - cue.start_s == pytest.approx(2)
