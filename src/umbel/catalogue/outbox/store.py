"""Messages to viewers as rows: written in the unit that finds them due, so that none is lost and
none is written twice. In: a connection of a read or write unit. Out: values of `model`."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from umbel.catalogue.accounts.store import profiles
from umbel.catalogue.choices.model import Channel
from umbel.catalogue.choices.store import reminder_choices
from umbel.catalogue.devices.store import push_devices
from umbel.catalogue.model import EventState
from umbel.catalogue.outbox.model import (
    Message,
    MessageKind,
    MessageState,
    Outcome,
    Outcomes,
    Planned,
)
from umbel.catalogue.reservations.store import IS_TO_WATCH, reservations
from umbel.catalogue.store import events, providers, users
from umbel.catalogue.visibility.store import remains_visible
from umbel.kit.db import metadata
from umbel.kit.languages import Language
from umbel.kit.sql import Command, Connection, Query, Scalar, given

# No key refers to the event: a message outlives it, and is then dropped.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column(
        "username",
        sa.ForeignKey(users.c.username, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("event_id", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("channel", sa.String(8), nullable=False),
    sa.Column("target", sa.String(64), nullable=False),
    sa.Column("starts_s", sa.Float, nullable=False),
    sa.Column("lead_s", sa.Integer, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("expires_s", sa.Float, nullable=False, index=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("due_s", sa.Float, nullable=False),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("done_s", sa.Float),
    sa.Index("ix_outbox_state_channel_due_s", "state", "channel", "due_s"),
)

_ID = given("id_")
_WAITING = sa.literal(MessageState.WAITING.value)
_IS_AHEAD = events.c.state.in_(
    [sa.literal(one.value) for one in (EventState.SCHEDULED, EventState.OPEN)]
)
_IS_RESERVED = sa.exists().where(
    (reservations.c.username == outbox.c.username)
    & (reservations.c.event_id == outbox.c.event_id)
    & IS_TO_WATCH
)
_IS_TRUE = sa.case(
    (
        outbox.c.kind == sa.literal(MessageKind.REMINDER.value),
        _IS_AHEAD & _IS_RESERVED & (events.c.starts_s == outbox.c.starts_s),
    ),
    # An encoder that starts again is back in a moment.
    else_=events.c.state.in_([sa.literal(one.value) for one in (EventState.LIVE, EventState.OPEN)]),
)
"""Whether the message is still true: the event was not moved, cancelled or given up."""


def _message(*, kind: str, time_zone: str | None, language: str | None, **row: Any) -> Message:
    texts: dict[str, Any] = {
        name: row.pop(name) or "" for name in ("email", "endpoint", "p256dh", "auth")
    }
    return Message(
        kind=MessageKind(kind),
        time_zone=time_zone or "UTC",
        language=Language(language or Language.ENGLISH),
        **texts,
        **row,
    )


_IS_KNOWN = Scalar(sa.select(outbox.c.id).where(outbox.c.id == _ID), str)
_ADD = Command(sa.insert(outbox))
_DUE = (
    (outbox.c.state == _WAITING)
    & (outbox.c.channel == given("channel_"))
    & (outbox.c.due_s <= given("now_s"))
    & (outbox.c.holder != given("me"))
)
_ANY_DUE = Scalar(sa.select(outbox.c.id).where(_DUE).limit(1), str)
_CLAIMED = Scalar(
    sa.select(outbox.c.id)
    .where(_DUE)
    .order_by(outbox.c.due_s)
    .limit(given("most"))
    .with_for_update(skip_locked=True),
    str,
)
_HOLD = Command(
    sa.update(outbox).where(outbox.c.id == _ID).values(holder=given("me"), due_s=given("until_s"))
)
_MESSAGE = Query(
    sa.select(
        *(outbox.c.id, outbox.c.username, outbox.c.kind, outbox.c.target, outbox.c.lead_s),
        *(outbox.c.expires_s, outbox.c.failures, outbox.c.event_id, outbox.c.starts_s),
        *(events.c.title, providers.c.name.label("provider_name")),
        *(profiles.c.email, profiles.c.language, reminder_choices.c.time_zone),
        *(push_devices.c.endpoint, push_devices.c.p256dh, push_devices.c.auth),
    )
    .join_from(outbox, events, events.c.id == outbox.c.event_id)
    .join(providers, providers.c.id == events.c.provider_id)
    .outerjoin(profiles, profiles.c.username == outbox.c.username)
    .outerjoin(reminder_choices, reminder_choices.c.username == outbox.c.username)
    .outerjoin(
        push_devices,
        (push_devices.c.id == outbox.c.target) & (push_devices.c.username == outbox.c.username),
    )
    .where(
        (outbox.c.id == _ID)
        & _IS_TRUE
        & remains_visible(outbox.c.username)
        & (outbox.c.expires_s > given("now_s"))
    ),
    _message,
)
_DONE = Command(
    sa.update(outbox)
    .where((outbox.c.id == _ID) & (outbox.c.holder == given("me")))
    .values(state=given("state_"), done_s=given("now_s"), holder=sa.literal(""))
)
_RETRY = Command(
    sa.update(outbox)
    .where((outbox.c.id == _ID) & (outbox.c.holder == given("me")))
    .values(due_s=given("at_s"), failures=outbox.c.failures + 1, holder=sa.literal(""))
)
_RELEASE = Command(
    sa.update(outbox)
    .where((outbox.c.holder == given("them")) & (outbox.c.state == _WAITING))
    .values(holder=sa.literal(""), due_s=given("now_s"))
)
_FORGET = Command(sa.delete(outbox).where(outbox.c.expires_s < given("before_s")))
_OF_ACCOUNT = Query(
    sa.select(
        outbox.c.event_id,
        outbox.c.kind,
        outbox.c.channel,
        outbox.c.lead_s,
        outbox.c.state,
        outbox.c.created_s,
        outbox.c.done_s,
    )
    .where(outbox.c.username == given("of"))
    .order_by(outbox.c.created_s, outbox.c.id),
    lambda **row: row,
)


def add(connection: Connection, planned: Iterable[Planned], now_s: float) -> int:
    """Insert those that were never written, and answer how many. Their account must be held."""
    new = [one for one in planned if connection.scalar(_IS_KNOWN, id_=one.id) is None]
    connection.run_many(_ADD, (_row(one, now_s) for one in new))
    return len(new)


def is_any_due(connection: Connection, me: str, channel: Channel, now_s: float) -> bool:
    """Whether some message waits for this channel that `me` does not have in its hands."""
    found = connection.scalar(_ANY_DUE, channel_=channel.value, now_s=now_s, me=me)
    return found is not None


def claim(
    connection: Connection, me: str, channel: Channel, *, now_s: float, until_s: float, most: int
) -> list[Message]:
    """Messages of the channel, for `me` alone until then; what is not right any more is dropped."""
    ids = connection.scalars(_CLAIMED, channel_=channel.value, now_s=now_s, me=me, most=most)
    connection.run_many(_HOLD, [{"id_": one, "me": me, "until_s": until_s} for one in ids])
    found = [connection.first(_MESSAGE, id_=one, now_s=now_s) for one in ids]
    wrong = [id_ for id_, one in zip(ids, found, strict=True) if one is None]
    dropped = Outcome(state=MessageState.DROPPED)
    settle(connection, me, dict.fromkeys(wrong, dropped), now_s)
    return [one for one in found if one is not None]


def settle(connection: Connection, me: str, outcomes: Outcomes, now_s: float) -> None:
    """Note what became of messages that `me` has."""
    retried = {id_: one for id_, one in outcomes.items() if one.state is MessageState.WAITING}
    connection.run_many(
        _DONE,
        [
            {"id_": id_, "me": me, "state_": one.state.value, "now_s": now_s}
            for id_, one in outcomes.items()
            if id_ not in retried
        ],
    )
    connection.run_many(
        _RETRY, [{"id_": id_, "me": me, "at_s": one.retry_s} for id_, one in retried.items()]
    )


def release(connection: Connection, them: str, now_s: float) -> None:
    """An instance ended: what it had in its hands is anybody's."""
    connection.run(_RELEASE, them=them, now_s=now_s)


def forget(connection: Connection, before_s: float) -> None:
    """Delete what nobody would send any more since then."""
    connection.run(_FORGET, before_s=before_s)


def of_account(connection: Connection, username: str) -> list[dict[str, Any]]:
    """What was, or will be, sent to the account, by time."""
    return connection.all(_OF_ACCOUNT, of=username)


def _row(of: Planned, now_s: float) -> dict[str, Any]:
    return {
        "id": of.id,
        "username": of.username,
        "event_id": of.event_id,
        "kind": of.kind.value,
        "channel": of.channel.value,
        "target": of.target,
        "starts_s": of.starts_s,
        "lead_s": of.lead_s,
        "created_s": now_s,
        "expires_s": of.expires_s,
        "state": MessageState.WAITING.value,
        "due_s": now_s,
        "holder": "",
        "failures": 0,
        "done_s": None,
    }
