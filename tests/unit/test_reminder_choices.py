"""When it is time to remind: lead times, moves, missed times, zones and changes of the clocks."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.catalogue.choices import model
from umbel.catalogue.choices.model import Channel, Choice
from umbel.catalogue.choices.store import parsed, serialized
from umbel.catalogue.outbox.model import Message, MessageKind, Planned
from umbel.kit.errors import Unprocessable
from umbel.kit.languages import Language
from umbel.notify.texts import TEXTS
from umbel.schedule import letters

DAY, HOUR, MINUTES = 86_400, 3_600, 300
START = 1_803_000_000.0
DEFAULT = Choice()
LEADS = st.lists(
    st.integers(model.SHORTEST_LEAD_S, model.LONGEST_LEAD_S), max_size=model.MOST_LEADS
)


@pytest.mark.parametrize(
    ("left_s", "lead"),
    [
        (DAY + 1, None),
        (DAY, DAY),
        (HOUR + 1, DAY),
        (HOUR, HOUR),
        (MINUTES + 1, HOUR),
        (MINUTES, MINUTES),
        (1, MINUTES),
        (0, None),
        (-1, None),
    ],
)
def test_the_shortest_lead_time_that_has_come(left_s: float, lead: int | None) -> None:
    assert model.due_lead(DEFAULT, START, since_s=0.0, now_s=START - left_s) == lead


def test_what_came_before_it_was_reserved_or_chosen_is_not_made_up_for() -> None:
    now_s = START - HOUR / 2
    assert model.due_lead(DEFAULT, START, since_s=now_s, now_s=now_s) is None
    assert model.due_lead(DEFAULT, START, since_s=START - HOUR, now_s=now_s) == HOUR
    later = Choice(changed_s=now_s)
    assert model.due_lead(later, START, since_s=0.0, now_s=now_s) is None


@given(LEADS, st.lists(st.floats(0, 8 * DAY), max_size=30))
def test_looking_when_it_is_said_misses_no_lead_time(leads: list[int], extra: list[float]) -> None:
    """Each lead time is found at its moment, whatever other looks there are."""
    choice = model.choice(leads, list(Channel), now_s=0.0)
    found, now_s = set(), START - 9.0 * DAY
    looks = sorted(START - 8 * DAY + one for one in extra)
    while True:
        lead = model.due_lead(choice, START, since_s=0.0, now_s=now_s)
        found |= {lead} - {None}
        again_s = model.next_due_s(choice, START, now_s=now_s)
        if again_s is None:
            break
        now_s = min([again_s, *(one for one in looks if one > now_s)])
    assert found == set(leads)


@pytest.mark.parametrize(
    "leads", [[59], [0], [-60], [7 * DAY + 1], [60, 120, 180, 240, 300, 360], [10**12]]
)
def test_what_cannot_be_chosen(leads: list[int]) -> None:
    with pytest.raises(Unprocessable):
        model.choice(leads, [], now_s=0.0)


@given(LEADS, st.sets(st.sampled_from(Channel)), st.floats(0, 1e10))
def test_a_choice_is_the_same_after_its_row(
    leads: list[int], channels: set[Channel], at_s: float
) -> None:
    choice = model.choice(leads, channels, now_s=at_s)
    row = serialized(choice)
    assert max(len(str(row["leads"])), len(str(row["channels"]))) <= 64
    assert parsed(str(row["leads"]), str(row["channels"]), at_s) == choice


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "Europe"])
def test_what_is_no_zone(name: str) -> None:
    with pytest.raises(Unprocessable):
        model.time_zone(name)


def message(starts_s: float, zone: str = "Europe/Rome") -> Message:
    return Message(
        id="m",
        username="ann",
        kind=MessageKind.REMINDER,
        target="",
        lead_s=DAY,
        expires_s=starts_s,
        failures=0,
        event_id="ev_1",
        title="Council",
        provider_name="City",
        starts_s=starts_s,
        email="ann@example.org",
        time_zone=zone,
    )


@pytest.mark.parametrize(
    ("starts", "due"),
    [
        # The night in which Rome's clocks go forward is an hour short, and the lead time is not.
        ("2027-03-28 18:00", "2027-03-27 17:00"),
        ("2027-10-31 18:00", "2027-10-30 19:00"),
        ("2027-06-01 18:00", "2027-05-31 18:00"),
    ],
)
def test_a_day_before_is_24_hours_also_where_the_clocks_change(starts: str, due: str) -> None:
    rome = ZoneInfo("Europe/Rome")
    starts_s = datetime.fromisoformat(starts).replace(tzinfo=rome).timestamp()
    due_s = datetime.fromisoformat(due).replace(tzinfo=rome).timestamp()
    assert model.next_due_s(DEFAULT, starts_s, now_s=due_s - 1) == due_s
    text = letters.letter(message(starts_s), url="", now_s=due_s).text
    assert "It begins in 1 day, at 18:00 on " in text
    assert "(Europe/Rome)" in text


@pytest.mark.parametrize(
    ("left_s", "text"),
    [
        (7 * DAY, "7 days"),
        (DAY - 8, "1 day"),
        (HOUR, "1 hour"),
        (HOUR - 5, "1 hour"),
        (2 * HOUR, "2 hours"),
        (MINUTES, "5 minutes"),
        (61, "1 minute"),
        (20, "less than a minute"),
        (-5, "less than a minute"),
    ],
)
def test_distances(left_s: float, text: str) -> None:
    assert TEXTS[Language.ENGLISH].distance(left_s) == text


def test_a_message_has_one_id_and_others_have_others() -> None:
    def planned(**changes: object) -> Planned:
        given: dict[str, object] = {
            "username": "ann",
            "event_id": "ev_1",
            "kind": MessageKind.REMINDER,
            "channel": Channel.MAIL,
            "starts_s": START,
            "lead_s": DAY,
            "expires_s": START,
        }
        return Planned(**(given | changes))  # type: ignore[arg-type]

    same = [planned(), planned(expires_s=START + 1)]
    others = [
        planned(username="bob"),
        planned(event_id="ev_2"),
        planned(channel=Channel.PUSH),
        planned(channel=Channel.PUSH, target="device"),
        planned(starts_s=START + 60),
        planned(lead_s=HOUR),
        planned(kind=MessageKind.LIVE),
    ]
    assert len({one.id for one in same}) == 1
    assert len({one.id for one in [*same, *others]}) == 1 + len(others)
    live = planned(kind=MessageKind.LIVE, starts_s=START + 60)
    assert live.id == planned(kind=MessageKind.LIVE).id, "once an event, whatever its time"
