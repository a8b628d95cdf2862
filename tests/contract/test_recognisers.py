"""What every recogniser keeps: phrases in the order and on the time of the sound."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from support.speech import echo_command, go_forward, seconds
from support.waiting import poll_until
from umbel.media.speech import engines
from umbel.media.speech.drivers.command import CommandRecogniser
from umbel.media.speech.model import (
    Engine,
    Phrase,
    SpeechFailed,
    SpeechUnavailable,
)
from umbel.media.speech.ports import Recogniser

ENGINES = (
    Engine(name="fake"),
    Engine(name="pocketsphinx"),
    Engine(name="command", command=echo_command()),
)
_PIECE = 3_000


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def make(request: pytest.FixtureRequest) -> Iterator[Callable[[], Recogniser]]:
    made: list[Recogniser] = []

    def new() -> Recogniser:
        made.append(engines.make(request.param, "en-US"))
        return made[-1]

    yield new
    for one in made:
        one.close()
        one.close()


def recognised(recogniser: Recogniser, pcm: bytes) -> list[Phrase]:
    said: list[Phrase] = []
    for at in range(0, len(pcm), _PIECE):
        said += recogniser.feed(pcm[at : at + _PIECE])
    return said + list(recogniser.finish())


def test_phrases_are_in_order_and_in_the_time_of_the_sound(
    make: Callable[[], Recogniser],
) -> None:
    pcm = go_forward() * 2
    final = [one for one in recognised(make(), pcm) if one.is_final]
    assert len(final) >= 2
    assert [one.start_s for one in final] == sorted(one.start_s for one in final)
    for one in final:
        assert one.text
        assert 0 <= one.start_s <= one.end_s <= seconds(pcm) + 1
        assert all(one.start_s <= w.start_s <= w.end_s <= one.end_s + 0.01 for w in one.words)


def test_some_phrases_come_before_they_are_final(make: Callable[[], Recogniser]) -> None:
    assert not all(one.is_final for one in recognised(make(), go_forward() * 2))


def test_no_sound_is_no_phrase(make: Callable[[], Recogniser]) -> None:
    recogniser = make()
    assert list(recogniser.feed(b"")) == []
    assert list(recogniser.finish()) == []


def test_pocketsphinx_hears_the_words() -> None:
    recogniser = engines.make(Engine(name="pocketsphinx"), "en-US")
    said = [one for one in recognised(recogniser, go_forward()) if one.is_final]
    assert {"go", "forward", "ten", "meters"} <= {w.text for one in said for w in one.words}
    assert 0.3 < said[0].start_s < 0.8


def test_pocketsphinx_cuts_speech_without_a_pause() -> None:
    speech = go_forward(silence_s=0)[12_000:80_000]  # no pause in it
    recogniser = engines.make(Engine(name="pocketsphinx"), "en-US")
    said = [one for one in recognised(recogniser, speech * 8) if one.is_final]
    assert len(said) >= 2
    assert all(one.end_s - one.start_s < 8 for one in said)


@pytest.mark.parametrize(
    ("engine", "language"),
    [
        (Engine(), "en"),
        (Engine(name="other"), "en"),
        (Engine(name="command"), "en"),
        (Engine(name="command", command="/nowhere/at/all"), "en"),
        (Engine(name="command", command="'"), "en"),
        (Engine(name="pocketsphinx"), "de"),
        (Engine(name="fake"), "--help"),
        (Engine(name="fake"), ""),
    ],
)
def test_an_engine_that_cannot_work_says_so(engine: Engine, language: str) -> None:
    with pytest.raises(SpeechUnavailable):
        engines.make(engine, language)


def test_a_command_gets_the_language() -> None:
    recogniser = engines.make(ENGINES[2], "pt-BR")
    said = recognised(recogniser, go_forward())
    recogniser.close()
    assert any("pt-BR" in one.text for one in said)


def test_a_command_that_ends_is_told_of() -> None:
    recogniser = CommandRecogniser("true", "en")
    with pytest.raises(SpeechFailed):
        poll_until(lambda: recogniser.feed(bytes(32_000)))
    recogniser.close()


@pytest.mark.parametrize("program", ["print('x' * 200_000)", "print('no\\n' * 500)"])
def test_a_command_that_says_something_else_is_ended(program: str) -> None:
    recogniser = CommandRecogniser(f'{sys.executable} -c "{program}; input()"', "en")
    with pytest.raises(SpeechFailed, match="JSON"):
        with suppress(StopIteration):
            for _ in range(10_000):
                recogniser.feed(bytes(3_200))
        recogniser.finish()
    recogniser.close()
