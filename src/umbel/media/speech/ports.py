"""What recognises speech. Drivers: fake, sphinx, command."""

from collections.abc import Sequence
from typing import Protocol

from umbel.media.speech.model import Phrase


class Recogniser(Protocol):
    """One stream's sound to text. Used by one thread."""

    def feed(self, pcm: bytes) -> Sequence[Phrase]:
        """Take the next sound (SAMPLE_HZ, 16 bit, one channel); what was recognised since. May
        block: sound comes faster than that is dropped before it. Raises SpeechFailed."""

    def finish(self) -> Sequence[Phrase]:
        """No more sound comes: what is left. Raises SpeechFailed."""

    def close(self) -> None:
        """Give back what it holds. Idempotent."""
