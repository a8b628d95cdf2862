"""Captions with real workers: what is said, when it was said, and workers that are lost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support import waiting
from support.speech import echo_command, go_forward, opus, rtp
from umbel.kit.clock import SystemClock
from umbel.media.model import CueBatch
from umbel.media.server.elements.captions import IDLE_S, LiveCaptions
from umbel.media.server.elements.fan import Fan
from umbel.media.speech.model import Engine, SpeechUnavailable
from umbel.media.workers import captioner
from umbel.media.workers.pool import WorkerPool

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]
CLOCK = SystemClock()
PACKET_S = 0.02


@asynccontextmanager
async def captions(engine: Engine) -> AsyncIterator[tuple[Fan, LiveCaptions]]:
    workers, fan = WorkerPool(CLOCK), Fan()
    made = LiveCaptions("evt_1", fan, engine, workers)
    try:
        yield fan, made
    finally:
        await made.close()
        await workers.close()


def read(of: LiveCaptions, boot: str = "", after: int = 0) -> CueBatch:
    return of.read("en-US", boot, after, CLOCK.monotonic_s())


async def until(is_so: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return is_so()

    await waiting.until(ask, within_s=60)


async def play(fan: Fan, packets: list[bytes]) -> float:
    """Twice as fast as it was said; answers when it began by the calendar."""
    began_s, wall_s = CLOCK.monotonic_s(), CLOCK.now_s()
    for number, packet in enumerate(packets):
        fan.packets([packet], began_s + number * PACKET_S)
        while CLOCK.monotonic_s() < began_s + number * PACKET_S / 2:
            await asyncio.sleep(PACKET_S / 4)
    return wall_s


def words(batch: CueBatch) -> set[str]:
    return set(" ".join(cue.text for cue in batch.cues).split())


async def ready(of: LiveCaptions) -> None:
    read(of)
    await until(lambda: of.worker_pid != 0)


async def test_what_is_said_is_read_with_its_time() -> None:
    async with captions(Engine(name="pocketsphinx")) as (fan, made):
        await ready(made)
        began_s = await play(fan, rtp(opus(go_forward(silence_s=2.0))))
        await until(lambda: {"forward", "ten"} <= words(read(made)))
        batch = read(made)
        assert 0.2 < batch.cues[0].start_s - began_s < 1.5
        assert 1.0 < batch.cues[-1].end_s - began_s < 4.0
        assert (batch.problem, batch.dropped_s) == ("", 0)
        assert read(made, batch.boot, batch.cues[-1].number).cues == ()
        assert read(made, "another", 100).cues == batch.cues


async def test_a_worker_that_died_is_replaced_and_numbers_go_on() -> None:
    async with captions(Engine(name="fake")) as (fan, made):
        await ready(made)
        packets = rtp(opus(go_forward(silence_s=2.0)))
        await play(fan, packets)
        await until(lambda: bool(read(made).cues))
        before, pid = read(made), made.worker_pid
        os.kill(pid, signal.SIGKILL)
        await until(lambda: made.worker_pid not in {0, pid})
        await play(fan, rtp(opus(go_forward(silence_s=2.0)), ssrc=8))
        await until(lambda: len(read(made).cues) > len(before.cues))
        after = read(made, before.boot, before.cues[-1].number)
        assert after.boot == before.boot
        assert after.cues[0].number == before.cues[-1].number + 1


async def test_a_program_recognises() -> None:
    async with captions(Engine(name="command", command=echo_command())) as (fan, made):
        await ready(made)
        await play(fan, rtp(opus(go_forward(silence_s=2.0))))
        await until(lambda: bool(read(made).cues))
        assert read(made).cues[0].text == "line 1 in en-US"


async def test_an_engine_that_stands_still_loses_sound_and_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(captioner, "STALLED_S", 1.0)
    async with captions(Engine(name="command", command="sleep 600")) as (fan, made):
        await ready(made)
        pid = made.worker_pid
        silent = bytes([0xFC]) + bytes(1200)  # the packets are larger than the sound needs
        packets = iter(rtp(silent for _ in range(60_000)))

        def feed() -> CueBatch:
            for _ in range(10):
                fan.packets([next(packets)], CLOCK.monotonic_s())
            return read(made)

        await until(lambda: feed().dropped_s > 0)
        assert "slower" in read(made).problem
        await until(lambda: bool(feed()) and made.worker_pid != pid)
        await until(lambda: not Path(f"/proc/{pid}").exists())


async def test_a_program_ends_with_its_worker(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    command = f"sh -c 'echo $$ > {noted}; exec sleep 600'"
    async with captions(Engine(name="command", command=command)) as (_, made):
        await ready(made)
        await until(lambda: noted.exists() and noted.read_text().strip() != "")
        pid = int(noted.read_text())
        assert Path(f"/proc/{pid}").exists()
        os.kill(made.worker_pid, signal.SIGKILL)
        await until(lambda: not Path(f"/proc/{pid}").exists())


async def test_an_engine_that_cannot_work_is_told_of() -> None:
    async with captions(Engine(name="command", command="/nowhere/at/all")) as (_, made):
        await until(lambda: "does not start" in read(made).problem)
    async with captions(Engine()) as (_, made):
        with pytest.raises(SpeechUnavailable):
            read(made)


async def test_nobody_reads_nothing_is_recognised() -> None:
    async with captions(Engine(name="fake")) as (_, made):
        await ready(made)
        pid = made.worker_pid
        made.tick(CLOCK.monotonic_s() + IDLE_S / 2)
        assert made.worker_pid == pid
        made.tick(CLOCK.monotonic_s() + IDLE_S + 1)
        assert made.worker_pid == 0
        await until(lambda: not Path(f"/proc/{pid}").exists())
