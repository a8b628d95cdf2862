"""An event's life as its table says, and what makes a field acceptable."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.catalogue import rules
from umbel.catalogue.model import (
    EVENT_LIFE,
    OVER,
    EventEvent,
    EventState,
    UserRole,
)
from umbel.kit.errors import Unprocessable
from umbel.kit.states import IllegalTransition

S, E = EventState, EventEvent


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        (S.SCHEDULED, {E.OPEN: S.OPEN, E.CANCEL: S.CANCELLED, E.END: S.ENDED}),
        (S.OPEN, {E.START: S.LIVE, E.CANCEL: S.CANCELLED, E.END: S.ENDED}),
        (S.LIVE, {E.STOP: S.OPEN, E.END: S.ENDED}),
        (S.ENDED, {}),
        (S.CANCELLED, {}),
    ],
)
def test_what_may_happen(state: EventState, allowed: dict[EventEvent, EventState]) -> None:
    for event in EventEvent:
        if event in allowed:
            assert EVENT_LIFE.next(state, event) is allowed[event]
        else:
            with pytest.raises(IllegalTransition):
                EVENT_LIFE.next(state, event)


def test_what_is_over_is_where_nothing_happens_any_more() -> None:
    ends = {s for s in EventState if not any(EVENT_LIFE.allows(s, e) for e in EventEvent)}
    assert ends == OVER


@given(st.lists(st.sampled_from(EventEvent)))
def test_any_history_ends_in_a_state_of_the_table(history: list[EventEvent]) -> None:
    state = EventState.SCHEDULED
    for event in history:
        try:
            after = EVENT_LIFE.next(state, event)
        except IllegalTransition:
            continue
        assert state not in OVER
        state = after
    assert isinstance(state, EventState)


@given(st.text(max_size=300))
def test_a_line_that_passes_can_be_stored_anywhere(text: str) -> None:
    try:
        clean = rules.line("title", text, rules.MOST_TITLE)
    except Unprocessable as error:
        assert error.details["fields"] == [{"field": "title", "message": error.message[7:]}]
        return
    assert 1 <= len(clean) <= rules.MOST_TITLE
    assert clean == clean.strip()
    assert not set(clean) & {"\x00", "\n", "\r", "\x7f"}
    clean.encode("utf-8")


@given(st.text())
def test_a_description_keeps_its_lines_and_no_other_control(text: str) -> None:
    try:
        clean = rules.description(text)
    except Unprocessable:
        return
    assert set(text) - set(clean) <= set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert rules.description(clean) == clean
    assert "\x00" not in clean
    clean.encode("utf-8")


def test_lines_of_a_description_are_fine() -> None:
    assert rules.description("one\r\n\ttwo\n") == "one\r\n\ttwo\n"


@pytest.mark.parametrize(
    ("starts_s", "ends_s", "field"),
    [
        (200.0, 200.0, "ends_at"),
        (200.0, 199.0, "ends_at"),
        (10.0, 100.0, "ends_at"),
        (-1.0, 200.0, "starts_at"),
        (0.0, 1e12, "ends_at"),
        (float("nan"), 200.0, "starts_at"),
        (0.0, float("inf"), "ends_at"),
    ],
)
def test_times_that_cannot_be_kept(starts_s: float, ends_s: float, field: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        rules.schedule(starts_s, ends_s, now_s=100.0)
    assert caught.value.details["fields"][0]["field"] == field  # type: ignore[index]


def test_an_event_may_have_begun() -> None:
    rules.schedule(50.0, 101.0, now_s=100.0)


def test_a_stream_key_names_its_event_and_is_hard_to_guess() -> None:
    keys = {rules.new_stream_key("ev_1") for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        event, _, secret = key.partition(".")
        assert event == "ev_1"
        assert len(secret) >= 32
        assert set(secret) <= set("abcdefghijklmnopqrstuvwxyz234567")
        assert rules.key_hash(key) == hashlib.sha256(key.encode()).hexdigest()


@pytest.mark.parametrize("role", UserRole)
@pytest.mark.parametrize("provider_id", ["", "pr_1"])
def test_only_a_providers_user_has_a_provider(role: UserRole, provider_id: str) -> None:
    if (role is UserRole.PROVIDER) == (provider_id == "pr_1"):
        rules.rights(role, provider_id)
    else:
        with pytest.raises(Unprocessable):
            rules.rights(role, provider_id)


@pytest.mark.parametrize(
    "text",
    [
        "\u200b",
        "\u00ad\u200d",
        "\u3164",
        "\u2800 \u2800",
        "\u0301",
        "\u202e\u202c",
        "a\u2028b",
        "\ue000",
    ],
)
def test_a_line_that_shows_nothing_is_refused(text: str) -> None:
    with pytest.raises(Unprocessable):
        rules.line("title", text, rules.MOST_TITLE)


def test_marks_that_turn_the_direction_are_taken_out() -> None:
    turned = "Coun\u202egnp.exe\u202c \u2066l\u2069\u2067r\u2069\u2068f\u202a\u202b\u202d"
    assert rules.line("title", turned, rules.MOST_TITLE) == "Coungnp.exe lrf"
    assert rules.description(turned) == "Coungnp.exe lrf"


@pytest.mark.parametrize(
    "text", ["\u05e9\u05dc\u05d5\u05dd \u200f!", "\U0001f468\u200d\U0001f4bb", "e\u0301", "7", "?"]
)
def test_titles_of_every_script_stay_as_they_are(text: str) -> None:
    assert rules.line("title", text, rules.MOST_TITLE) == text
