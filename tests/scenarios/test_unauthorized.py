"""An event is closed to those who watch it: their sessions end, and edges refuse them."""

from pathlib import Path

from support.virtual import scenario, until
from support.world import World, world
from umbel.catalogue.model import EventPatch, UserRole, Visibility
from umbel.catalogue.visibility.model import WatchRight
from umbel.delivery.model import Ticket

PASSWORD = "correct horse battery"
WITHIN_S = 8.0
"""A look every 5 s, and one of the loop."""


async def seen(w: World, ticket: Ticket) -> bool:
    """Whether the edge has the viewer, as the edge itself has it."""
    state = (await w.carried(ticket.session.function))[ticket.session.stream]
    return ticket.session.id in state.viewers


async def until_refused(w: World, ticket: Ticket, within_s: float = WITHIN_S) -> float:
    async def holds() -> bool:
        return not await seen(w, ticket)

    return await until(holds, within_s=within_s, why="the viewer was refused")


async def watch(w: World, event: str, username: str, quality: str = "source") -> Ticket:
    right = WatchRight(username=username)
    ticket = await w.delivery.open_session(event, "pe2", quality, right)
    await w.connect(ticket)
    return ticket


async def invite_only(w: World, event: str) -> None:
    now = await w.system.catalogue.event(event)
    patch = EventPatch(visibility=Visibility.INVITED)
    await w.system.catalogue.change_event(event, now.version, patch)


@scenario
async def test_viewers_go_when_the_event_is_closed_to_them(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for name in ("ann", "bob"):
            await w.system.catalogue.add_user(name, PASSWORD, UserRole.VIEWER)
        event = await w.live()
        stranger = await watch(w, event, "")
        assert await seen(w, stranger)
        await invite_only(w, event)
        assert await until_refused(w, stranger) < 3, "a changed event is looked at at once"
        await w.system.catalogue.audiences.invite(event, ["ann", "bob"])
        ann, bob = [await watch(w, event, name) for name in ("ann", "bob")]
        smaller = await watch(w, event, "bob", "360p")
        await w.system.catalogue.audiences.invite(event, ["ann"])
        for ticket in (bob, smaller):
            await until_refused(w, ticket)
        assert await seen(w, ann)
        assert [one.id for one in await w.delivery.store.sessions()] == [ann.session.id]


@scenario
async def test_a_restarted_control_plane_shuts_out_as_well(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.system.catalogue.add_user("ann", PASSWORD, UserRole.VIEWER)
        event = await w.live()
        await invite_only(w, event)
        await w.system.catalogue.audiences.invite(event, ["ann"])
        ticket = await watch(w, event, "ann")
        await w.crash()
        await w.system.catalogue.audiences.invite(event, [])
        assert await seen(w, ticket)
        await w.start()
        await until_refused(w, ticket, within_s=60)
