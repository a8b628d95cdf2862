"""Who may watch, decided from what is known; pass phrases; how often they may be tried."""

import pytest

from umbel.catalogue.model import Event, Visibility
from umbel.catalogue.visibility import rules
from umbel.catalogue.visibility.model import ANYBODY, Access, PassPhraseTooSoon, Watcher
from umbel.catalogue.visibility.rules import FREE_BY_ADDRESS, FREE_BY_EVENT, FREE_BY_VIEWER
from umbel.kit.errors import Unprocessable

HERE = "192.0.2.1"


def event(visibility: Visibility) -> Event:
    return Event(
        id="ev",
        provider_id="pr",
        provider_name="City",
        title="T",
        description="",
        starts_s=0,
        ends_s=1,
        visibility=visibility,
    )


RUNS = (Watcher(runs_all=True), Watcher(provider_ids=frozenset({"pr"})))
OTHERS = (
    ANYBODY,
    Watcher(username="ann"),
    Watcher(username="ann", provider_ids=frozenset({"other"})),
    Watcher(granted_event="other", granted_generation="now"),
    Watcher(granted_event="ev", granted_generation="before"),
    Watcher(granted_event="ev"),
)
HOLDER = Watcher(granted_event="ev", granted_generation="now")


@pytest.mark.parametrize("visibility", Visibility)
def test_who_runs_an_event_watches_it(visibility: Visibility) -> None:
    for by in RUNS:
        found = rules.access(event(visibility), by, phrase_generation="now", is_invited=False)
        assert found is Access.OPEN


@pytest.mark.parametrize(
    ("visibility", "others", "holder", "invited"),
    [
        (Visibility.PUBLIC, Access.OPEN, Access.OPEN, Access.OPEN),
        (Visibility.UNLISTED, Access.OPEN, Access.OPEN, Access.OPEN),
        (Visibility.PHRASE, Access.PHRASE, Access.OPEN, Access.PHRASE),
        (Visibility.INVITED, Access.HIDDEN, Access.HIDDEN, Access.OPEN),
    ],
)
def test_what_others_get(
    visibility: Visibility, others: Access, holder: Access, invited: Access
) -> None:
    of = event(visibility)
    for by in OTHERS:
        assert rules.access(of, by, phrase_generation="now", is_invited=False) is others, by
        assert rules.access(of, by, phrase_generation="now", is_invited=True) is invited, by
    assert rules.access(of, HOLDER, phrase_generation="now", is_invited=False) is holder


def test_an_event_whose_phrase_is_gone_opens_to_no_grant() -> None:
    by = Watcher(granted_event="ev", granted_generation="")
    found = rules.access(event(Visibility.PHRASE), by, phrase_generation="", is_invited=False)
    assert found is Access.PHRASE


def test_a_phrase_has_one_spelling() -> None:
    assert rules.pass_phrase("  cafe\u0301 noir ") == "caf\u00e9 noir"
    for bad in ("short", "x" * 129, "two\nlines of it", "half \ud800 a pair", " " * 20):
        with pytest.raises(Unprocessable):
            rules.pass_phrase(bad)


def test_one_viewer_waits_and_another_does_not() -> None:
    limits = rules.PhraseLimits()
    for _ in range(FREE_BY_VIEWER):
        limits.admit("ev", HERE, 0.0)
    with pytest.raises(PassPhraseTooSoon) as refused:
        limits.admit("ev", HERE, 0.0)
    assert refused.value.retry_after_s == 1
    limits.admit("ev", "192.0.2.2", 0.0)
    limits.admit("other", HERE, 0.0)
    limits.admit("ev", HERE, 1.0)


def test_an_address_waits_whatever_events_it_tries() -> None:
    limits = rules.PhraseLimits()
    for number in range(FREE_BY_ADDRESS):
        limits.admit(f"ev{number}", HERE, 0.0)
    with pytest.raises(PassPhraseTooSoon):
        limits.admit("another", HERE, 0.0)


def test_an_event_waits_when_very_many_addresses_try_it() -> None:
    limits = rules.PhraseLimits()
    for number in range(FREE_BY_EVENT):
        limits.admit("ev", f"host{number}", 0.0)
    with pytest.raises(PassPhraseTooSoon):
        limits.admit("ev", "one more", 0.0)
    limits.admit("other", "one more", 0.0)


def test_right_phrases_are_not_counted() -> None:
    limits = rules.PhraseLimits()
    for number in range(FREE_BY_EVENT + 1):
        limits.admit("ev", HERE, 0.0)
        if number % 2:
            limits.was_right("ev", HERE)
        else:
            limits.was_not_checked("ev", HERE)
