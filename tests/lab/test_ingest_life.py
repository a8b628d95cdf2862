import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from support import srt
from support.ingest_lab import (
    ADDRESS,
    DEADLINE_S,
    KEY,
    PLAIN_H264,
    RATE,
    TONE,
    Collector,
    Lab,
    alive,
    children,
    decode_video,
    digest,
    encode,
    encoder,
    end,
    lab,
    live,
    nals,
    offspring,
)
from umbel.media.ingest.keys import AlreadyPublishing, WrongStreamKey
from umbel.media.io.ingest_desk import IngestDesk
from umbel.media.model import WorkerLimits

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
WRONG = "ev_lab.wrong"
ENCODE = (*PLAIN_H264, "-c:a", "aac")


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as it:
        yield it


Push = Callable[..., tuple[str, ...]]


def to_rtmp(here: Lab, key: str = KEY) -> tuple[str, ...]:
    return (*live(*ENCODE), "-f", "flv", f"{here.urls['rtmp']}/{key}")


def to_srt(here: Lab, key: str = KEY) -> tuple[str, ...]:
    return (*live(*ENCODE), "-f", "mpegts", f"{here.urls['srt']}?streamid={key}")


def to_ts(here: Lab) -> tuple[str, ...]:
    return (*live(*ENCODE), "-f", "mpegts", f"udp://{here.urls['mpegts']}?pkt_size=1316")


def published(here: Lab, count: int) -> bool:
    return len(here.sink.ssrcs(96)) == count


def flowing(here: Lab, ssrc: int) -> bool:
    return len(here.sink.rtp(96, ssrc)) > RATE


def stopped(here: Lab, count: int) -> bool:
    return here.events.count("stopped") == count


def ended(process: asyncio.subprocess.Process) -> bool:
    return process.returncode is not None


def ended_or_seen(here: Lab, process: asyncio.subprocess.Process) -> bool:
    return ended(process) or here.sink.frames() > RATE


def workers(here: Lab) -> list[int]:
    """Process ids of media workers (the SRT listener came first)."""
    return children(os.getpid())[1:]


@pytest.mark.parametrize("way", [to_rtmp, to_srt])
async def test_wrong_key_is_refused(here: Lab, way: Push) -> None:
    assert await encode(*way(here, WRONG)) != 0
    assert "started" not in here.events
    assert here.events.count("refused") == 1
    assert here.desk.state("ev_lab").error.startswith("umbel.wrong_stream_key")
    with pytest.raises(WrongStreamKey):
        here.desk.check_key("ev_lab", WRONG)
    here.desk.check_key("ev_lab", KEY)


async def test_an_srt_caller_with_wrong_keys_keeps_no_encoder_out(here: Lab) -> None:
    listener = (ADDRESS, int(here.urls["srt"].rpartition(":")[2]))
    began_s = time.monotonic()

    def call_often(times: int) -> list[bool]:
        return [srt.call("127.0.0.2", listener, WRONG, DEADLINE_S) for _ in range(times)]

    assert not any(await asyncio.to_thread(call_often, 300))
    lasted_s = time.monotonic() - began_s
    # Ten at once, then one in two seconds: the others ask nobody.
    assert 1 <= here.events.count("refused") <= 11 + lasted_s / 2 < 300
    async with encoder(*to_srt(here)):
        calls = asyncio.create_task(asyncio.to_thread(call_often, 300))
        await here.until(lambda: here.sink.frames() > RATE, "video")
        assert not any(await calls)
        assert here.desk.state("ev_lab").protocol == "srt"


@pytest.mark.parametrize("first", [to_rtmp, to_srt, to_ts])
async def test_second_publisher_is_refused(here: Lab, first: Push) -> None:
    async with encoder(*first(here)):
        await here.until(lambda: here.sink.frames() > RATE, "video")
        protocol = here.desk.state("ev_lab").protocol
        assert await encode(*to_rtmp(here)) != 0
        assert await encode(*to_srt(here)) != 0
        with pytest.raises(AlreadyPublishing):
            here.desk.claim("ev_lab", "whip", key=KEY)
        seen = here.sink.frames()
        await here.until(lambda: here.sink.frames() > seen + RATE, "the first goes on")
        assert here.desk.state("ev_lab").protocol == protocol
        assert here.events.count("started") == 1
        assert len(here.sink.ssrcs(96)) == 1


async def test_udp_sender_is_latched(here: Lab) -> None:
    async with encoder(*to_ts(here)):
        await here.until(lambda: here.sink.frames() > RATE, "video")
        async with encoder(*to_ts(here)):
            await here.until(lambda: here.events.count("refused") == 1, "the second is noticed")
            seen = here.sink.frames()
            await here.until(lambda: here.sink.frames() > seen + 2 * RATE, "the first goes on")
        assert here.events.count("refused") == 1
    assert len(here.sink.ssrcs(96)) == 1


def sounding(here: Lab, count: int) -> bool:
    """Whether as many publications gave audio."""
    return len(here.sink.ssrcs(111)) == count


async def test_encoder_stops_and_returns_another_way(here: Lab) -> None:
    ways = ((to_rtmp, "rtmp"), (to_ts, "mpegts"), (to_srt, "srt"), (to_rtmp, "rtmp"))
    for count, (way, protocol) in enumerate(ways, start=1):
        async with encoder(*way(here)):
            await here.until(partial(published, here, count), "a new publication")
            ssrc = here.sink.ssrcs(96)[-1]
            await here.until(partial(flowing, here, ssrc), "its video")
            await here.until(partial(sounding, here, count), "its audio")
            assert here.desk.state("ev_lab").protocol == protocol
        await here.until(partial(stopped, here, count), "its end")
        assert here.desk.state("ev_lab").protocol == ""
        assert len(decode_video(nals(here.sink.rtp(96, ssrc)))) > 10


@pytest.mark.parametrize("way", [to_rtmp, to_srt, to_ts])
async def test_killed_worker_is_replaced(here: Lab, way: Push) -> None:
    async with encoder(*way(here)):
        await here.until(lambda: here.sink.frames() > RATE, "video")
        os.kill(workers(here)[0], signal.SIGKILL)
        await here.until(lambda: "worker_lost" in here.desk.state("ev_lab").error, "the report")
        await here.until(lambda: len(here.sink.ssrcs(96)) == 2, "a new source")
        ssrc = here.sink.ssrcs(96)[1]
        await here.until(lambda: len(here.sink.rtp(96, ssrc)) > RATE, "its video")
        assert len(decode_video(nals(here.sink.rtp(96, ssrc))[:-1])) > 10
        assert here.events.count("started") == 1
        assert here.desk.state("ev_lab").error == ""


async def test_worker_that_keeps_dying_ends_the_ingest(here: Lab) -> None:
    async with encoder(*to_rtmp(here)) as process:
        while "stopped" not in here.events:
            await here.until(lambda: workers(here) or "stopped" in here.events, "a worker")
            for pid in workers(here):
                end(pid)
        await here.until(lambda: process.returncode is not None, "the encoder is disconnected")
    assert here.desk.state("ev_lab").error.startswith("umbel.ingest_failed")


def h265(here: Lab) -> tuple[str, ...]:
    """Its size is known when it was decoded."""
    coding = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0:keyint=25")
    return (*live(*coding, "-c:a", "mp2"), "-f", "mpegts", f"udp://{here.urls['mpegts']}")


@pytest.mark.parametrize("way", [to_rtmp, to_srt, h265])
async def test_a_picture_over_the_limit_ends_the_ingest_and_says_why(
    tmp_path: Path, way: Push
) -> None:
    small = WorkerLimits(most_pixels=320 * 240 - 1)
    async with lab(tmp_path, small) as here, encoder(*way(here)):
        await here.until(lambda: "stopped" in here.events, "its end")
        error = here.desk.state("ev_lab").error
        assert error.startswith("umbel.picture_too_large: 320x240 has more than 76799 pixels")
        assert here.sink.frames() == 0


async def test_a_worker_that_wants_more_memory_is_lost_alone(tmp_path: Path) -> None:
    async with lab(tmp_path, WorkerLimits(memory_mb=1)) as here, encoder(*to_rtmp(here)):
        await here.until(lambda: "stopped" in here.events, "its end")
        assert here.desk.state("ev_lab").error.startswith("umbel.ingest_failed")


async def test_hanging_worker_is_replaced(here: Lab) -> None:
    async with encoder(*to_rtmp(here)):
        await here.until(lambda: here.sink.frames() > RATE, "video")
        os.kill(workers(here)[0], signal.SIGSTOP)
        await here.until(lambda: len(here.sink.ssrcs(96)) == 2, "a new source")
        assert here.events.count("started") == 1


async def test_lost_srt_listener_is_replaced_on_its_port(here: Lab) -> None:
    [listener] = children(os.getpid())
    os.kill(listener, signal.SIGKILL)
    await here.until(lambda: not alive(listener) and children(os.getpid()), "another")
    async with asyncio.timeout(DEADLINE_S):
        while "started" not in here.events:
            async with encoder(*to_srt(here)) as process:
                await here.until(partial(ended_or_seen, here, process), "video")
    assert here.sink.frames() > RATE


async def test_revoked_key_disconnects(here: Lab) -> None:
    for way in (to_rtmp, to_srt):
        await here.desk.admit("ev_lab", [digest(KEY)], here.sink)
        stops = here.events.count("stopped")
        async with encoder(*way(here)) as process:
            await here.until(lambda: here.desk.state("ev_lab").video, "video")
            again = await here.desk.admit("ev_lab", [digest("ev_lab.new")], here.sink)
            assert again == here.urls
            await here.until(partial(ended, process), "disconnected")
        assert here.events.count("stopped") == stops + 1


async def test_ports_are_kept_by_wish(here: Lab) -> None:
    ports = {name: int(here.urls[name].rsplit(":", 1)[1]) for name in ("rtp", "mpegts", "srt")}
    rtmp = here.desk.rtmp_port
    await here.desk.close()
    desk = await IngestDesk.open(ADDRESS, rtmp, workers=here.workers, on_event=lambda *_: None)
    try:
        urls = await desk.admit("ev_lab", [digest(KEY)], Collector(), ports=ports)
        assert urls == here.urls
        other = await desk.admit("ev_two", [digest(KEY)], Collector(), ports=ports)
        assert not set(other.values()) - {other["rtmp"]} & set(urls.values())
    finally:
        await desk.close()


async def test_dismissed_stream_is_closed(here: Lab) -> None:
    async with encoder(*to_rtmp(here)) as process:
        await here.until(lambda: here.sink.frames() > RATE, "video")
        await here.desk.dismiss("ev_lab")
        await here.until(lambda: process.returncode is not None, "disconnected")
    assert not children(os.getpid())
    await here.desk.dismiss("ev_lab")


async def test_garbage_on_rtmp_hurts_nobody_else(here: Lab) -> None:
    dice = random.Random(5)
    hello = b"\x03" + bytes(1536) + bytes(1536)
    port = here.desk.rtmp_port
    async with encoder(*to_rtmp(here)):
        await here.until(lambda: here.sink.frames() > RATE, "video")
        for round_ in range(40):
            reader, writer = await asyncio.open_connection(ADDRESS, port)
            junk = bytes(dice.randrange(256) for _ in range(dice.randrange(1, 3000)))
            writer.write(junk if round_ % 2 else hello + b"\x83" + junk)
            try:
                writer.write_eof()
                async with asyncio.timeout(DEADLINE_S):
                    while await reader.read(65_536):
                        pass
            except OSError:
                pass
            writer.close()
        seen = here.sink.frames()
        await here.until(lambda: here.sink.frames() > seen + RATE, "the publisher goes on")
    assert here.events.count("started") == 1


async def test_idle_connections_keep_no_encoder_out(here: Lab) -> None:
    """A stranger's connections fill the server; each new encoder takes the oldest one's place."""
    strangers = []
    for last in (5, 6, 7, 8):
        for _ in range(32):
            strangers.append(
                await asyncio.open_connection(
                    ADDRESS, here.desk.rtmp_port, local_addr=(f"127.0.0.{last}", 0)
                )
            )
    async with encoder(*to_rtmp(here)):
        await here.until(lambda: here.sink.frames() > RATE, "video")
    async with asyncio.timeout(DEADLINE_S):
        # The oldest made room; the others had three seconds to a key.
        for reader, writer in strangers:
            assert await reader.read() == b""
            writer.close()


async def test_garbage_on_udp_ports_is_no_publisher(here: Lab) -> None:
    dice = random.Random(6)
    loop = asyncio.get_running_loop()
    for name in ("rtp", "mpegts"):
        port = int(here.urls[name].split(":")[1])
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=(ADDRESS, port)
        )
        for _ in range(100):
            size = dice.randrange(1, 1400)
            transport.sendto(b"\x00" + bytes(dice.randrange(256) for _ in range(size)))
        transport.close()
    async with encoder(*to_rtmp(here)):
        await here.until(lambda: here.sink.frames() > RATE, "video")
        assert here.events.count("started") == 1


async def test_mangled_transport_stream_ends_only_itself(here: Lab) -> None:
    """A stream of valid packets with noise inside: no frames, or an error, and then a good one."""
    dice = random.Random(7)
    loop = asyncio.get_running_loop()
    port = int(here.urls["mpegts"].split(":")[1])
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=(ADDRESS, port)
    )
    for _ in range(300):
        packet = b"\x47" + bytes(dice.randrange(256) for _ in range(187))
        transport.sendto(packet * 7)
    transport.close()
    await here.until(lambda: "stopped" in here.events, "silence frees the claim")
    async with encoder(*to_srt(here)):
        await here.until(lambda: here.sink.frames() > RATE, "video")
        assert here.desk.state("ev_lab").protocol == "srt"


SERVER = """
import asyncio, hashlib, sys
from umbel.kit.clock import SystemClock
from umbel.media.io.ingest_desk import IngestDesk
from umbel.media.workers.pool import WorkerPool

class Nowhere:
    def packets(self, batch, now_s):
        print("packets", flush=True)

async def main():
    workers = WorkerPool(SystemClock())
    desk = await IngestDesk.open("127.0.61.2", 0, workers=workers, on_event=lambda *_: None)
    urls = await desk.admit("ev_lab", [hashlib.sha256(b"ev_lab.secret").hexdigest()], Nowhere())
    print(urls["rtmp"], flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_workers_end_with_their_server(tmp_path: Path) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, stdout=asyncio.subprocess.PIPE
    )
    pids: list[int] = []
    try:
        assert server.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            while not (line := await server.stdout.readline()).startswith(b"rtmp://"):
                pass
            url = f"{line.decode().strip()}/{KEY}"
            async with encoder("-re", *TONE, "-c:a", "aac", "-f", "flv", url):
                while b"packets" not in await server.stdout.readline():
                    pass
                while len(pids := offspring(server.pid)) < 3:  # their fork server too
                    await asyncio.sleep(0.02)
                assert len(children(server.pid)) == 2
                server.kill()
                while any(map(alive, pids)):
                    await asyncio.sleep(0.02)
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()
        for pid in pids:
            end(pid)
