"""What is stored of notifications: crashes, restarts, a database away, several instances."""

import asyncio
from pathlib import Path

from support.notices import HOOK, LINKS, OTHER, Here, ended, here
from support.virtual import scenario, until
from umbel.kit.sealing import Sealer
from umbel.notify import signing
from umbel.notify.model import Kind, Notice, SubscriberState
from umbel.notify.service import Bounds
from umbel.notify.store import NotifyStore


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
async def test_a_secret_of_another_master_key_is_told(tmp_path: Path) -> None:
    it = Here(folder=tmp_path)
    await it.start()
    subscriber, _ = await it.notifier.register(HOOK, LINKS)
    await it.stop()
    await it.start()
    it.notifier.sealer = Sealer(b"another", "notices")
    await it.until_state(subscriber.id, SubscriberState.DEAD)
    assert "another master key" in (await it.standing(subscriber.id)).progress.last_error
    await it.stop()


async def stored(it: Here, count: int) -> bool:
    return len(await NotifyStore(it.database).since(0, 1000)) == count
