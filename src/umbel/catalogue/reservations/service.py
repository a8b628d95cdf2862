"""The only entry to reservations: what viewers mean to watch or to record, and their calendars.

In: calls of the portal, for a user who has proved who they are, or with a calendar's secret. Out:
values of `model`. A reservation shows its event as it is now, so moves and cancellations need no
work here.
"""

from umbel.catalogue import rules
from umbel.catalogue import store as catalogue
from umbel.catalogue.choices.model import Choice
from umbel.catalogue.model import NoSuchEvent, NoSuchUser
from umbel.catalogue.reservations import months, store
from umbel.catalogue.reservations.model import (
    MOST_RESERVATIONS,
    RESERVABLE,
    NoSuchFeed,
    NoSuchReservation,
    NotReservable,
    Purpose,
    Reservation,
    TooManyReservations,
)
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.sql import Connection


class Reservations:
    """Reservations by account."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def every(self, username: str) -> list[Reservation]:
        """The account's, by the events' start."""
        return await self._database.read(store.every, username)

    async def in_month(self, username: str, month: str, time_zone: str) -> list[Reservation]:
        """The account's whose events are on in that month of the zone, by the events' start. Raises
        BadMonth."""
        from_s, until_s = months.bounds(month, time_zone)
        return await self._database.read(store.between, username, from_s, until_s)

    async def reserve(self, username: str, event_id: str, purpose: Purpose) -> Reservation:
        """Reserve the event, or change for what. Idempotent. Raises NoSuchEvent, NotReservable,
        TooManyReservations, NoSuchUser."""
        if not rules.is_name(event_id):
            raise NoSuchEvent
        now_s = self._clock.now_s()

        def put(connection: Connection) -> Reservation:
            if not store.hold_user(connection, username):
                raise NoSuchUser(username=username)
            event = catalogue.event(connection, event_id, for_update=True)
            if event.state not in RESERVABLE[purpose]:
                raise NotReservable(event=event_id, state=event.state.value)
            new = Reservation(event=event, purpose=purpose, reserved_s=now_s)
            before = store.the(connection, username, event_id)
            if before is None and store.count(connection, username) >= MOST_RESERVATIONS:
                raise TooManyReservations(most=MOST_RESERVATIONS)
            store.put(connection, username, new)
            return store.the(connection, username, event_id) or new

        return await self._database.write(put)

    async def cancel(self, username: str, event_id: str) -> None:
        """Cancel the reservation. One that there is not, is not an error."""
        if rules.is_name(event_id):
            await self._database.write(store.drop, username, event_id)

    async def choose(self, username: str, event_id: str, own: Choice | None) -> Reservation:
        """Have reminders of its own for this reservation, or the account's. Raises
        NoSuchReservation."""
        if not rules.is_name(event_id):
            raise NoSuchReservation

        def put(connection: Connection) -> Reservation:
            store.hold_user(connection, username)
            store.choose(connection, username, event_id, own)
            found = store.the(connection, username, event_id)
            if found is None:
                raise NoSuchReservation(event=event_id)
            return found

        return await self._database.write(put)

    async def count_of(self, event_id: str) -> int:
        """How many accounts reserved the event to watch it."""
        return await self._database.read(store.count_to_watch, event_id)

    # Calendars' addresses

    async def feed_created_s(self, username: str) -> float | None:
        """When the account's calendar got its address; None when it has none."""
        return await self._database.read(store.feed_created_s, username)

    async def new_feed(self, username: str) -> str:
        """The secret of a new address of the account's calendar, shown this once. The address of
        before is revoked. Raises NoSuchUser."""
        secret, now_s = rules.new_secret(), self._clock.now_s()

        def put(connection: Connection) -> None:
            if not store.hold_user(connection, username):
                raise NoSuchUser(username=username)
            store.put_feed(connection, username, rules.key_hash(secret), now_s)

        await self._database.write(put)
        return secret

    async def revoke_feed(self, username: str) -> None:
        """The calendar has no address any more. Idempotent."""
        await self._database.write(store.drop_feed, username)

    async def feed(self, secret: str) -> list[Reservation]:
        """The reservations of the account whose calendar has that secret. Raises NoSuchFeed."""

        def read(connection: Connection) -> list[Reservation]:
            owner = store.feed_owner(connection, rules.key_hash(secret))
            if owner is None:
                raise NoSuchFeed
            return store.every(connection, owner)

        return await self._database.read(read)
