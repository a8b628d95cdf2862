"""kill -9 on real processes: the platform, its functions, the encoder. Viewers are aiortc peers."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.platform import Platform, platform
from support.viewers import goes_on, watching
from support.waiting import until
from support.webrtc_peer import Watcher
from umbel.demo.encoder import FPS
from umbel.demo.stage import LiveEvent, until_live

LOCKED_S = 10

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]


@asynccontextmanager
async def viewer(made: Platform, event: LiveEvent, node: str) -> AsyncIterator[Watcher]:
    """A viewer who enters by the node."""
    async with watching(await made.session(event, node)) as watcher:
        yield watcher


def pids(made: Platform) -> dict[str, int]:
    return {name: record["pid"] for name, record in made.records().items()}


async def until_replaced(made: Platform, function: str, before: int) -> None:
    async def running() -> bool:
        functions = {f["id"]: f["state"] for f in await made.get("functions")}
        return functions.get(function) == "active" and pids(made).get(function) != before

    await until(running, within_s=60)


async def test_forwarder_killed_the_tree_is_mended_under_the_viewer(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        async with viewer(made, event, "pe4") as watcher:
            for forwarder in ("forwarder-c1-1", "forwarder-c2-1"):
                before = pids(made)
                made.kill(forwarder)
                await goes_on(watcher, 60)
                await until_replaced(made, forwarder, before[forwarder])
                await goes_on(watcher, 60)
                after = pids(made)
                assert {k for k in before if before[k] != after[k]} == {forwarder}


async def test_acquirer_killed_the_encoder_comes_back_where_it_was(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, pusher = await made.live()
        async with viewer(made, event, "pe2") as watcher:
            before = pids(made)["acquirer-pe1-1"]
            made.kill("acquirer-pe1-1")
            await until_replaced(made, "acquirer-pe1-1", before)
            await pusher.stop()
            await reconnect(made, event, watcher)
            assert (await made.get(f"events/{event.id}"))["stream"]["protocol"] == "rtmp"


async def reconnect(made: Platform, event: LiveEvent, watcher: Watcher) -> None:
    """As encoders do: push to where the event always was, again until it is taken."""
    goal = watcher.frames.get("video", 0) + 60
    pusher = await made.push(event)

    async def decoded() -> int:
        nonlocal pusher
        if pusher.process.returncode is not None:
            pusher = await made.push(event)
        return watcher.frames.get("video", 0)

    await until(decoded, lambda count: count >= goal, within_s=60)


async def test_encoder_killed_and_back_over_another_protocol(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, pusher = await made.live()
        async with viewer(made, event, "pe2") as watcher:
            pusher.process.kill()
            await pusher.process.wait()
            again = await made.push(event, "srt")
            await until_live(made.api, event.id, again)
            await goes_on(watcher, 60)
            assert (await made.get(f"events/{event.id}"))["stream"]["protocol"] == "srt"


async def test_control_plane_killed_with_an_edge_both_come_back(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        async with viewer(made, event, "pe2") as watcher:
            await made.session(event, "pe4")
            before = pids(made)
            await made.kill_control_plane()
            made.kill("edge-pe4-1")
            await goes_on(watcher, 60)
            await made.restart()
            await until_replaced(made, "edge-pe4-1", before["edge-pe4-1"])
            after = pids(made)
            assert {k for k in before if before[k] != after[k]} == {"edge-pe4-1"}
            async with viewer(made, event, "pe4"):
                await goes_on(watcher, 30)


async def test_database_locked_the_api_says_so_and_media_goes_on(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        async with viewer(made, event, "pe2") as watcher:
            kept = await made.session(event, "pe2")
            other = sqlite3.connect(tmp_path / "umbel.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            try:
                answer = await made.api.post(
                    f"/api/v1/events/{event.id}/sessions", json={"access_node": "pe2"}
                )
                await goes_on(watcher, LOCKED_S * FPS)
            finally:
                other.execute("ROLLBACK")
                other.close()
            assert answer.status_code == 503
            assert answer.json()["code"] == "umbel.database_unavailable"
            assert answer.headers["retry-after"]
            bearer = {"Authorization": f"Bearer {kept['token']}"}
            found = await made.api.get(f"/api/v1/sessions/{kept['id']}", headers=bearer)
            assert found.status_code == 200
            await made.session(event, "pe2")


async def test_two_hundred_sessions_leave_memory_and_descriptors_where_they_were(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        async with viewer(made, event, "pe2"):
            await open_and_close(made, event, 40)
            before = footprint(made)
            await open_and_close(made, event, 200)

            async def is_back() -> dict[str, tuple[int, float]]:
                return footprint(made)

            def settled(after: dict[str, tuple[int, float]]) -> bool:
                return all(
                    after[name][0] <= files + 2 and after[name][1] <= rss_mb + 16
                    for name, (files, rss_mb) in before.items()
                )

            after = await until(is_back, settled, within_s=60)
            assert set(after) == set(before)


async def open_and_close(made: Platform, event: LiveEvent, count: int) -> None:
    for _ in range(count // 20):
        opened = await asyncio.gather(*(made.session(event, "pe2") for _ in range(20)))
        for session in opened:
            bearer = {"Authorization": f"Bearer {session['token']}"}
            gone = await made.api.delete(f"/api/v1/sessions/{session['id']}", headers=bearer)
            assert gone.status_code == 204


def footprint(made: Platform) -> dict[str, tuple[int, float]]:
    """Open descriptors and resident MiB of the control plane and the edge."""
    found = {}
    for name, pid in {"serve": made.serve.process.pid, "edge": pids(made)["edge-pe2-1"]}.items():
        proc = Path(f"/proc/{pid}")
        resident = int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        found[name] = (len(list((proc / "fd").iterdir())), resident / 2**20)
    return found


async def test_a_clean_stop_leaves_no_process(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        await made.session(event, "pe4")

        async def all_pids() -> dict[str, int]:
            return pids(made)

        running = await until(all_pids, lambda found: len(found) == 4)
        await made.serve.stop()
        assert made.records() == {}
        for pid in running.values():
            assert not Path(f"/proc/{pid}").exists()
