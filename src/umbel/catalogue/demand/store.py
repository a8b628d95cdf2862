"""Accounts' access nodes as rows, and reads of events and reservations for forecasts.

In: a connection of a read or write unit. Out: values of `model`. An account has one row at most,
its newest access node, and takes it along when it goes.
"""

from typing import Any

import sqlalchemy as sa

from umbel.catalogue.demand.model import UNKNOWN, Earlier, Starting
from umbel.catalogue.model import EventState
from umbel.catalogue.reservations.store import IS_TO_WATCH, hold_user, reservations
from umbel.catalogue.store import IS_NOT_OVER, event_of, events, providers, users
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given

account_nodes = sa.Table(
    "account_nodes",
    metadata,
    sa.Column("username", sa.ForeignKey(users.c.username, ondelete="CASCADE"), primary_key=True),
    sa.Column("access_node", sa.String(64), nullable=False),
)

_OF = given("of")
_NODE = Scalar(sa.select(account_nodes.c.access_node).where(account_nodes.c.username == _OF), str)
_ADD = Command(sa.insert(account_nodes))
_CHANGE = Command(sa.update(account_nodes).where(account_nodes.c.username == _OF), ["access_node"])
_BY_NODE = (
    sa.select(reservations.c.event_id, account_nodes.c.access_node, sa.func.count().label("count"))
    .select_from(reservations)
    .outerjoin(account_nodes, account_nodes.c.username == reservations.c.username)
    .where(IS_TO_WATCH)
    .group_by(reservations.c.event_id, account_nodes.c.access_node)
)


def _node_count(*, event_id: str, access_node: str | None, count: int) -> tuple[str, str, int]:
    return event_id, access_node or UNKNOWN, int(count)


_OF_EVENT_BY_NODE = Query(_BY_NODE.where(reservations.c.event_id == _OF), _node_count)


def _starting(*, access_node: str, **row: Any) -> Starting:
    return Starting(event=event_of(**row), access_node=access_node)


_WITH_PROVIDER = sa.select(
    events, providers.c.name.label("provider_name"), providers.c.access_node
).join_from(events, providers)
_STARTS = (events.c.starts_s > given("from_s")) & (events.c.starts_s <= given("until_s"))
_STARTING = Query(
    _WITH_PROVIDER.where(IS_NOT_OVER & _STARTS)
    .order_by(events.c.starts_s, events.c.id)
    .limit(given("most", sa.Integer)),
    _starting,
)
_STARTING_BY_NODE = Query(
    _BY_NODE.join(events, events.c.id == reservations.c.event_id).where(IS_NOT_OVER & _STARTS),
    _node_count,
)
_COUNT = (
    sa.select(sa.func.count())
    .select_from(reservations)
    .where((reservations.c.event_id == events.c.id) & IS_TO_WATCH)
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
    if not hold_user(connection, username):
        return
    if not connection.run(_CHANGE, of=username, access_node=access_node):
        connection.run(_ADD, username=username, access_node=access_node)


def by_node(connection: Connection, event_id: str) -> dict[str, int]:
    """How many accounts reserved the event to watch it, by the access node of each; UNKNOWN for
    those without one."""
    return {node: count for _, node, count in connection.all(_OF_EVENT_BY_NODE, of=event_id)}


def starting_by_node(
    connection: Connection, from_s: float, until_s: float
) -> dict[str, dict[str, int]]:
    """The same of each event that `starting` finds, by event; none where nobody reserved it."""
    found: dict[str, dict[str, int]] = {}
    for event_id, node, count in connection.all(_STARTING_BY_NODE, from_s=from_s, until_s=until_s):
        found.setdefault(event_id, {})[node] = count
    return found


def starting(connection: Connection, from_s: float, until_s: float, most: int) -> list[Starting]:
    """Events that are not over and begin after `from_s`, until `until_s`; first come first, `most`
    of them."""
    return connection.all(_STARTING, from_s=from_s, until_s=until_s, most=most)


def earlier(connection: Connection, provider_id: str, before_s: float, most: int) -> list[Earlier]:
    """The provider's events that ended and had begun before that moment; the newest, `most`."""
    return connection.all(_EARLIER, of=provider_id, before_s=before_s, most=most)
