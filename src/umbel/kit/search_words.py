"""The words by which texts are found: without case, accents and punctuation. Pure.

In: a text, or what somebody typed into a search box. Out: words to store, or beginnings of words to
look for. Scripts that put no spaces between words (Chinese, Japanese, Thai) are stored from each of
their characters on, so that a search finds what is in the middle of a run.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice

MOST_LETTERS = 32
"""Of one word; longer ones are found by their beginning."""

_RUN = 8  # letters of a script without spaces that are looked for together
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_WORD = re.compile(f"([{_UNSPACED}]+)|([^\\W_{_UNSPACED}]+)")
# Letters with a stroke, and ligatures, which Unicode does not decompose.
_STROKES = str.maketrans(
    {
        "ł": "l",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "\u0131": "i",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
    }
)


def indexed(texts: Iterable[str], most: int) -> list[str]:
    """The first `most` different words of the texts."""
    every = (word for text in texts for word in _stored(text))
    return list(islice(dict.fromkeys(every), most))


def beginnings(query: str, most: int) -> list[str]:
    """The first `most` beginnings of words that the query asks for."""
    return list(islice(dict.fromkeys(_asked(query)), most))


def _stored(text: str) -> Iterator[str]:
    for word, is_spaced in _split(text):
        if is_spaced:
            yield word[:MOST_LETTERS]
        else:
            yield from (word[at : at + _RUN] for at in range(len(word)))


def _asked(query: str) -> Iterator[str]:
    for word, is_spaced in _split(query):
        if is_spaced:
            yield word[:MOST_LETTERS]
        else:
            yield from (word[at : at + _RUN] for at in range(0, len(word), _RUN))


def _split(text: str) -> Iterator[tuple[str, bool]]:
    for found in _WORD.finditer(_folded(text)):
        yield found[0], found[1] is None


def _folded(text: str) -> str:
    """Without case and accents: U+00E9, `e` with U+0301 and `E` are the same."""
    lower = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in lower if unicodedata.category(c) != "Mn").translate(_STROKES)
