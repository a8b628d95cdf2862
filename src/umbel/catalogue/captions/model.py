"""Captions of events. Times are epoch seconds of the stream's own clock."""

from dataclasses import dataclass

from umbel.kit import languages
from umbel.kit.errors import Unprocessable

MOST_KEPT = 20_000
"""Captions of one event; the oldest go first. Some 15 hours of speech."""
MOST_READ = 200
"""Of one answer."""
MOST_FOUND = 50
LONGEST_TEXT = 500
LONGEST_PROBLEM = 500


@dataclass(frozen=True, kw_only=True)
class CaptionPolicy:
    """The language that is recognised in an event, and why nothing comes: empty while all is
    well, and before the event is on air."""

    language: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What was said, and when. Numbers of an event count up."""

    number: int
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A caption as it came: `number` counts in the life `boot` of what recognises."""

    boot: str
    number: int
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class FoundCaption:
    """A caption that has what was looked for, and its event."""

    event_id: str
    event_title: str
    provider_name: str
    caption: Caption


def language(tag: str) -> str:
    """The tag. Raises Unprocessable."""
    if not languages.is_tag(tag):
        wanted = "a language tag such as en-US"
        raise Unprocessable(
            f"language: {wanted}", fields=[{"field": "language", "message": wanted}]
        )
    return tag
