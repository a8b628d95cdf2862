"""Subscribers that answer, fail, hang and go; and the functions that they hear of."""

import asyncio
import json
from pathlib import Path

from support.notices import HOOK, LINKS, OTHER, PATIENCE, Here, ended, here
from support.virtual import scenario, until
from support.world import world
from umbel.network import events
from umbel.notify import signing
from umbel.notify.model import Kind, Place, SubscriberState
from umbel.notify.ports import Answer


@scenario
async def test_events_arrive_in_order_signed_and_numbered(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        _, secret = await it.notifier.register(HOOK, LINKS)
        it.happen(30)
        it.happen(1, Kind.SWITCH_UP)  # nobody asked
        it.happen(1, Kind.LINK_UP)
        await it.until_taken(31, within_s=5)
        bodies = it.bodies()
        assert it.sequences() == list(range(1, 32))
        assert [body["body"]["number"] for body in bodies] == [*range(30), 31]
        assert [body["kind"] for body in bodies] == ["link_down"] * 30 + ["link_up"]
        assert [body["id"] for body in bodies] == sorted({body["id"] for body in bodies})
        for posted in it.posts():
            header = posted.headers["Umbel-Signature"]
            signing.verify(secret, header, posted.body, now_s=it.clock.now_s())


@scenario
async def test_one_that_fails_is_tried_again_and_loses_nothing(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        subscriber, secret = await it.notifier.register(HOOK, LINKS)
        it.courier.answer(HOOK, 500, None, 302)
        it.happen(3)
        took_s = await it.until_taken(3)
        assert 0.5 + 1 + 2 <= took_s <= 1 + 2 + 4 + 1
        assert it.sequences() == [1, 2, 3]
        progress = (await it.standing(subscriber.id)).progress
        assert (progress.state, progress.failures, progress.delivered) == ("active", 0, 3)
        assert progress.last_error == "answered 302: redirects are not followed"
        # Each try is signed anew: a receiver may refuse what is old.
        header = it.posts()[0].headers["Umbel-Signature"]
        at = signing.verify(secret, header, it.posts()[0].body, now_s=it.clock.now_s())
        assert it.clock.now_s() - at <= 2


@scenario
async def test_one_that_hangs_keeps_no_other_waiting(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        slow, _ = await it.notifier.register(HOOK, LINKS)
        await it.notifier.register(OTHER, LINKS)
        it.courier.hang(HOOK)
        it.happen(4)
        assert await it.until_taken(4, OTHER) < 1
        await it.until_state(slow.id, SubscriberState.FAILING)
        assert (await it.standing(slow.id)).progress.last_error == "no answer within 5 s"
        it.courier.hang(HOOK, hangs=False)
        await it.until_taken(4)
        assert it.sequences() == it.sequences(OTHER) == [1, 2, 3, 4]


@scenario
async def test_a_full_queue_drops_its_oldest_and_the_receiver_sees_a_gap(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        subscriber, _ = await it.notifier.register(HOOK, LINKS)
        it.courier.hang(HOOK)
        it.happen(1)
        await until(lambda: tried(it, 1), within_s=5, why="one is under way")
        it.happen(46)

        async def overflowed() -> bool:
            return (await it.standing(subscriber.id)).progress.dropped == 6

        await until(overflowed, within_s=5, why="6 of 47 are dropped")
        standing = await it.notifier.subscriber(subscriber.id)
        assert standing.waiting == 1 + PATIENCE.most_waiting
        it.courier.hang(HOOK, hangs=False)
        await it.until_taken(41)
        assert it.sequences() == [1, *range(8, 48)]


@scenario
async def test_given_up_then_brought_back_by_a_ping(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        subscriber, secret = await it.notifier.register(HOOK, LINKS)
        it.courier.always(HOOK, 503)
        it.happen(2)
        await it.until_state(subscriber.id, SubscriberState.DEAD)
        tried = it.courier.tried
        it.happen(1)
        await asyncio.sleep(1000)
        assert it.courier.tried == tried == PATIENCE.most_failures
        pinged = await it.notifier.ping(subscriber.id)
        assert pinged.error == "answered 503"
        assert (await it.standing(subscriber.id)).progress.state is SubscriberState.DEAD
        it.courier.always(HOOK, 200)
        assert (await it.notifier.ping(subscriber.id)).error == ""
        assert await it.until_taken(1 + 3) < 2
        assert it.sequences() == [0, 1, 2, 3]
        ping = it.posts()[0]
        assert (it.bodies()[0]["kind"], it.bodies()[0]["subject"]) == ("ping", subscriber.id)
        header = ping.headers["Umbel-Signature"]
        signing.verify(secret, header, ping.body, now_s=it.clock.now_s())


@scenario
async def test_410_is_the_end_at_once(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        subscriber, _ = await it.notifier.register(HOOK, LINKS)
        it.courier.answer(HOOK, 410)
        it.happen()
        assert await it.until_state(subscriber.id, SubscriberState.DEAD) < 1


@scenario
async def test_a_ping_ends_the_waiting_of_one_that_fails(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        subscriber, _ = await it.notifier.register(HOOK, LINKS)
        it.courier.answer(HOOK, Answer(status=503, retry_after_s=25.0))
        it.happen()
        await it.until_state(subscriber.id, SubscriberState.FAILING)
        await it.notifier.ping(subscriber.id)
        assert await it.until_taken(2) < 1


@scenario
async def test_retry_after_is_heeded(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        await it.notifier.register(HOOK, LINKS)
        it.courier.answer(HOOK, Answer(status=429, retry_after_s=25.0))
        it.happen()
        assert 25 <= await it.until_taken(1) < 27


@scenario
async def test_one_removed_gets_nothing_more(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        subscriber, _ = await it.notifier.register(HOOK, LINKS)
        it.courier.always(HOOK, 500)
        it.happen()
        await it.until_state(subscriber.id, SubscriberState.FAILING)
        await it.notifier.remove(subscriber.id)
        tried = it.courier.tried
        await asyncio.sleep(100)
        assert it.courier.tried == tried
        assert await it.notifier.subscribers() == []


@scenario
async def test_functions_are_told_once_also_over_a_restart(tmp_path: Path) -> None:
    it = Here(folder=tmp_path)
    await it.start()
    await it.notifier.register(HOOK, (Kind.FUNCTION_APPEARED, Kind.FUNCTION_LEFT))
    edge, forwarder = Place(node="pe1", role="edge"), Place(node="c1", role="forwarder")
    it.notifier.observe({"edge-pe1-1": edge})
    it.notifier.observe({"edge-pe1-1": edge, "forwarder-c1-1": forwarder})
    await it.until_taken(2)
    await it.stop()
    await it.start()
    it.notifier.observe({"edge-pe1-1": edge})
    await it.until_taken(3)
    it.notifier.observe({"edge-pe1-1": edge})
    await asyncio.sleep(30)
    assert [(b["kind"], b["subject"], b["body"]["function"]) for b in it.bodies()] == [
        ("function_appeared", "pe1", "edge-pe1-1"),
        ("function_appeared", "c1", "forwarder-c1-1"),
        ("function_left", "c1", "forwarder-c1-1"),
    ]
    told = it.bodies()[0]
    assert told["body"] == events.body(
        events.FunctionAppeared(node="pe1", function="edge-pe1-1", role="edge")
    )
    await it.stop()


@scenario
async def test_functions_are_told_once_by_instances_that_take_turns(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        await it.notifier.register(HOOK, (Kind.FUNCTION_APPEARED, Kind.FUNCTION_LEFT))
        second, task = it.instance("cp_2")
        edge = {"edge-pe1-1": Place(node="pe1", role="edge")}
        for looking, seen in (
            (it.notifier, edge),
            (second, edge),
            (second, {}),
            (it.notifier, edge),
        ):
            await asyncio.sleep(20)
            looking.observe(seen)
        await it.until_taken(3)
        assert [b["kind"] for b in it.bodies()] == [
            "function_appeared",
            "function_left",
            "function_appeared",
        ]
        await ended(task)


@scenario
async def test_the_platform_tells_of_its_functions(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        task = asyncio.create_task(made.system.notifier.run())
        await made.system.notifier.register(HOOK, (Kind.FUNCTION_APPEARED, Kind.FUNCTION_LEFT))

        def told() -> list[tuple[object, object]]:
            bodies = [json.loads(posted.body) for posted in made.courier.taken]
            return [(body["kind"], body["body"]["function"]) for body in bodies]

        async def until_told(*wanted: tuple[str, str]) -> None:
            async def holds() -> bool:
                return told() == list(wanted)

            await until(holds, within_s=30, why=f"{wanted}, not {told()}")

        event = await made.live("pe1")
        (root,) = made.states()
        await until_told(("function_appeared", root))
        await made.kill(root)
        await until_told(
            ("function_appeared", root), ("function_left", root), ("function_appeared", root)
        )
        assert event
        await ended(task)


async def tried(it: Here, count: int) -> bool:
    return it.courier.tried == count
