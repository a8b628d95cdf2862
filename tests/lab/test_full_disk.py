"""A platform whose data directory is on a disk that gets really full: a small tmpfs, which only
root can mount."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.disks import full, small_disk
from support.platform import platform
from support.viewers import goes_on, watching
from support.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]
SIZE_MB = 24


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", SIZE_MB) as folder:
        yield folder


async def test_a_full_disk_is_said_and_all_goes_on_when_there_is_room(disk: Path) -> None:
    async with platform(disk) as made:
        event, _ = await made.live()
        async with watching(await made.session(event, "pe2")) as watcher:
            await made.session(event, "pe4")
            before = made.records()["edge-pe4-1"]["pid"]
            with full(disk):
                made.kill("edge-pe4-1")
                answers = [
                    await made.api.post(
                        f"/api/v1/events/{event.id}/sessions", json={"access_node": "pe2"}
                    )
                    for _ in range(3)
                ]
                await goes_on(watcher, 150)
            for answer in answers:
                assert answer.status_code == 503, answer.text
                assert answer.json()["code"] == "umbel.database_disk_full"
                assert answer.headers["retry-after"]

            async def replaced() -> dict[str, Any]:
                return made.records().get("edge-pe4-1", {})

            await until(replaced, lambda one: one.get("pid") not in (0, None, before), within_s=90)
            async with watching(await made.session(event, "pe4")):
                await goes_on(watcher)


async def test_a_start_on_a_full_disk_says_so_and_the_next_one_succeeds(disk: Path) -> None:
    with full(disk):
        command = [sys.executable, "-m", "umbel", "serve", "--data-dir", str(disk), "--port", "0"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode != 0
    assert "No space left" in ended.stderr
    assert "Traceback" not in ended.stderr
    async with platform(disk) as made:
        assert (await made.api.get("/readyz")).status_code == 200
