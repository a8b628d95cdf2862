"""Rights to play recordings, as text in a token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.recordings import rights
from umbel.recordings.rights import Right, RightKind

NAMES = st.text(st.characters(exclude_characters="/"), min_size=1, max_size=30)


@given(
    kind=st.sampled_from(RightKind),
    of=NAMES,
    username=st.text(max_size=30),
    phrase_generation=NAMES,
)
def test_a_right_comes_back(
    kind: RightKind, of: str, username: str, phrase_generation: str
) -> None:
    right = Right(kind=kind, of=of, username=username, phrase_generation=phrase_generation)
    assert rights.parse(right.serialize(), phrase_generation) == right


@pytest.mark.parametrize("text", ["", "recording", "recording/rec_1", "other/rec_1/", "//"])
def test_other_texts_are_no_right(text: str) -> None:
    with pytest.raises(ValueError):
        rights.parse(text)
