"""The glossary is short, and its words are the code's."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_WORDS = 40
ROW = re.compile(r"^\| (?!word |---)([^|]+?) \| [^|]+ \|$", re.MULTILINE)


def words() -> list[str]:
    return ROW.findall((ROOT / "docs" / "reference" / "glossary.md").read_text())


def test_the_glossary_is_short_and_sorted() -> None:
    found = words()
    assert 10 < len(found) <= MOST_WORDS
    assert found == sorted(set(found))


def test_its_words_are_used_in_the_code() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "src" / "umbel").rglob("*.py")).lower()
    unused = [word for word in words() if not re.search(rf"\b_*{spelled(word)}", code)]
    assert unused == []


def spelled(word: str) -> str:
    """Also as an identifier or a class: `stream key`, `stream_key`, `StreamKey`."""
    return re.sub(r"[ -]", "[ _-]?", word)
