"""Phrases to cues: as long as one reads at once, on the calendar's clock. Pure.

In: phrases in seconds of sound, and when pieces of the sound were by the calendar. Out: cues, and
cues as messages between a worker and its media server.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from umbel.kit.errors import Invalid
from umbel.media.speech.lines import plain
from umbel.media.speech.model import Phrase, Word

LONGEST_CUE = 84
"""Characters: two lines of 42, as broadcasters write them."""
_NOTICEABLE_S = 0.05
_MOST_ANCHORS = 256
_LATEST_S = 1e11


class MalformedCue(Invalid):
    """A message of a worker is not a cue."""

    code = "umbel.cue_malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """What is shown, from when until when: epoch seconds of the stream's own clock, which
    EXT-X-PROGRAM-DATE-TIME and recordings have too."""

    text: str
    start_s: float
    end_s: float


class SoundClock:
    """When a place in the sound was by the calendar. Remembers where the two moved apart."""

    def __init__(self) -> None:
        self._anchors: list[tuple[float, float]] = []

    def note(self, sound_s: float, wall_s: float) -> None:
        """The sound from `sound_s` on began at `wall_s`."""
        if not self._anchors or abs(self.wall_s(sound_s) - wall_s) > _NOTICEABLE_S:
            self._anchors.append((sound_s, wall_s))
            del self._anchors[:-_MOST_ANCHORS]

    def wall_s(self, sound_s: float) -> float:
        """Before the first anchor that is kept, that one counts backwards."""
        if not self._anchors:
            return sound_s
        at_s, wall_s = next(
            (one for one in reversed(self._anchors) if one[0] <= sound_s), self._anchors[0]
        )
        return wall_s + sound_s - at_s


def split(phrase: Phrase) -> Iterator[Phrase]:
    """The phrase in pieces of at most LONGEST_CUE characters, at its words."""
    words = phrase.words or _spread(phrase)
    piece: list[Word] = []
    for word in words:
        if piece and sum(len(one.text) + 1 for one in piece) + len(word.text) > LONGEST_CUE:
            yield _joined(phrase, piece)
            piece = []
        piece.append(word)
    if piece:
        yield _joined(phrase, piece)


def on_calendar(phrase: Phrase, clock: SoundClock) -> Cue:
    """The phrase as a cue."""
    start_s = clock.wall_s(phrase.start_s)
    return Cue(text=phrase.text, start_s=start_s, end_s=start_s + phrase.end_s - phrase.start_s)


def encode(cue: Cue) -> bytes:
    """The cue as a message."""
    return json.dumps({"text": cue.text, "start": cue.start_s, "end": cue.end_s}).encode()


def decode(data: bytes) -> Cue:
    """The other way, trusting nothing. Raises MalformedCue."""
    try:
        fields = json.loads(data)
        text = fields["text"]
        start_s, end_s = float(fields["start"]), float(fields["end"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise MalformedCue from error
    is_timed = math.isfinite(start_s) and math.isfinite(end_s) and 0 <= start_s <= end_s
    if not isinstance(text, str) or not is_timed or end_s > _LATEST_S or not plain(text):
        raise MalformedCue
    return Cue(text=plain(text), start_s=start_s, end_s=end_s)


def _spread(phrase: Phrase) -> list[Word]:
    """Its words, as if each character took the same time."""
    texts = phrase.text.split()
    each_s = (phrase.end_s - phrase.start_s) / max(1, sum(len(text) for text in texts))
    words: list[Word] = []
    at_s = phrase.start_s
    for text in texts:
        words.append(Word(text=text, start_s=at_s, end_s=at_s + len(text) * each_s))
        at_s = words[-1].end_s
    return words


def _joined(phrase: Phrase, words: list[Word]) -> Phrase:
    return replace(
        phrase,
        text=plain(" ".join(word.text for word in words)),
        start_s=words[0].start_s,
        end_s=max(words[0].start_s, words[-1].end_s),
        words=tuple(words),
    )
