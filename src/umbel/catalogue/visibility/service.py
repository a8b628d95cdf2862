"""The only entry to who may watch which event: pass phrases, invitations, and the decision.

In: calls of the portal, with who asks. Out: events that they may see, or an error. Neighbours:
`rules.access` decides, `store` has the rows; events themselves are changed by the catalogue.
"""

from collections.abc import Sequence

from umbel.catalogue import rules as texts
from umbel.catalogue import store as catalogue
from umbel.catalogue.model import Event, NoSuchEvent, Visibility
from umbel.catalogue.passwords import Passwords
from umbel.catalogue.store import Unit
from umbel.catalogue.units import Units
from umbel.catalogue.visibility import rules, store
from umbel.catalogue.visibility.model import (
    MOST_INVITED,
    Access,
    NoPassPhrase,
    NotByInvitation,
    PassPhraseNeeded,
    Watcher,
    WrongPassPhrase,
)
from umbel.kit.clock import Clock
from umbel.kit.connections import source_of
from umbel.kit.db import Database
from umbel.kit.errors import UmbelError, Unprocessable
from umbel.kit.sql import Connection


class Audiences:
    """Who may watch."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._limits = rules.PhraseLimits()
        self._write = Units(database, clock).write

    async def event(self, event_id: str, by: Watcher) -> Event:
        """The event, if `by` may watch it. Raises NoSuchEvent, also where it is hidden from them,
        and PassPhraseNeeded."""
        event, access, _ = await self._asked(event_id, by)
        if access is Access.PHRASE:
            raise PassPhraseNeeded
        return event

    async def event_to_run(self, event_id: str, by: Watcher) -> Event:
        """The event, for somebody who means to change it and may or may not; NoSuchEvent where it
        is hidden from them."""
        event, _, _ = await self._asked(event_id, by)
        return event

    async def unlock(self, event_id: str, phrase: str, by: Watcher, address: str) -> str:
        """What names the event's pass phrase, for who knows it. Raises NoSuchEvent, NoPassPhrase,
        WrongPassPhrase, PassPhraseTooSoon, TooManySignIns."""
        event, _, kept = await self._asked(event_id, by)
        if event.visibility is not Visibility.PHRASE or kept is None:
            raise NoPassPhrase
        source = source_of(address)
        self._limits.admit(event_id, source, self._clock.monotonic_s())
        try:
            is_right = await self._is_right(phrase, kept[0], source)
        except UmbelError:
            self._limits.was_not_checked(event_id, source)
            raise
        if not is_right:
            raise WrongPassPhrase
        self._limits.was_right(event_id, source)
        return kept[1]

    async def hashed(self, phrase: str | None) -> str | None:
        """The hash of a pass phrase that a provider chose. Raises Unprocessable, TooManySignIns."""
        return None if phrase is None else await self._passwords.hash(rules.pass_phrase(phrase))

    async def invited(self, event_id: str) -> list[str]:
        """The invited accounts by name."""
        return await self._database.read(store.invited, event_id)

    async def invite(self, event_id: str, usernames: Sequence[str]) -> list[str]:
        """Invite these accounts and no others. Raises NoSuchEvent, NotByInvitation, Unprocessable
        for unknown names."""
        wanted = sorted(set(usernames))
        if len(wanted) > MOST_INVITED:
            raise _bad_names(f"at most {MOST_INVITED} accounts")

        def put(unit: Unit) -> list[str]:
            event = catalogue.event(unit.connection, event_id, for_update=True)
            if event.visibility is not Visibility.INVITED:
                raise NotByInvitation
            unknown = store.unknown(unit.connection, wanted)
            if unknown:
                raise _bad_names(f"no such accounts: {', '.join(unknown[:20])}")
            before = set(store.invited(unit.connection, event_id))
            store.withdraw(unit.connection, event_id, sorted(before - set(wanted)))
            store.invite(unit.connection, event_id, sorted(set(wanted) - before))
            return wanted

        return await self._write(put)

    async def _asked(
        self, event_id: str, by: Watcher
    ) -> tuple[Event, Access, tuple[str, str] | None]:
        """The event, what they get, and the stored phrase. Raises NoSuchEvent."""
        if not texts.is_name(event_id):
            raise NoSuchEvent
        event, access, phrase = await self._database.read(_look, event_id, by)
        if access is Access.HIDDEN:
            raise NoSuchEvent(event=event_id)
        return event, access, phrase

    async def _is_right(self, phrase: str, kept: str, source: str) -> bool:
        try:
            clean = rules.pass_phrase(phrase)
        except Unprocessable:
            return False  # no phrase is like that
        return await self._passwords.verify(clean, kept, source)


def _look(
    connection: Connection, event_id: str, by: Watcher
) -> tuple[Event, Access, tuple[str, str] | None]:
    event = catalogue.event(connection, event_id)
    phrase, is_invited = None, False
    if event.visibility is Visibility.PHRASE:
        phrase = store.phrase(connection, event_id)
    if event.visibility is Visibility.INVITED and by.username:
        is_invited = store.is_invited(connection, event_id, by.username)
    generation = "" if phrase is None else phrase[1]
    got = rules.access(event, by, phrase_generation=generation, is_invited=is_invited)
    return event, got, phrase


def settle(unit: Unit, event: Event, hashed: str | None) -> None:
    """Store the pass phrase of an event that was added or changed, and drop one that it must not
    have. Raises Unprocessable."""
    kept = store.phrase(unit.connection, event.id)
    rules.check_phrase(event.visibility, is_given=hashed is not None, is_kept=kept is not None)
    if hashed is not None:
        store.put_phrase(unit.connection, event.id, hashed, texts.new_generation())
    elif event.visibility is not Visibility.PHRASE:
        store.drop_phrase(unit.connection, event.id)


def _bad_names(message: str) -> Unprocessable:
    return Unprocessable(
        f"usernames: {message}", fields=[{"field": "usernames", "message": message}]
    )
