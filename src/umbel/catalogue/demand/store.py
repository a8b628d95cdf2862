"""Accounts' access nodes as rows, and reads of events and reservations for forecasts.

In: a connection of a read or write unit. Out: values of `model`. An account has one row at most,
its newest access node, and takes it along when it goes.
"""

from typing import Any

import sqlalchemy as sa

from umbel.catalogue.demand.model import UNKNOWN, Earlier, Starting
from umbel.catalogue.model import EventState
from umbel.catalogue.reservations.model import TO_WATCH
from umbel.catalogue.reservations.store import reservations
from umbel.catalogue.store import event_of, events, providers, users
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given

account_nodes = sa.Table(
    "account_nodes",
    metadata,
    sa.Column("username", sa.ForeignKey(users.c.username, ondelete="CASCADE"), primary_key=True),
    sa.Column("access_node", sa.String(64), nullable=False),
)

_OF = given("of")
_IS_TO_WATCH = reservations.c.purpose.in_([sa.literal(one) for one in TO_WATCH])
_NODE = Scalar(sa.select(account_nodes.c.access_node).where(account_nodes.c.username == _OF), str)
_HELD_USER = Scalar(
    sa.select(users.c.username).where(users.c.username == _OF).with_for_update(key_share=True), str
)
_ADD = Command(sa.insert(account_nodes))
_CHANGE = Command(sa.update(account_nodes).where(account_nodes.c.username == _OF), ["access_node"])
_BY_NODE = Query(
    sa.select(account_nodes.c.access_node, sa.func.count().label("count"))
    .select_from(reservations)
    .outerjoin(account_nodes, account_nodes.c.username == reservations.c.username)
    .where((reservations.c.event_id == _OF) & _IS_TO_WATCH)
    .group_by(account_nodes.c.access_node),
    lambda *, access_node, count: (access_node or UNKNOWN, int(count)),
)


def _starting(*, access_node: str, **row: Any) -> Starting:
    return Starting(event=event_of(**row), access_node=access_node)


_WITH_PROVIDER = sa.select(
    events, providers.c.name.label("provider_name"), providers.c.access_node
).join_from(events, providers)
_STATES = [sa.literal(one.value) for one in (EventState.SCHEDULED, EventState.OPEN)]
_GOING = [*_STATES, sa.literal(EventState.LIVE.value)]
_STARTING = Query(
    _WITH_PROVIDER.where(events.c.state.in_(_GOING))
    .where((events.c.starts_s > given("from_s")) & (events.c.starts_s <= given("until_s")))
    .order_by(events.c.starts_s, events.c.id)
    .limit(given("most", sa.Integer)),
    _starting,
)
_COUNT = (
    sa.select(sa.func.count())
    .select_from(reservations)
    .where((reservations.c.event_id == events.c.id) & _IS_TO_WATCH)
    .scalar_subquery()
    .label("reservations")
)
_EARLIER = Query(
    sa.select(events, providers.c.name.label("provider_name"), _COUNT)
    .join_from(events, providers)
    .where(events.c.provider_id == _OF)
    .where(events.c.state == sa.literal(EventState.ENDED.value))
    .where(events.c.starts_s < given("before_s"))
    .order_by(events.c.starts_s.desc(), events.c.id.desc())
    .limit(given("most", sa.Integer)),
    lambda *, reservations, **row: Earlier(event=event_of(**row), reservations=int(reservations)),
)


def node(connection: Connection, username: str) -> str | None:
    """The account's newest access node; None where none is known."""
    return connection.scalar(_NODE, of=username)


def put_node(connection: Connection, username: str, access_node: str) -> None:
    """Remember it, if there is such an account."""
    if connection.scalar(_HELD_USER, of=username) is None:
        return
    if not connection.run(_CHANGE, of=username, access_node=access_node):
        connection.run(_ADD, username=username, access_node=access_node)


def by_node(connection: Connection, event_id: str) -> dict[str, int]:
    """How many accounts reserved the event to watch it, by the access node of each; UNKNOWN for
    those without one."""
    return dict(connection.all(_BY_NODE, of=event_id))


def starting(connection: Connection, from_s: float, until_s: float, most: int) -> list[Starting]:
    """Events that are not over and begin after `from_s`, until `until_s`; first come first, `most`
    of them."""
    return connection.all(_STARTING, from_s=from_s, until_s=until_s, most=most)


def earlier(connection: Connection, provider_id: str, before_s: float, most: int) -> list[Earlier]:
    """The provider's events that ended and had begun before that moment; the newest, `most`."""
    return connection.all(_EARLIER, of=provider_id, before_s=before_s, most=most)
