"""The headers of tus: what clients send, and what anybody might."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.kit.errors import UmbelError
from umbel.repository import tus

KEYS = st.text("abcXYZ019-_.!~", min_size=1, max_size=20)


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def test_metadata_of_the_protocols_example() -> None:
    found = tus.metadata("filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential")
    assert found == {"filename": "world_domination_plan.pdf", "is_confidential": ""}


def test_a_checksum_of_the_protocols_example() -> None:
    found = tus.checksum("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=")
    assert found is not None
    assert found.digest == hashlib.sha1(b"hello world", usedforsecurity=False).digest()
    assert tus.checksum(None) is None


@given(pairs=st.dictionaries(KEYS, st.text(st.characters(codec="utf-8"), max_size=20), max_size=9))
def test_any_pairs_come_back(pairs: dict[str, str]) -> None:
    raw = ",".join(f"{key} {encoded(value)}" for key, value in pairs.items())
    assert tus.metadata(raw) == pairs


@given(raw=st.text(max_size=200))
def test_any_text_is_read_or_refused(raw: str) -> None:
    for parse in (tus.metadata, tus.checksum, lambda text: tus.number("Upload-Offset", text)):
        try:
            found = parse(raw)
        except UmbelError as error:
            assert error.http_status == 400
        else:
            assert not isinstance(found, int) or 0 <= found <= tus.MOST_BYTES


@pytest.mark.parametrize("value", [None, "", "٣", " 1", "1 ", "+1", "1.0", "9" * 17])
def test_numbers_that_are_none(value: str | None) -> None:
    with pytest.raises(tus.BadTusHeader):
        tus.number("Upload-Length", value)
