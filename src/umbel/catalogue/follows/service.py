"""The only entry to following: whom accounts follow, and who hears that an event is live.

In: calls of the portal, the time from `schedule`. Out: values of `model`, and messages in the
outbox. That an event is live is noted in the unit that makes it live; accounts are looked at some
at a time, in the order of their names.
"""

from umbel.catalogue import rules
from umbel.catalogue import store as catalogue
from umbel.catalogue.choices import store as choices
from umbel.catalogue.choices.model import Channel
from umbel.catalogue.follows import store
from umbel.catalogue.follows.model import (
    FRESH_S,
    MOST_FOLLOWS,
    Follow,
    TooManyFollows,
    planned,
)
from umbel.catalogue.model import Event, NoSuchProvider, NoSuchUser
from umbel.catalogue.outbox import store as outbox
from umbel.catalogue.reservations.store import hold_user
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.sql import Connection

_MOST_LIVE = 20


class Follows:
    """Who follows whom."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def every(self, username: str) -> list[Follow]:
        """Whom the account follows, by name."""
        return await self._database.read(store.every, username)

    async def follow(self, username: str, provider_id: str) -> Follow:
        """Follow the provider. Idempotent. Raises NoSuchProvider, TooManyFollows, NoSuchUser."""
        if not rules.is_name(provider_id):
            raise NoSuchProvider
        now_s = self._clock.now_s()

        def put(connection: Connection) -> Follow:
            if not hold_user(connection, username):
                raise NoSuchUser(username=username)
            provider = catalogue.hold_provider(connection, provider_id)
            since_s = store.since_s(connection, username, provider_id)
            if since_s is None:
                if store.count(connection, username) >= MOST_FOLLOWS:
                    raise TooManyFollows(most=MOST_FOLLOWS)
                store.add(connection, username, provider_id, now_s)
            return Follow(
                provider_id=provider_id,
                provider_name=provider.name,
                since_s=now_s if since_s is None else since_s,
            )

        return await self._database.write(put)

    async def unfollow(self, username: str, provider_id: str) -> None:
        """Follow it no more. One that is not followed, is not an error."""
        if rules.is_name(provider_id):
            await self._database.write(store.drop, username, provider_id)

    async def live(self, username: str) -> list[Event]:
        """What is live now of what the account reserved or follows, if its open pages are to show
        that."""

        def read(connection: Connection) -> list[Event]:
            chosen = choices.of_account(connection, username)
            if not chosen.live or Channel.PAGE not in chosen.choice.channels:
                return []
            return store.live(connection, username, _MOST_LIVE)

        return await self._database.read(read)

    async def announce(self, *, most: int, verified: bool) -> int:
        """Put messages of one event that went live into the outbox, for the next `most` accounts;
        answers for how many. `verified` leaves out addresses that wait to be confirmed."""
        now_s = self._clock.now_s()

        def announce(connection: Connection) -> int:
            one = store.next_live(connection)
            if one is None:
                return 0
            event = catalogue.event(connection, one.event_id)
            is_news = not event.is_over and now_s < one.at_s + FRESH_S
            found = store.listeners(connection, event, one.cursor, most) if is_news else []
            messages = [
                message
                for listener in found
                for message in planned(listener, event, one.at_s, verified=verified)
            ]
            outbox.add(connection, messages, now_s)
            cursor = found[-1].username if found else one.cursor
            store.pass_on(connection, event.id, cursor, is_done=len(found) < most)
            return max(len(found), 1)

        # Most looks find nothing, and need no write unit.
        if not await self._database.read(store.is_any):
            return 0
        return await self._database.write(announce)
