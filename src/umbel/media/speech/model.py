"""What recognisers say. Times are seconds of the sound that they were fed."""

from dataclasses import dataclass

from umbel.kit import languages
from umbel.kit.errors import Invalid, Unavailable

SAMPLE_HZ = 16_000
"""Recognisers take 16-bit little-endian samples of one channel at this rate."""
BYTES_PER_S = 2 * SAMPLE_HZ
LONGEST_TEXT = 500
"""Characters of a phrase, and of a cue."""
MOST_WORDS = 200
LONGEST_COMMAND = 1000


class SpeechUnavailable(Invalid):
    """The media server has no engine that recognises speech in this language."""

    code = "umbel.speech_unavailable"


class SpeechFailed(Unavailable):
    """The engine that recognises speech ended, or says what makes no sense."""

    code = "umbel.speech_failed"


def check_language(language: str) -> None:
    """Raises SpeechUnavailable where it is not a language tag (BCP 47) such as en-US."""
    if not languages.is_tag(language):
        raise SpeechUnavailable("A language is written as a tag such as en-US or de.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word and when it was said."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """What was said without a long pause. One that is not final is followed by a better one of
    the same sound. `words` is empty where the engine does not say when each was."""

    text: str
    start_s: float
    end_s: float
    is_final: bool = True
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Which recogniser a media server has: "" (none), `pocketsphinx`, `command` or `fake`; the
    command's words are separated as in a shell, `{language}` in them stands for the language."""

    name: str = ""
    command: str = ""


NO_ENGINE = Engine()
