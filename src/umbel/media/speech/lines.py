"""A line that a program says of what it recognised. Pure.

In: `{"text": "go forward", "start": 1.2, "end": 2.4, "final": true, "words": [{"text": "go",
"start": 1.2, "end": 1.5}]}`; `final` and `words` may be left out. Out: a phrase. What comes is a
stranger's: it is bounded, and other keys are passed over.
"""

import json
import math
from typing import Any

from umbel.kit.errors import Invalid
from umbel.media.speech.model import LONGEST_TEXT, MOST_WORDS, Phrase, Word

LONGEST_LINE = 65_536
_LONGEST_S = 10_000_000.0


class MalformedLine(Invalid):
    """A recogniser's line is not a JSON object with a text, its start and its end in seconds."""

    code = "umbel.speech_line_malformed"


def read_line(line: bytes) -> Phrase | None:
    """The phrase; None of an empty line, and of one with nothing said. Raises MalformedLine."""
    if not line.strip():
        return None
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedLine("a line is not JSON") from error
    if not isinstance(fields, dict):
        raise MalformedLine("a line is not a JSON object")
    text, start_s, end_s = _timed(fields)
    if not text:
        return None
    is_final, words = fields.get("final", True), fields.get("words", [])
    if not isinstance(is_final, bool) or not isinstance(words, list):
        raise MalformedLine("`final` is true or false, and `words` is a list")
    return Phrase(
        text=text,
        start_s=start_s,
        end_s=end_s,
        is_final=is_final,
        words=tuple(_word(one) for one in words[:MOST_WORDS]),
    )


def plain(text: str) -> str:
    """The text on one line, without characters that a terminal or a parser would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_TEXT]


def _word(fields: Any) -> Word:
    if not isinstance(fields, dict):
        raise MalformedLine("a word is not a JSON object")
    text, start_s, end_s = _timed(fields)
    return Word(text=text, start_s=start_s, end_s=end_s)


def _timed(fields: dict[str, Any]) -> tuple[str, float, float]:
    text = fields.get("text")
    if not isinstance(text, str):
        raise MalformedLine("`text` is not a text")
    start_s, end_s = _seconds(fields, "start"), _seconds(fields, "end")
    if end_s < start_s:
        raise MalformedLine("`end` is before `start`")
    return plain(text), start_s, end_s


def _seconds(fields: dict[str, Any], name: str) -> float:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedLine(f"`{name}` is not a number of seconds")
    try:
        seconds = float(value)
    except OverflowError as error:
        raise MalformedLine(f"`{name}` is too large") from error
    if not (math.isfinite(seconds) and 0 <= seconds <= _LONGEST_S):
        raise MalformedLine(f"`{name}` is not a number of seconds from 0")
    return seconds
