"""Makes the recogniser that the operator chose."""

from umbel.media.speech.drivers.command import CommandRecogniser
from umbel.media.speech.drivers.fake import FakeRecogniser
from umbel.media.speech.drivers.sphinx import SphinxRecogniser
from umbel.media.speech.model import Engine, SpeechUnavailable, check_language
from umbel.media.speech.ports import Recogniser


def make(engine: Engine, language: str) -> Recogniser:
    """A recogniser of that language. Raises SpeechUnavailable."""
    check_language(language)
    if engine.name == "fake":
        return FakeRecogniser()
    if engine.name == "pocketsphinx":
        return SphinxRecogniser(language)
    if engine.name == "command" and engine.command:
        return CommandRecogniser(engine.command, language)
    raise SpeechUnavailable("No engine is configured: set UMBEL_CAPTIONS_ENGINE.")
