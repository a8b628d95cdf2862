"""The notification service on virtual time: order, retries, bounds, restarts, many instances."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from support.virtual import PatientDatabase, scenario, until
from support.world import world
from umbel import migrations
from umbel.kit.clock import LoopClock
from umbel.kit.db import DatabaseUnavailable
from umbel.kit.journal import Journal
from umbel.network import events
from umbel.notify import signing
from umbel.notify.drivers.fake import FakeCourier, Posted
from umbel.notify.model import Kind, Notice, Place, Subscriber, SubscriberState
from umbel.notify.ports import Answer
from umbel.notify.rules import Patience
from umbel.notify.sealing import Sealer
from umbel.notify.service import Bounds, Notifier
from umbel.notify.store import NotifyStore

HOOK, OTHER = "http://one.example/hook", "http://two.example/hook"
LINKS = (Kind.LINK_UP, Kind.LINK_DOWN)
PATIENCE = Patience(
    post_s=5.0,
    first_wait_s=1.0,
    longest_wait_s=30.0,
    most_failures=6,
    longest_s=300.0,
    most_waiting=40,
)


class Outage(PatientDatabase):
    """A database that can be away."""

    away = False

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        if self.away:
            raise DatabaseUnavailable
        async with super().write() as connection:
            yield connection


@dataclass(kw_only=True)
class Here:
    """Receivers and a database; `start` and `crash` an instance over them."""

    folder: Path
    courier: FakeCourier = field(default_factory=FakeCourier)
    clock: LoopClock = field(default_factory=LoopClock)
    bounds: Bounds = field(default_factory=Bounds)
    numbers: itertools.count = field(default_factory=itertools.count)

    async def start(self) -> Notifier:
        self.database = Outage(f"sqlite+aiosqlite:///{self.folder / 'umbel.db'}")
        await migrations.upgrade(self.database)
        self.notifier, self.task = self.instance("cp_1")
        return self.notifier

    def instance(self, owner: str) -> tuple[Notifier, "asyncio.Task[None]"]:
        made = Notifier(
            store=NotifyStore(self.database),
            journal=Journal(self.database),
            courier=self.courier,
            sealer=Sealer(b"master"),
            clock=self.clock,
            owner=owner,
            patience=PATIENCE,
            bounds=self.bounds,
        )
        return made, asyncio.create_task(made.run())

    async def stop(self) -> None:
        await ended(self.task)
        await self.database.close()

    async def crash(self) -> None:
        """As by kill -9: nothing is saved any more."""
        self.database.away = True
        await self.stop()

    def happen(self, count: int = 1, kind: Kind = Kind.LINK_DOWN) -> None:
        for _ in range(count):
            self.notifier.publish(kind, "a-b", {"number": next(self.numbers)})

    async def until_taken(self, count: int, url: str = HOOK, within_s: float = 120.0) -> float:
        async def holds() -> bool:
            return len(self.bodies(url)) >= count

        return await until(holds, within_s=within_s, why=f"{count} taken")

    async def until_state(self, id_: str, state: SubscriberState, within_s: float = 600.0) -> float:
        async def holds() -> bool:
            return (await self.standing(id_)).progress.state is state

        return await until(holds, within_s=within_s, why=f"{id_} is {state}")

    async def standing(self, id_: str) -> Subscriber:
        return (await self.notifier.subscriber(id_)).subscriber

    def bodies(self, url: str = HOOK) -> list[dict[str, object]]:
        return [json.loads(posted.body) for posted in self.posts(url)]

    def posts(self, url: str = HOOK) -> list[Posted]:
        return [posted for posted in self.courier.taken if posted.url == url]

    def sequences(self, url: str = HOOK) -> list[object]:
        return [body["sequence"] for body in self.bodies(url)]


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def here(folder: Path, **bounds: float) -> AsyncIterator[Here]:
    made = Here(folder=folder, bounds=Bounds(**bounds))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


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
async def test_what_was_not_delivered_outlives_a_crash(tmp_path: Path) -> None:
    it = Here(folder=tmp_path)
    await it.start()
    subscriber, secret = await it.notifier.register(HOOK, LINKS)
    it.happen(2)
    await it.until_taken(2)
    it.courier.hang(HOOK)
    it.happen(3)
    await until(lambda: stored(it, 5), within_s=5, why="5 are stored")
    await it.crash()
    it.courier.hang(HOOK, hangs=False)
    await it.start()
    it.happen(1)
    await it.until_taken(6)
    # At least once: what was taken shortly before the crash may come again, under its number.
    assert list(dict.fromkeys(it.sequences())) == [1, 2, 3, 4, 5, 6]
    assert [b["body"]["number"] for b in it.bodies()[-4:]] == [2, 3, 4, 5]
    header, body = it.posts()[-1].headers["Umbel-Signature"], it.posts()[-1].body
    signing.verify(secret, header, body, now_s=it.clock.now_s())
    assert (await it.standing(subscriber.id)).progress.dropped == 0
    await it.stop()


@scenario
async def test_a_restart_with_more_than_a_queue_holds_leaves_a_gap(tmp_path: Path) -> None:
    it = Here(folder=tmp_path)
    await it.start()
    subscriber, _ = await it.notifier.register(HOOK, LINKS)
    it.courier.hang(HOOK)
    it.happen(60)
    await until(lambda: stored(it, 60), within_s=5, why="60 are stored")
    await it.crash()
    it.courier.hang(HOOK, hangs=False)
    await it.start()
    await it.until_taken(40)
    assert it.sequences() == list(range(21, 61))
    assert (await it.standing(subscriber.id)).progress.dropped == 20
    await it.stop()


@scenario
async def test_what_happened_before_the_registration_is_not_told(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        await it.notifier.register(OTHER, LINKS)
        await asyncio.sleep(2)
        old = Notice(at_s=1.0, kind=Kind.LINK_DOWN, subject="a-b")
        await NotifyStore(it.database).append([old] * 3)  # by another instance, a moment ago
        await it.notifier.register(HOOK, LINKS)
        it.happen(1)
        await it.until_taken(4, OTHER)
        await it.until_taken(1)
        assert it.sequences() == [1]


@scenario
async def test_a_clean_restart_repeats_nothing(tmp_path: Path) -> None:
    it = Here(folder=tmp_path)
    await it.start()
    await it.notifier.register(HOOK, LINKS)
    it.happen(4)
    await it.until_taken(4)
    await it.stop()
    await it.start()
    it.happen(1)
    await it.until_taken(5)
    assert it.sequences() == [1, 2, 3, 4, 5]
    await it.stop()


@scenario
async def test_a_dead_one_stays_dead_over_a_restart(tmp_path: Path) -> None:
    it = Here(folder=tmp_path)
    await it.start()
    subscriber, _ = await it.notifier.register(HOOK, LINKS)
    it.courier.answer(HOOK, 410)
    it.happen()
    await it.until_state(subscriber.id, SubscriberState.DEAD)
    await it.stop()
    await it.start()
    it.happen()
    await asyncio.sleep(100)
    assert it.courier.tried == 1
    assert (await it.standing(subscriber.id)).progress.last_error == "answered 410"
    await it.stop()


@scenario
async def test_the_database_away_delays_and_then_loses_the_oldest(tmp_path: Path) -> None:
    async with here(tmp_path, most_unwritten=3, batch=2) as it:
        await it.notifier.register(HOOK, LINKS)
        it.happen(1)
        await it.until_taken(1)
        it.database.away = True
        it.happen(7)
        await asyncio.sleep(10)
        it.happen(1)
        it.database.away = False
        await it.until_taken(2)
        await asyncio.sleep(10)
        numbers = [body["body"]["number"] for body in it.bodies()]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == 8
        # Six were sent; who counts sees that the rest is missing.
        assert it.sequences()[-1] == 9


@scenario
async def test_rows_are_bounded(tmp_path: Path) -> None:
    async with here(tmp_path, keep=20) as it:
        await it.notifier.register(HOOK, LINKS)
        for _ in range(30):
            it.happen(5)
            await asyncio.sleep(0.5)
        await it.until_taken(150)
        assert len(await NotifyStore(it.database).since(0, 1000)) <= 22
        assert it.sequences() == list(range(1, 151))


@scenario
async def test_one_that_wants_little_does_not_miss_what_it_never_wanted(tmp_path: Path) -> None:
    it = Here(folder=tmp_path, bounds=Bounds(keep=20))
    await it.start()
    subscriber, _ = await it.notifier.register(HOOK, [Kind.SWITCH_UP])
    for _ in range(30):
        it.happen(5)
        await asyncio.sleep(0.5)
    await it.stop()
    await it.start()
    it.happen(1, Kind.SWITCH_UP)
    await it.until_taken(1)
    assert it.sequences() == [1]
    assert (await it.standing(subscriber.id)).progress.dropped == 0
    await it.stop()


@scenario
async def test_another_instance_takes_over_and_nothing_is_sent_by_two(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        await it.notifier.register(HOOK, LINKS)
        second, task = it.instance("cp_2")
        it.happen(3)
        for number in range(3, 6):
            second.publish(Kind.LINK_DOWN, "a-b", {"number": number})
        await it.until_taken(6)
        await ended(it.task)
        second.publish(Kind.LINK_DOWN, "a-b", {"number": 6})
        await it.until_taken(7)
        assert it.sequences() == [1, 2, 3, 4, 5, 6, 7]
        assert it.bodies()[-1]["body"]["number"] == 6
        await ended(task)


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
async def test_a_secret_of_another_master_key_is_told(tmp_path: Path) -> None:
    it = Here(folder=tmp_path)
    await it.start()
    subscriber, _ = await it.notifier.register(HOOK, LINKS)
    await it.stop()
    await it.start()
    it.notifier.sealer = Sealer(b"another")
    await it.until_state(subscriber.id, SubscriberState.DEAD)
    assert "another master key" in (await it.standing(subscriber.id)).progress.last_error
    await it.stop()


@scenario
async def test_functions_are_told_once_also_over_a_restart(tmp_path: Path) -> None:
    it = Here(folder=tmp_path)
    await it.start()
    await it.notifier.register(HOOK, (Kind.FUNCTION_APPEARED, Kind.FUNCTION_LEFT))
    edge, forwarder = Place(node="pe1", role="edge"), Place(node="c1", role="forwarder")
    it.notifier.see({"edge-pe1-1": edge})
    it.notifier.see({"edge-pe1-1": edge, "forwarder-c1-1": forwarder})
    await it.until_taken(2)
    await it.stop()
    await it.start()
    it.notifier.see({"edge-pe1-1": edge})
    await it.until_taken(3)
    it.notifier.see({"edge-pe1-1": edge})
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
            looking.see(seen)
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


async def stored(it: Here, count: int) -> bool:
    return len(await NotifyStore(it.database).since(0, 1000)) == count


async def tried(it: Here, count: int) -> bool:
    return it.courier.tried == count
