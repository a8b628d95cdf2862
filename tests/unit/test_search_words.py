"""Words are found without case, accents and punctuation, in every script."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.kit.search_words import MOST_LETTERS, beginnings, indexed


def found(query: str, *texts: str) -> bool:
    """As the database does it: every beginning is that of some word."""
    words = indexed(texts, 500)
    asked = beginnings(query, 8)
    return bool(asked) and all(any(word.startswith(one) for word in words) for one in asked)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("council", "The COUNCIL's session"),
        ("coun sess", "Council: session"),
        ("perche", "Perché no?"),
        ("perch\u00e9", "PERCHE\u0301"),
        ("strasse", "Straße"),
        ("lodz", "Łódź"),
        ("kobenhavn", "København"),
        ("istanbul", "İstanbul"),
        ("istanbul", "ISTANBUL"),
        ("ΑΘΗΝΑ", "Αθήνα"),
        ("москва", "МОСКВА"),  # noqa: RUF001
        ("arte", "dell'arte"),
        ("2027", "Election 2027!"),
        ("ﬁre", "Fire brigade"),  # a ligature
        ("音楽", "日本の音楽会"),
        ("コンサート", "冬のコンサート2027"),
        ("長い言葉の検索をする時", "とても長い言葉の検索をする時"),
        ("한국", "한국의 음악"),
        ("x" * 40, "x" * 40),
    ],
)
def test_what_is_meant_is_found(query: str, text: str) -> None:
    assert found(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("ouncil", "Council"),
        ("council mass", "Council"),
        ("!!!", "Council"),
        ("", "Council"),
        ("楽音", "日本の音楽会"),
        ("100%", "Council"),
        ("_", "a_b"),
    ],
)
def test_what_is_not_there_is_not_found(query: str, text: str) -> None:
    assert not found(query, text)


def test_words_are_few_and_the_first_texts_come_first() -> None:
    assert indexed(["one two", "two three four"], 3) == ["one", "two", "three"]
    assert beginnings("a b c d", 2) == ["a", "b"]


@given(st.lists(st.text(max_size=300), max_size=3))
def test_any_text_gives_words_that_the_index_can_hold(texts: list[str]) -> None:
    words = indexed(texts, 100)
    assert len(words) == len(set(words)) <= 100
    for word in words:
        assert 1 <= len(word) <= MOST_LETTERS
        word.encode()


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll", "Lo", "Nd"]), max_size=30))
def test_a_text_is_found_by_itself_in_any_form(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        again = unicodedata.normalize(form, text)
        assert found(again, text) or not indexed([text], 500)
