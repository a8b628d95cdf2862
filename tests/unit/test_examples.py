"""`make test-fast` tries a share of each property's examples, every other run all of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.examples import ALL, FEW, examples

ROOT = Path(__file__).parents[2]


@contextmanager
def loaded(profile: str) -> Iterator[None]:
    before = settings.get_current_profile_name()
    settings.load_profile(profile)
    try:
        yield
    finally:
        settings.load_profile(before)


@pytest.mark.parametrize(("profile", "named", "default"), [(ALL, 60, 100), (FEW, 12, 20)])
def test_a_property_tries_as_many_as_its_run_asks_for(
    profile: str, named: int, default: int
) -> None:
    tried = {"named": 0, "default": 0}
    with loaded(profile):

        @examples(60)
        @given(st.integers())
        def with_number(_: int) -> None:
            tried["named"] += 1

        @given(st.integers())
        def without(_: int) -> None:
            tried["default"] += 1

        with_number()
        without()
        assert examples(1).max_examples == 1
    assert tried == {"named": named, "default": default}


def test_only_make_test_fast_tries_a_few() -> None:
    asks = f"--hypothesis-profile {FEW}"
    lines = [line for line in (ROOT / "Makefile").read_text().splitlines() if asks in line]
    assert len(lines) == 1
    assert "tests/unit" in lines[0]
    assert "hypothesis" not in (ROOT / "scripts" / "test").read_text()


def test_no_property_names_its_number_past_the_profile() -> None:
    others = (path for path in Path(__file__).parent.glob("*.py") if path != Path(__file__))
    assert [path.name for path in others if "max_examples=" in path.read_text()] == []
