"""Reservations that it is time to look at, found by `remind_s`. In: a connection of a unit. Out:
values of `model`. The rows found are held with their accounts; what another instance holds is left
out, so that nobody waits for anybody."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from umbel.catalogue.accounts.store import profiles
from umbel.catalogue.choices.model import Choice
from umbel.catalogue.choices.store import parsed, reminder_choices
from umbel.catalogue.model import EventState
from umbel.catalogue.outbox.model import MessageState
from umbel.catalogue.outbox.store import outbox
from umbel.catalogue.reminders.model import Candidate
from umbel.catalogue.reservations.model import Purpose
from umbel.catalogue.reservations.store import reservations
from umbel.catalogue.store import events, users
from umbel.kit.sql import Command, Connection, Query, Scalar, given

_CHOICE = ("leads", "channels", "changed_s")


def _candidate(
    *, purpose: str, state: str, email: str | None, is_verified: bool | None, **row: Any
) -> Candidate:
    own, of_account = (
        parsed(*(row.pop(f"{prefix}_{name}") for name in _CHOICE)) for prefix in ("own", "account")
    )
    return Candidate(
        purpose=Purpose(purpose),
        state=EventState(state),
        choice=own or of_account or Choice(),
        has_email=bool(email),
        is_verified=bool(is_verified),
        **row,
    )


_IS_DUE = reservations.c.remind_s <= given("now_s")
_ANY_DUE = Scalar(sa.select(reservations.c.event_id).where(_IS_DUE).limit(1), str)
_DUE = Query(
    sa.select(
        reservations.c.username,
        reservations.c.event_id,
        reservations.c.purpose,
        reservations.c.reserved_s,
        events.c.state,
        events.c.starts_s,
        *(
            table.c[name].label(f"{prefix}_{name}")
            for prefix, table in (("own", reservations), ("account", reminder_choices))
            for name in _CHOICE
        ),
        profiles.c.email,
        profiles.c.is_verified,
    )
    .join_from(reservations, events)
    .join(users, users.c.username == reservations.c.username)
    .outerjoin(reminder_choices, reminder_choices.c.username == reservations.c.username)
    .outerjoin(profiles, profiles.c.username == reservations.c.username)
    .where(_IS_DUE)
    .order_by(reservations.c.remind_s, reservations.c.username, reservations.c.event_id)
    .limit(given("most"))
    .with_for_update(of=[reservations, users], skip_locked=True, key_share=True),
    _candidate,
)
_LOOK_AT = Command(
    sa.update(reservations)
    .where((reservations.c.username == given("of")) & (reservations.c.event_id == given("event_")))
    .values(remind_s=given("at_s"))
)
# What another unit holds at this moment, it is about to set itself.
_AHEAD = (
    sa.select(reservations.c.username, reservations.c.event_id)
    .join(events, events.c.id == reservations.c.event_id)
    .where(events.c.starts_s > given("now_s"))
    .with_for_update(of=reservations, skip_locked=True)
)
_REARM = Command(
    sa.update(reservations)
    .where(sa.tuple_(reservations.c.username, reservations.c.event_id).in_(_AHEAD))
    .values(remind_s=sa.literal(0.0))
)
_REARM_OUTBOX = Command(
    sa.update(outbox)
    .where(outbox.c.state == sa.literal(MessageState.WAITING.value))
    .where((outbox.c.due_s > given("now_s")) & (outbox.c.holder == sa.literal("")))
    .values(due_s=given("now_s"))
)


def is_any_due(connection: Connection, now_s: float) -> bool:
    """Whether some reservation is to be looked at."""
    return connection.scalar(_ANY_DUE, now_s=now_s) is not None


def due(connection: Connection, now_s: float, most: int) -> list[Candidate]:
    """Reservations to look at, held for this unit."""
    return connection.all(_DUE, now_s=now_s, most=most)


def look_at(connection: Connection, next_s: Iterable[tuple[Candidate, float | None]]) -> None:
    """When to look at each again; None is not until something changes."""
    connection.run_many(
        _LOOK_AT,
        [{"of": one.username, "event_": one.event_id, "at_s": at_s} for one, at_s in next_s],
    )


def rearm(connection: Connection, now_s: float) -> None:
    """Look again at all that is ahead: the clock may have been wrong when it was looked at."""
    connection.run(_REARM, now_s=now_s)
    connection.run(_REARM_OUTBOX, now_s=now_s)
