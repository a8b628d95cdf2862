"""What viewers keep of captures, links to it, and which events are to be recorded, as rows. In: a
connection of a read or write unit. Out: values of `model`."""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from umbel.catalogue.model import OVER, EventState
from umbel.catalogue.reservations.model import TO_RECORD
from umbel.catalogue.reservations.store import reservations
from umbel.catalogue.store import events, providers, users
from umbel.catalogue.visibility.store import remains_visible
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given
from umbel.recordings.model import (
    LONGEST_NAME,
    CaptureState,
    Kept,
    Recording,
    RecordingState,
    Share,
)
from umbel.recordings.store import capture_segments, captures

recordings = sa.Table(
    "recordings",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column(
        "username",
        sa.ForeignKey(users.c.username, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("event_id", sa.ForeignKey(events.c.id), nullable=False, index=True),
    sa.Column("stream", sa.String(64), nullable=False, index=True),
    sa.Column("name", sa.String(LONGEST_NAME), nullable=False),
    sa.Column("from_s", sa.Float, nullable=True),
    sa.Column("until_s", sa.Float, nullable=True),
    sa.Column("reserved", sa.Boolean, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("problem", sa.String(200), nullable=False),
)
recording_shares = sa.Table(
    "recording_shares",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column(
        "recording_id",
        sa.ForeignKey(recordings.c.id, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("expires_s", sa.Float, nullable=False),
)
event_replays = sa.Table(
    "event_replays",
    metadata,
    sa.Column("event_id", sa.ForeignKey(events.c.id), primary_key=True),
    sa.Column("created_s", sa.Float, nullable=False),
)

_ID, _OF, _EVENT, _NOW = given("id_"), given("of"), given("event_"), given("now_s")


_IN_RANGE = (
    (capture_segments.c.capture_id == captures.c.id)
    & (
        recordings.c.from_s.is_(None)
        | (capture_segments.c.began_s + capture_segments.c.duration_s > recordings.c.from_s)
    )
    & (recordings.c.until_s.is_(None) | (capture_segments.c.began_s < recordings.c.until_s))
)
_FIELDS = tuple(column.name for column in recordings.c)
_KEPT = (
    sa.select(
        *recordings.c,
        events.c.title.label("event_title"),
        events.c.state.label("event_state"),
        providers.c.name.label("provider_name"),
        captures.c.state.label("capture_state"),
        captures.c.problem.label("capture_problem"),
        sa.func.count(capture_segments.c.number).label("segments"),
        sa.func.sum(capture_segments.c.size).label("size"),
        sa.func.sum(capture_segments.c.duration_s).label("duration_s"),
        sa.func.min(capture_segments.c.began_s).label("began_s"),
    )
    .join_from(recordings, events)
    .join(providers, providers.c.id == events.c.provider_id)
    .outerjoin(captures, captures.c.stream == recordings.c.stream)
    .outerjoin(capture_segments, _IN_RANGE)
    .where(recordings.c.username == _OF)
    .group_by(
        *recordings.c,
        events.c.title,
        events.c.state,
        providers.c.name,
        captures.c.state,
        captures.c.problem,
    )
)


def _kept(**row: Any) -> Kept:
    recording = Recording(**{name: row.pop(name) for name in _FIELDS})
    return _standing(recording, **row)


def _standing(
    recording: Recording,
    *,
    event_state: str,
    capture_state: str | None,
    capture_problem: str | None,
    **row: Any,
) -> Kept:
    is_running = capture_state == CaptureState.RUNNING.value
    is_to_come = is_running or EventState(event_state) not in OVER
    is_open = recording.until_s is None
    if row["segments"]:
        is_going = is_running and is_open
        state = RecordingState.RECORDING if is_going else RecordingState.READY
    else:
        state = RecordingState.WAITING if is_to_come and is_open else RecordingState.EMPTY
    waits = (capture_problem or "") if is_open else ""
    row |= {"size": int(row["size"] or 0), "duration_s": float(row["duration_s"] or 0.0)}
    return Kept(recording=recording, state=state, problem=recording.problem or waits, **row)


_OF_USER = Query(_KEPT.order_by(recordings.c.created_s.desc(), recordings.c.id), _kept)
_THE = Query(_KEPT.where(recordings.c.id == _ID), _kept)
_IS_OPEN = recordings.c.until_s.is_(None) | (recordings.c.until_s > _NOW)
_OPEN = Query(
    sa.select(recordings)
    .join_from(recordings, captures, captures.c.stream == recordings.c.stream)
    .where(captures.c.state == sa.literal(CaptureState.RUNNING.value))
    .where(_IS_OPEN),
    Recording,
)
_BY_ID = Query(sa.select(recordings).where(recordings.c.id == _ID), Recording)
_COUNT = Scalar(
    sa.select(sa.func.count()).select_from(recordings).where(recordings.c.username == _OF), int
)
_ADD = Command(sa.insert(recordings))
_CHANGE = Command(
    sa.update(recordings).where(recordings.c.id == _ID), ["name", "until_s", "problem"]
)
_DROP = Command(sa.delete(recordings).where(recordings.c.id == _ID))

_ON_AIR = [sa.literal(state.value) for state in (EventState.OPEN, EventState.LIVE)]
_IS_ON_AIR = events.c.state.in_(_ON_AIR)
# What everybody may see again is the source's stream, which is named as its event.
_WANTED = Scalar(
    sa.union(
        sa.select(recordings.c.stream).join_from(recordings, events).where(_IS_ON_AIR & _IS_OPEN),
        sa.select(events.c.id).join_from(event_replays, events).where(_IS_ON_AIR),
    ),
    str,
)
_STREAM = given("stream_")
_EVENT_OF = Scalar(
    sa.union(
        sa.select(recordings.c.event_id).where(recordings.c.stream == _STREAM),
        sa.select(event_replays.c.event_id).where(event_replays.c.event_id == _STREAM),
    ),
    str,
)
# A reservation becomes a recording when its event is on air.
_RESERVED = Query(
    sa.select(reservations.c.username, events.c.id.label("event_id"), events.c.title.label("name"))
    .join_from(reservations, events)
    .where(reservations.c.purpose.in_([sa.literal(one) for one in TO_RECORD]))
    .where(events.c.state.in_(_ON_AIR))
    .where(remains_visible(reservations.c.username))
    .where(
        ~sa.exists().where(
            (recordings.c.username == reservations.c.username)
            & (recordings.c.event_id == events.c.id)
            & recordings.c.reserved
        )
    )
    .limit(100),
    lambda *, username, event_id, name: (str(username), str(event_id), str(name)),
)
_UNUSED = Scalar(
    sa.select(captures.c.id)
    .where(captures.c.state == sa.literal(CaptureState.ENDED.value))
    .where(~sa.exists().where(recordings.c.stream == captures.c.stream))
    .where(~sa.exists().where(event_replays.c.event_id == captures.c.stream))
    .limit(100),
    str,
)

_SHARE = [column for column in recording_shares.c if column.name != "secret_hash"]
_SHARES = Query(
    sa.select(*_SHARE)
    .where(recording_shares.c.recording_id == _ID)
    .where(recording_shares.c.expires_s > _NOW)
    .order_by(recording_shares.c.created_s, recording_shares.c.id),
    Share,
)
_SHARE_BY_HASH = Query(
    sa.select(*_SHARE)
    .where(recording_shares.c.secret_hash == given("hash_"))
    .where(recording_shares.c.expires_s > _NOW),
    Share,
)
_IS_SHARED = Scalar(
    sa.select(recording_shares.c.id).where(
        (recording_shares.c.id == _ID) & (recording_shares.c.expires_s > _NOW)
    ),
    str,
)
_ADD_SHARE = Command(sa.insert(recording_shares))
_DROP_SHARE = Command(
    sa.delete(recording_shares).where(
        (recording_shares.c.id == _ID) & (recording_shares.c.recording_id == given("recording_"))
    )
)
_FORGET_SHARES = Command(sa.delete(recording_shares).where(recording_shares.c.expires_s <= _NOW))

_REPLAY = Scalar(
    sa.select(event_replays.c.created_s).where(event_replays.c.event_id == _EVENT), float
)
_ADD_REPLAY = Command(sa.insert(event_replays))
_DROP_REPLAY = Command(sa.delete(event_replays).where(event_replays.c.event_id == _EVENT))


def of_user(connection: Connection, username: str) -> list[Kept]:
    """The account's, the newest first."""
    return connection.all(_OF_USER, of=username)


def the(connection: Connection, username: str, recording_id: str) -> Kept | None:
    """That one, if it is the account's."""
    return connection.first(_THE, id_=recording_id, of=username)


def by_id(connection: Connection, recording_id: str) -> Recording | None:
    """That one, whosoever it is."""
    return connection.first(_BY_ID, id_=recording_id)


def still_open(connection: Connection, now_s: float) -> list[Recording]:
    """Those that grow now."""
    return connection.all(_OPEN, now_s=now_s)


def count(connection: Connection, username: str) -> int:
    """How many the account has."""
    return connection.scalar(_COUNT, of=username) or 0


def add(connection: Connection, new: Recording) -> None:
    """Raises ConstraintViolated where the account is gone."""
    connection.run(_ADD, **asdict(new))


def change(connection: Connection, new: Recording) -> None:
    """Its name, its end, and why that came."""
    connection.run(_CHANGE, id_=new.id, name=new.name, until_s=new.until_s, problem=new.problem)


def drop(connection: Connection, recording_id: str) -> None:
    """With its links."""
    connection.run(_DROP, id_=recording_id)


def wanted(connection: Connection, now_s: float) -> frozenset[str]:
    """The streams of events on air that somebody has recorded."""
    return frozenset(connection.scalars(_WANTED, now_s=now_s))


def event_of(connection: Connection, stream: str) -> str | None:
    """The event that the stream belongs to, if somebody keeps anything of it."""
    return connection.scalar(_EVENT_OF, stream_=stream)


def reserved(connection: Connection) -> list[tuple[str, str, str]]:
    """Reservations to record events that are on air now, without a recording yet: whose, of which
    event, and its title."""
    return connection.all(_RESERVED)


def unused(connection: Connection) -> list[str]:
    """Captures that ended and that nobody keeps anything of."""
    return connection.scalars(_UNUSED)


def shares(connection: Connection, recording_id: str, now_s: float) -> list[Share]:
    """The recording's links that work."""
    return connection.all(_SHARES, id_=recording_id, now_s=now_s)


def share_of(connection: Connection, secret_hash: str, now_s: float) -> Share | None:
    """The link with that secret, if it works."""
    return connection.first(_SHARE_BY_HASH, hash_=secret_hash, now_s=now_s)


def is_shared(connection: Connection, share_id: str, now_s: float) -> bool:
    """Whether the link with that id works."""
    return connection.scalar(_IS_SHARED, id_=share_id, now_s=now_s) is not None


def add_share(connection: Connection, new: Share, secret_hash: str) -> None:
    """A new link."""
    connection.run(_ADD_SHARE, **asdict(new), secret_hash=secret_hash)


def drop_share(connection: Connection, recording_id: str, share_id: str) -> bool:
    """Revoke it. False where there was none."""
    return connection.run(_DROP_SHARE, id_=share_id, recording_=recording_id) == 1


def forget_shares(connection: Connection, now_s: float) -> None:
    """Delete those that expired."""
    connection.run(_FORGET_SHARES, now_s=now_s)


def is_replayed(connection: Connection, event_id: str) -> bool:
    """Whether the provider has the event recorded for everybody."""
    return connection.scalar(_REPLAY, event_=event_id) is not None


def set_replay(connection: Connection, event_id: str, now_s: float | None) -> None:
    """Have it recorded for everybody since then, or not where that is None."""
    connection.run(_DROP_REPLAY, event_=event_id)
    if now_s is not None:
        connection.run(_ADD_REPLAY, event_id=event_id, created_s=now_s)
