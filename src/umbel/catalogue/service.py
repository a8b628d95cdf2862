"""The catalogue's only door: users, providers, events and stream keys.

In: calls of the portal and of delivery. Out: values of `model`; each change is one write unit that
also journals what readers may know of it. Neighbours: kit.db and kit.journal below, delivery above,
which fires an event's transitions when ingest starts and stops.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from umbel.catalogue import event_units, rules, store, units
from umbel.catalogue.accounts.recovery import Recovery
from umbel.catalogue.accounts.service import Accounts
from umbel.catalogue.captions.service import Captions
from umbel.catalogue.demand.service import DemandSources
from umbel.catalogue.devices.service import Devices
from umbel.catalogue.discover.service import Discover
from umbel.catalogue.follows.service import Follows
from umbel.catalogue.follows.store import note_live
from umbel.catalogue.model import (
    EVENT_LIFE,
    Event,
    EventDraft,
    EventEvent,
    EventOver,
    EventPatch,
    EventState,
    NoSuchEvent,
    NoSuchProvider,
    NoSuchUser,
    Provider,
    ProviderExists,
    User,
    UserExists,
    UserRole,
)
from umbel.catalogue.outbox.service import Outbox
from umbel.catalogue.passwords import Passwords
from umbel.catalogue.reminders.service import Reminders
from umbel.catalogue.reservations.service import Reservations
from umbel.catalogue.series.service import SeriesService
from umbel.catalogue.service_levels.service import ServiceLevels
from umbel.catalogue.sign_in import SignIn
from umbel.catalogue.store import Unit
from umbel.catalogue.team.service import Teams
from umbel.catalogue.team.store import of_user as members_of
from umbel.catalogue.units import Units
from umbel.catalogue.visibility.service import Audiences
from umbel.catalogue.watched.service import WatchedEvents
from umbel.kit.clock import Clock
from umbel.kit.db import Database, VersionMismatch
from umbel.kit.ids import new_id
from umbel.kit.sql import Connection

MOST_LISTED = 1_000
MOST_OVERLAPS = 10


class Catalogue:
    """Users and rights, providers, events and their schedule."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        passwords: Passwords | None = None,
        own_key_of: Callable[[str], str] | None = None,
    ) -> None:
        """`own_key_of` gives the stream key of an event that the platform itself publishes with."""
        self._database = database
        self._clock = clock
        self._own_key_of = own_key_of
        self._passwords = passwords or Passwords()
        self.service_levels = ServiceLevels(database, clock)
        self.reservations = Reservations(database, clock)
        self.reminders = Reminders(database, clock)
        self.discover = Discover(database)
        self.watched = WatchedEvents(database, clock)
        self.outbox = Outbox(database, clock)
        self.captions = Captions(database)
        self.devices = Devices(database, clock)
        self.demand = DemandSources(database)
        self.follows = Follows(database, clock)
        self._sign_in = SignIn(database, clock, self._passwords)
        self._write = Units(database, clock).write
        self.audiences = Audiences(database, clock, self._passwords)
        self.teams = Teams(database, clock)
        self.series = SeriesService(database, clock, self.audiences)
        self.recovery = Recovery(database, clock, self._passwords)
        self.accounts = Accounts(database, clock, self._passwords, self._sign_in)

    # Users

    async def authenticate(self, username: str, password: str, address: str) -> User:
        """The user of that name and password, who asks from that address. Raises BadCredentials,
        SignInTooSoon, TooManySignIns."""
        return await self._sign_in.authenticate(username, password, address)

    async def users(self) -> list[User]:
        """Every user by name."""
        return await self._database.read(store.all_users)

    async def user(self, username: str) -> User:
        """That user, with memberships. Raises NoSuchUser."""
        if rules.USERNAME.fullmatch(username) is None:
            raise NoSuchUser
        return await self._database.read(_with_memberships, username)

    async def add_user(
        self, username: str, password: str, role: UserRole, provider_id: str = ""
    ) -> User:
        """A new user. Raises Unprocessable, UserExists, NoSuchProvider, TooManySignIns."""
        rules.rights(role, provider_id)
        if provider_id and not rules.is_name(provider_id):
            raise NoSuchProvider
        new = User(
            username=rules.username(username),
            role=role,
            provider_id=provider_id,
            generation=rules.new_generation(),
        )
        hashed = await self._passwords.hash(rules.password(password))

        await self._write(lambda unit: units.add_user(unit, new, hashed))
        return new

    async def ensure_user(
        self, username: str, password: str, role: UserRole, provider_id: str = ""
    ) -> User:
        """The user of that name as it is, or a new one: for a first start."""
        try:
            return await self.user(username)
        except NoSuchUser:
            pass
        try:
            return await self.add_user(username, password, role, provider_id)
        except UserExists:
            return await self.user(username)

    async def set_password(self, username: str, password: str) -> None:
        """Give the user another password; tokens of before end. Raises Unprocessable, NoSuchUser,
        TooManySignIns."""
        hashed = await self._passwords.hash(rules.password(password))
        await self._write(lambda unit: units.set_password(unit, username, hashed))

    async def remove_user(self, username: str) -> None:
        """Let the user in no more. Raises NoSuchUser, LastOperator."""
        if rules.USERNAME.fullmatch(username) is None:
            raise NoSuchUser
        await self._write(lambda unit: units.remove_user(unit, username))

    # Providers

    async def providers(self) -> list[Provider]:
        """Every provider by name."""
        return await self._database.read(store.all_providers)

    async def provider(self, provider_id: str) -> Provider:
        """That provider. Raises NoSuchProvider."""
        if not rules.is_name(provider_id):
            raise NoSuchProvider
        return await self._database.read(store.provider, provider_id)

    async def add_provider(self, name: str, access_node: str) -> Provider:
        """A new provider. Raises Unprocessable, ProviderExists."""
        new = Provider(
            id=new_id("pr"),
            name=rules.line("name", name, rules.MOST_NAME),
            access_node=rules.node(access_node),
        )

        def add(unit: Unit) -> None:
            store.add_provider(unit.connection, new)
            _journal_provider(unit, "added", new)

        await self._write(add)
        return new

    async def ensure_provider(self, name: str, access_node: str) -> Provider:
        """The provider of that name as it is, or a new one: for a first start."""
        for _ in range(2):
            named = [p for p in await self.providers() if p.name == name.strip()]
            if named:
                return named[0]
            try:
                return await self.add_provider(name, access_node)
            except ProviderExists:
                continue  # another instance made it between the look and the write
        raise ProviderExists(name=name)

    async def change_provider(
        self,
        provider_id: str,
        *,
        name: str | None = None,
        access_node: str | None = None,
        version: int | None = None,
    ) -> Provider:
        """Change what is given; of that version only, if one is given. Raises NoSuchProvider,
        Unprocessable, ProviderExists, VersionMismatch."""
        before = await self.provider(provider_id)
        if version is not None and version != before.version:
            raise VersionMismatch(f"provider {provider_id} is at version {before.version}")
        changed = before
        if name is not None:
            changed = replace(changed, name=rules.line("name", name, rules.MOST_NAME))
        if access_node is not None:
            changed = replace(changed, access_node=rules.node(access_node))

        def change(unit: Unit) -> Provider:
            after = store.change_provider(unit.connection, changed)
            _journal_provider(unit, "changed", after)
            return after

        return await self._write(change)

    async def remove_provider(self, provider_id: str) -> None:
        """Forget it. Raises NoSuchProvider, ProviderInUse."""
        if not rules.is_name(provider_id):
            raise NoSuchProvider

        def remove(unit: Unit) -> None:
            store.remove_provider(unit.connection, provider_id)
            unit.journal("provider", provider_id, {"what": "removed"})

        await self._write(remove)

    # Events

    async def events(
        self,
        *,
        states: Collection[EventState] = (),
        provider_ids: Collection[str] = (),
        most: int = MOST_LISTED,
        listed: bool = True,
    ) -> list[Event]:
        """Events by start time; no states means any, no providers means all. Of more than `most`
        the latest. Only those that everybody finds, unless `listed` is False."""
        known = [id_ for id_ in provider_ids if rules.is_name(id_)]
        if provider_ids and not known:
            return []
        return await self._database.read(
            store.list_events, states=states, provider_ids=known, most=most, listed=listed
        )

    async def event(self, event_id: str) -> Event:
        """That event; `audiences.event` also asks who may see it. Raises NoSuchEvent."""
        if not rules.is_name(event_id):
            raise NoSuchEvent
        return await self._database.read(store.event, event_id)

    async def event_and_key_hashes(self, event_id: str) -> tuple[Event, tuple[str, ...]]:
        """As `event` and `key_hashes`, by one read. Raises NoSuchEvent."""
        if not rules.is_name(event_id):
            raise NoSuchEvent
        event, found = await self._database.read(store.event_and_key_hash, event_id)
        return event, self._opening(event_id, found)

    async def add_event(self, draft: EventDraft, pass_phrase: str | None = None) -> Event:
        """Schedule an event. Raises Unprocessable, NoSuchProvider, TooManySignIns."""
        if not rules.is_name(draft.provider_id):
            raise NoSuchProvider
        clean = rules.drafted(draft, now_s=self._clock.now_s())
        hashed = await self.audiences.hashed(pass_phrase)

        def add(unit: Unit) -> Event:
            return event_units.add(unit, clean, hashed)

        return await self._write(add)

    async def change_event(
        self, event_id: str, version: int, patch: EventPatch, pass_phrase: str | None = None
    ) -> Event:
        """Change what is given of the event at `version`. Raises NoSuchEvent, EventOver,
        Unprocessable, VersionMismatch, TooManySignIns."""
        if not rules.is_name(event_id):
            raise NoSuchEvent
        now_s, hashed = self._clock.now_s(), await self.audiences.hashed(pass_phrase)

        def change(unit: Unit) -> Event:
            before = store.event(unit.connection, event_id, for_update=True)
            if before.is_over:
                raise EventOver
            if before.version != version:
                raise VersionMismatch(f"event {event_id} is at version {before.version}")
            after = rules.patched(before, patch, now_s=now_s)
            return event_units.change(unit, before, after, hashed)

        return await self._write(change)

    async def overlapping(self, event: Event) -> list[Event]:
        """Events of the same provider at the same time that are not over; MOST_OVERLAPS at most."""
        return await self._database.read(store.overlapping, event, MOST_OVERLAPS)

    async def set_picture(self, event_id: str, picture: str) -> str:
        """The event shows this item of the repository, none where it is empty. Answers which item
        no event shows any more, empty when there is none. Raises NoSuchEvent, EventOver."""

        def put(unit: Unit) -> str:
            before = store.event(unit.connection, event_id, for_update=True)
            if before.is_over:
                raise EventOver
            event_units.change(unit, before, replace(before, picture=picture))
            old = before.picture
            is_shown = old == picture or store.shows_picture(unit.connection, old)
            return "" if is_shown else old

        return await self._write(put)

    async def transition(self, event_id: str, what: EventEvent) -> Event:
        """Move the event to its next state. Raises NoSuchEvent, IllegalTransition."""
        if not rules.is_name(event_id):
            raise NoSuchEvent
        now_s = self._clock.now_s()

        def happen(unit: Unit) -> Event:
            before = store.event(unit.connection, event_id, for_update=True)
            state = EVENT_LIFE.next(before.state, what)
            after = store.change_event(unit.connection, replace(before, state=state))
            if state is EventState.LIVE:
                note_live(unit.connection, event_id, now_s)
            event_units.journal(unit, what.value, after)
            return after

        return await self._write(happen)

    async def due(self, now_s: float) -> list[str]:
        """Ids of the events whose end has passed and that are not over, longest past first."""
        return await self._database.read(store.due, now_s)

    async def counts(self) -> dict[EventState, int]:
        """How many events are in each state."""
        return await self._database.read(store.count_by_state)

    # Stream keys

    async def issue_key(self, event_id: str) -> str | None:
        """The event's first stream key, told this once; None when one was issued before. Raises
        NoSuchEvent, EventOver."""
        return await self._new_key(event_id, rotate=False)

    async def rotate_key(self, event_id: str) -> str:
        """A new stream key in place of any other. Raises NoSuchEvent, EventOver."""
        key = await self._new_key(event_id, rotate=True)
        assert key is not None
        return key

    async def withdraw_key(self, key: str) -> None:
        """Revoke a key that could not be delivered. A key that is no longer valid is not an
        error."""
        event_id = key.partition(".")[0]
        await self._database.write(store.drop_key, event_id, rules.key_hash(key))

    async def key_hashes(self, event_id: str) -> tuple[str, ...]:
        """Hashes (SHA-256, hex) of the keys that open the event's ingest; none is no key yet."""
        if not rules.is_name(event_id):
            return ()
        found = await self._database.read(store.key_hash, event_id)
        return self._opening(event_id, found)

    def _opening(self, event_id: str, found: str | None) -> tuple[str, ...]:
        own = () if self._own_key_of is None else (rules.key_hash(self._own_key_of(event_id)),)
        return (found, *own) if found else own

    async def _new_key(self, event_id: str, *, rotate: bool) -> str | None:
        if not rules.is_name(event_id):
            raise NoSuchEvent
        key = rules.new_stream_key(event_id)
        at_s = self._clock.now_s()

        def put(unit: Unit) -> str | None:
            event = store.event(unit.connection, event_id, for_update=True)
            if event.is_over:
                raise EventOver
            if not rotate and store.key_hash(unit.connection, event_id):
                return None
            store.put_key(unit.connection, event_id, rules.key_hash(key), at_s)
            event_units.journal(unit, "key", event)
            return key

        return await self._write(put)


def _with_memberships(connection: Connection, username: str) -> User:
    user = store.user(connection, username)
    return replace(user, memberships=members_of(connection, username))


def _journal_provider(unit: Unit, what: str, provider: Provider) -> None:
    body = {"what": what, "name": provider.name, "access_node": provider.access_node}
    unit.journal("provider", provider.id, body)
