"""PocketSphinx (extra `captions`), with the model of American English that its package ships.

In: sound. Out: a phrase when a pause ends it, or after LONGEST_S. It runs its first pass alone: the
passes after it double the work and begin only when the phrase has ended.
"""

from collections.abc import Iterator, Sequence

from umbel.media.speech.model import BYTES_PER_S, SAMPLE_HZ, Phrase, SpeechUnavailable, Word

LONGEST_S = 6.0
_PARTIAL_S = 1.0
_FRAMES_PER_S = 100
# Silence and noises, as its dictionary writes them.
_FILLERS = ("<", "[", "++")


class SphinxRecogniser:
    """A Recogniser. Raises SpeechUnavailable where the package is not installed, or the language is
    another."""

    def __init__(self, language: str) -> None:
        try:
            import pocketsphinx  # noqa: PLC0415 -- an extra
        except ImportError as error:
            raise SpeechUnavailable(
                "PocketSphinx is not installed: install the extra `captions`."
            ) from error
        if language.partition("-")[0] != "en":
            raise SpeechUnavailable(
                "The model that PocketSphinx ships knows English only: choose en-US, or configure"
                " a command."
            )
        self._decoder = pocketsphinx.Decoder(
            samprate=SAMPLE_HZ, fwdflat=False, bestpath=False, loglevel="FATAL"
        )
        self._endpointer = pocketsphinx.Endpointer(sample_rate=SAMPLE_HZ)
        self._rest = bytearray()
        self._start_s: float | None = None
        self._taken_s = 0.0
        self._partial_s = 0.0

    def feed(self, pcm: bytes) -> Sequence[Phrase]:
        self._rest += pcm
        size, said = self._endpointer.frame_bytes, list[Phrase]()
        while len(self._rest) >= size:
            frame = bytes(self._rest[:size])
            del self._rest[:size]
            speech = self._endpointer.process(frame)
            if speech is not None:
                said += self._take(speech, is_last=not self._endpointer.in_speech)
        return said

    def finish(self) -> Sequence[Phrase]:
        speech = self._endpointer.end_stream(bytes(self._rest)) if self._rest else None
        self._rest.clear()
        if speech is None and self._start_s is None:
            return []
        return list(self._take(speech or b"", is_last=True))

    def close(self) -> None:
        """Its memory goes with it."""

    def _take(self, speech: bytes, *, is_last: bool) -> Iterator[Phrase]:
        if self._start_s is None:
            self._begin(self._endpointer.speech_start)
        if speech:
            self._decoder.process_raw(speech, False, False)
        self._taken_s += len(speech) / BYTES_PER_S
        if is_last or self._taken_s >= LONGEST_S:
            yield from self._end()
            if not is_last:
                self._begin(self._next_s)
        elif self._taken_s - self._partial_s >= _PARTIAL_S:
            self._partial_s = self._taken_s
            yield from self._said(is_final=False)

    def _begin(self, start_s: float) -> None:
        self._start_s, self._taken_s, self._partial_s = start_s, 0.0, 0.0
        self._decoder.start_utt()

    def _end(self) -> list[Phrase]:
        self._decoder.end_utt()
        said = self._said(is_final=True)
        self._next_s = (self._start_s or 0.0) + self._taken_s
        self._start_s = None
        return said

    def _said(self, *, is_final: bool) -> list[Phrase]:
        zero_s = self._start_s or 0.0
        words = tuple(
            Word(
                text=part.word.partition("(")[0],
                start_s=zero_s + part.start_frame / _FRAMES_PER_S,
                end_s=zero_s + (part.end_frame + 1) / _FRAMES_PER_S,
            )
            for part in self._decoder.seg() or ()
            if not part.word.startswith(_FILLERS)
        )
        if not words:
            return []
        return [
            Phrase(
                text=" ".join(word.text for word in words),
                start_s=words[0].start_s,
                end_s=words[-1].end_s,
                is_final=is_final,
                words=words,
            )
        ]
