"""A recogniser that listens to nothing: it says its phrases one after another, as time passes."""

from collections.abc import Sequence

from umbel.media.speech.model import BYTES_PER_S, Phrase, Word

SCRIPT = ("Good evening and welcome.", "This line is a caption.", "The choir sings now.")
EVERY_S = 2.0


class FakeRecogniser:
    """A phrase for every EVERY_S seconds of sound; half of that before, its first word."""

    def __init__(self, script: Sequence[str] = SCRIPT) -> None:
        self._script = script
        self._heard_s = 0.0
        self._half_turns = 0

    def feed(self, pcm: bytes) -> Sequence[Phrase]:
        self._heard_s += len(pcm) / BYTES_PER_S
        said: list[Phrase] = []
        while (self._half_turns + 1) * EVERY_S / 2 <= self._heard_s:
            self._half_turns += 1
            turn, half = divmod(self._half_turns, 2)
            said.append(self._partial(turn) if half else self._phrase(turn - 1))
        return said

    def finish(self) -> Sequence[Phrase]:
        turn, half = divmod(self._half_turns, 2)
        self._half_turns += half
        return [self._phrase(turn)] if half else []

    def close(self) -> None:
        """It holds nothing."""

    def _phrase(self, turn: int) -> Phrase:
        start_s, text = turn * EVERY_S, self._script[turn % len(self._script)]
        parts = text.split()
        each_s = EVERY_S / len(parts)
        words = tuple(
            Word(text=part, start_s=start_s + at * each_s, end_s=start_s + (at + 1) * each_s)
            for at, part in enumerate(parts)
        )
        return Phrase(text=text, start_s=start_s, end_s=start_s + EVERY_S, words=words)

    def _partial(self, turn: int) -> Phrase:
        start_s, text = turn * EVERY_S, self._script[turn % len(self._script)]
        first = text.split()[0]
        return Phrase(text=first, start_s=start_s, end_s=start_s + EVERY_S / 2, is_final=False)
