"""Sessions end with what let their viewers in, the same on SQLite and on PostgreSQL."""

from itertools import product

import pytest

from support.clocks import SetClock
from support.passwords import SharedHashes
from umbel.catalogue.model import Event, EventDraft, EventPatch, UserRole, Visibility
from umbel.catalogue.service import Catalogue
from umbel.catalogue.visibility.model import Watcher, WatchRight
from umbel.catalogue.visibility.rules import OPEN_TO_ALL, watch_right
from umbel.delivery.model import Session
from umbel.delivery.store import DeliveryStore
from umbel.kit.db import Database
from umbel.kit.errors import UmbelError
from umbel.portal.auth import watcher_of, with_grant

PASSWORD = "correct horse battery"
PHRASE = "the old lighthouse"
NOW_S = 1_803_000_000.0


@pytest.fixture
async def catalogue(database: Database) -> Catalogue:
    made = Catalogue(database, SetClock(NOW_S), passwords=SharedHashes(PASSWORD))
    city = await made.ensure_provider("City", "pe1")
    club = await made.ensure_provider("Club", "pe2")
    for name in ("ann", "bob"):
        await made.add_user(name, PASSWORD, UserRole.VIEWER)
    await made.add_user("city", PASSWORD, UserRole.PROVIDER, city.id)
    await made.add_user("club", PASSWORD, UserRole.PROVIDER, club.id)
    await made.add_user("operator", PASSWORD, UserRole.OPERATOR)
    return made


@pytest.fixture
def store(database: Database) -> DeliveryStore:
    return DeliveryStore(database)


async def event(catalogue: Catalogue, visibility: Visibility) -> Event:
    provider = await catalogue.ensure_provider("City", "pe1")
    draft = EventDraft(
        provider_id=provider.id,
        title="Council",
        starts_s=NOW_S,
        ends_s=NOW_S + 3_600,
        visibility=visibility,
    )
    phrase = PHRASE if visibility is Visibility.PHRASE else None
    return await catalogue.add_event(draft, phrase)


async def opened(store: DeliveryStore, name: str, stream: str, right: WatchRight) -> None:
    session = Session(
        id=f"se_{name}",
        stream=stream,
        access_node="pe2",
        function="edge-pe2-1",
        edge_node="pe2",
        opened_s=NOW_S,
        seen_s=NOW_S,
        expires_s=NOW_S + 3600,
        username=right.username,
        phrase_generation=right.phrase_generation,
    )
    await store.open_session(session, None)


async def watcher(catalogue: Catalogue, name: str) -> Watcher:
    return watcher_of(await catalogue.user(name) if name else None)


async def unauthorized(store: DeliveryStore, stream: str, of: Event) -> set[str]:
    ended = await store.close_unauthorized(stream, of.id, at_s=NOW_S + 1)
    revoked = (await store.stream(stream, 0.0)).revoked
    assert {one.id for one in ended} <= {session for session, _ in revoked}
    return {one.id.removeprefix("se_") for one in ended}


async def test_who_is_invited_no_more_is_unauthorized(
    catalogue: Catalogue, store: DeliveryStore
) -> None:
    made = await event(catalogue, Visibility.INVITED)
    await catalogue.audiences.invite(made.id, ["ann", "bob"])
    stream = f"{made.id}.360"
    for name in ("ann", "bob", "city", "club", "operator"):
        await opened(store, name, stream, watch_right(made, await watcher(catalogue, name)))
    await opened(store, "nobody", stream, WatchRight())
    assert await unauthorized(store, stream, made) == {"club", "nobody"}
    await catalogue.audiences.invite(made.id, ["ann"])
    assert await unauthorized(store, stream, made) == {"bob"}
    assert await unauthorized(store, made.id, made) == set()
    await catalogue.remove_user("ann")
    assert await unauthorized(store, stream, made) == {"ann"}
    assert {one.id for one in await store.sessions()} == {"se_city", "se_operator"}


async def test_who_came_by_another_pass_phrase_is_unauthorized(
    catalogue: Catalogue, store: DeliveryStore
) -> None:
    made = await event(catalogue, Visibility.PHRASE)
    mark = await catalogue.audiences.unlock(made.id, PHRASE, Watcher(), "127.0.0.1")
    for name in ("", "ann", "city"):
        by = with_grant(await watcher(catalogue, name), made.id, mark)
        await opened(store, name or "nobody", made.id, watch_right(made, by))
    await opened(store, "bob", made.id, watch_right(made, await watcher(catalogue, "bob")))
    assert await unauthorized(store, made.id, made) == {"bob"}
    changed = await catalogue.change_event(
        made.id, made.version, EventPatch(), "another lighthouse"
    )
    assert await unauthorized(store, made.id, changed) == {"nobody", "ann"}


async def test_a_session_of_an_open_event_names_nobody(
    catalogue: Catalogue, store: DeliveryStore
) -> None:
    """And ends once the event is not for everybody, whoever has it: the player opens another."""
    made = await event(catalogue, Visibility.PUBLIC)
    right = watch_right(made, await watcher(catalogue, "ann"))
    assert right == WatchRight()
    await opened(store, "ann", made.id, right)
    changed = await catalogue.change_event(
        made.id, made.version, EventPatch(visibility=Visibility.INVITED)
    )
    await catalogue.audiences.invite(made.id, ["ann"])
    assert await unauthorized(store, made.id, changed) == {"ann"}


@pytest.mark.parametrize("before", Visibility)
async def test_the_database_ends_what_the_rule_refuses(
    catalogue: Catalogue, store: DeliveryStore, before: Visibility
) -> None:
    """Whatever the event was when its viewers came, and whatever it is when the loop looks: it may
    have been opened to all since the loop read it."""
    names = ("", "ann", "bob", "city", "club", "operator")
    for after in Visibility:
        made = await event(catalogue, before)
        if before is Visibility.INVITED:
            await catalogue.audiences.invite(made.id, ["ann"])
        generation = ""
        if before is Visibility.PHRASE:
            generation = await catalogue.audiences.unlock(made.id, PHRASE, Watcher(), "127.0.0.1")
        rights: dict[str, WatchRight] = {}
        for name, is_granted in product(names, (False, True)):
            by = await watcher(catalogue, name)
            by = with_grant(by, made.id, generation) if is_granted else by
            key = f"{made.id}-{name}-{is_granted}"
            rights[key] = watch_right(made, by)
            await opened(store, key, made.id, rights[key])
        phrase = PHRASE if after is Visibility.PHRASE is not before else None
        patch = EventPatch(visibility=after)
        changed = await catalogue.change_event(made.id, made.version, patch, phrase)
        if after is Visibility.INVITED:
            await catalogue.audiences.invite(made.id, ["ann"])
        refused = {k for k, right in rights.items() if await is_refused(catalogue, made, right)}
        assert await unauthorized(store, made.id, changed) == refused, after
        assert bool(refused) == (after not in OPEN_TO_ALL), after


async def is_refused(catalogue: Catalogue, event: Event, right: WatchRight) -> bool:
    """Whether the Python rule lets nobody in who came by that right."""
    by = with_grant(await watcher(catalogue, right.username), event.id, right.phrase_generation)
    try:
        await catalogue.audiences.event(event.id, by)
    except UmbelError:
        return True
    return False
