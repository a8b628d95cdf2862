"""Accounts' choices of reminders as rows, and how a choice is written into a row. In: a connection
of a read or write unit. Out: values of `model`."""

import sqlalchemy as sa

from umbel.catalogue.choices.model import AccountChoice, Channel, Choice
from umbel.catalogue.store import users
from umbel.kit.db import metadata
from umbel.kit.sql import Command, Connection, Query, given

MOST_TEXT = 64

reminder_choices = sa.Table(
    "reminder_choices",
    metadata,
    sa.Column("username", sa.ForeignKey(users.c.username, ondelete="CASCADE"), primary_key=True),
    sa.Column("leads", sa.String(MOST_TEXT), nullable=False),
    sa.Column("channels", sa.String(MOST_TEXT), nullable=False),
    sa.Column("changed_s", sa.Float, nullable=False),
    sa.Column("time_zone", sa.String(128), nullable=False),
    sa.Column("live", sa.Boolean, nullable=False),
)

_OF = given("of")


def parsed(leads: str | None, channels: str | None, changed_s: float | None) -> Choice | None:
    """The choice that a row holds; None where it holds none."""
    if leads is None or channels is None:
        return None
    return Choice(
        leads_s=tuple(int(lead) for lead in leads.split(",") if lead),
        channels=frozenset(Channel(name) for name in channels.split(",") if name),
        changed_s=changed_s or 0.0,
    )


def serialized(of: Choice | None) -> dict[str, object]:
    """The columns that hold the choice, or none."""
    if of is None:
        return {"leads": None, "channels": None, "changed_s": None}
    return {
        "leads": ",".join(map(str, of.leads_s)),
        "channels": ",".join(sorted(one.value for one in of.channels)),
        "changed_s": of.changed_s,
    }


def _account_choice(
    *, leads: str, channels: str, changed_s: float, time_zone: str, live: bool
) -> AccountChoice:
    choice = parsed(leads, channels, changed_s) or Choice()
    return AccountChoice(choice=choice, time_zone=time_zone, live=live)


_CHOICE = Query(
    sa.select(*(column for column in reminder_choices.c if column.name != "username")).where(
        reminder_choices.c.username == _OF
    ),
    _account_choice,
)
_ADD = Command(sa.insert(reminder_choices))
_DROP = Command(sa.delete(reminder_choices).where(reminder_choices.c.username == _OF))


def of_account(connection: Connection, username: str) -> AccountChoice:
    """The account's, or what holds for all who chose nothing."""
    return connection.first(_CHOICE, of=username) or AccountChoice()


def put(connection: Connection, username: str, new: AccountChoice) -> None:
    """Store it in place of any other; the user must be held."""
    connection.run(_DROP, of=username)
    row = serialized(new.choice)
    connection.run(_ADD, username=username, time_zone=new.time_zone, live=new.live, **row)
