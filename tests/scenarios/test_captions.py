"""Captions of live events: read of acquirers by one instance, kept once, whatever is lost."""

import asyncio
from pathlib import Path

from support.virtual import scenario
from support.waiting import until
from support.world import World, world
from umbel.catalogue.captions.model import Caption
from umbel.catalogue.model import EventEvent


async def kept(w: World, event: str) -> list[Caption]:
    return await w.system.catalogue.captions.after(event, 0)


def edge(w: World) -> str:
    return next(name for name in w.states() if name.startswith("edge"))


def acquirer(w: World) -> str:
    return next(name for name in w.states() if name.startswith("acquirer"))


@scenario
async def test_what_is_said_is_kept_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event, other = await w.live(), await w.live("pe3")
        function = acquirer(w)
        w.media.say(function, event, "Before anybody asked.", 1.0, 2.0)
        await asyncio.sleep(5)
        assert await kept(w, event) == []
        await w.system.catalogue.captions.set_policy(event, "en-US")
        await asyncio.sleep(3)
        for number in range(100):
            w.media.say(function, event, f"Line {number}", 10.0 + number, 11.0 + number)
        await asyncio.sleep(5)
        texts = [one.text for one in await kept(w, event)]
        assert texts == ["Before anybody asked.", *(f"Line {n}" for n in range(100))]
        assert await kept(w, other) == []
        await w.system.catalogue.captions.set_policy(event, None)
        await asyncio.sleep(3)
        w.media.say(function, event, "Nobody asks any more.", 200.0, 201.0)
        await asyncio.sleep(5)
        assert len(await kept(w, event)) == 101


@scenario
async def test_a_control_plane_that_dies_loses_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await w.system.catalogue.captions.set_policy(event, "en")
        w.media.say(acquirer(w), event, "One", 1.0, 2.0)
        await asyncio.sleep(5)
        await w.crash()
        w.media.say(acquirer(w), event, "Two", 3.0, 4.0)
        await asyncio.sleep(60)
        await w.start()
        await asyncio.sleep(60)
        assert [one.text for one in await kept(w, event)] == ["One", "Two"]


@scenario
async def test_an_acquirer_that_does_not_answer_is_told_of_until_it_does(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        captions = w.system.catalogue.captions
        await captions.set_policy(event, "en")
        w.media.cut(acquirer(w))

        async def is_told() -> bool:
            policy = await captions.policy(event)
            return policy is not None and "does not answer" in policy.problem

        await until(is_told, within_s=10)
        w.media.mend(acquirer(w))
        w.media.say(acquirer(w), event, "Back", 1.0, 2.0)
        await asyncio.sleep(30)
        policy = await captions.policy(event)
        assert policy is not None
        assert policy.problem == ""
        assert [one.text for one in await kept(w, event)] == ["Back"]
        await w.system.catalogue.transition(event, EventEvent.END)
        await asyncio.sleep(10)
        assert await captions.live() == []


@scenario
async def test_edges_get_what_was_said_while_somebody_watches_over_hls(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await w.system.catalogue.captions.set_policy(event, "en-US")
        for number in range(80):
            w.media.say(acquirer(w), event, f"Line {number}", 2.0 * number, 2.0 * number + 1)
        ticket = await w.system.delivery.open_session(event, "pe2")
        function = edge(w)
        w.media.set_viewers(function, event, [ticket.session.id])
        await asyncio.sleep(10)
        assert w.media.captions(function, event) is None
        w.media.set_hls_viewers(function, event, [ticket.session.id])
        await asyncio.sleep(5)
        given = w.media.captions(function, event)
        assert given is not None
        assert given.language == "en-US"
        # Of the last minute: edges have no pictures of before.
        assert [one.text for one in given.cues] == [f"Line {n}" for n in range(50, 80)]
        assert (given.cues[-1].start_s, given.cues[-1].end_s) == (158.0, 159.0)
        w.media.lose(function)
        await asyncio.sleep(10)
        w.media.set_viewers(function, event, [ticket.session.id])
        w.media.set_hls_viewers(function, event, [ticket.session.id])
        w.media.say(acquirer(w), event, "Again", 170.0, 171.0)
        await asyncio.sleep(5)
        given = w.media.captions(function, event)
        assert given is not None
        assert given.cues[-1].text == "Again"


@scenario
async def test_an_edge_that_does_not_answer_keeps_captions_from_nobody(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        event = await w.live()
        await w.system.catalogue.captions.set_policy(event, "en")
        ticket = await w.system.delivery.open_session(event, "pe2")
        function = edge(w)
        w.media.set_viewers(function, event, [ticket.session.id])
        w.media.set_hls_viewers(function, event, [ticket.session.id])
        await asyncio.sleep(5)
        w.media.cut(function)
        w.media.say(acquirer(w), event, "One", 1.0, 2.0)
        await asyncio.sleep(5)
        assert [one.text for one in await kept(w, event)] == ["One"]
        w.media.mend(function)
        w.media.say(acquirer(w), event, "Two", 3.0, 4.0)
        await asyncio.sleep(5)
        given = w.media.captions(function, event)
        assert given is not None
        assert [one.text for one in given.cues] == ["One", "Two"]
