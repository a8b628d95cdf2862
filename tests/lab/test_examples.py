"""The examples do what they say, against the real platform."""

import sys
from collections.abc import Iterable
from pathlib import Path

import imageio_ffmpeg
import pytest

from support.platform import Platform, platform
from support.waiting import until
from umbel.catalogue.model import UserRole
from umbel.demo.model import Account
from umbel.demo.stage import Child

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

EXAMPLES = Path(__file__).parents[2] / "examples"
ENDED_S = 120.0


def account(made: Platform, role: UserRole) -> Account:
    return next(one for one in made.accounts if one.role is role)


def credentials(of: Account) -> list[str]:
    # Joined by "=": a made password may begin with a dash.
    return [f"--username={of.username}", f"--password={of.password}"]


async def started(made: Platform, script: str, *words: str) -> Child:
    return await made.run(script, [sys.executable, "-u", str(EXAMPLES / script), *words])


async def ended(child: Child) -> list[str]:
    """The lines it said, once it ended well."""

    async def code() -> int | None:
        return child.process.returncode

    assert await until(code, lambda c: c is not None, within_s=ENDED_S) == 0, child.tail()
    return child.log.read_text().splitlines()


async def until_said(child: Child, text: str) -> None:
    async def said() -> str:
        return child.log.read_text()

    await until(said, lambda log: text in log, within_s=60)


def test_every_example_is_tried_here_and_has_a_line_in_the_readme() -> None:
    source, readme = Path(__file__).read_text(), (EXAMPLES / "README.md").read_text()
    scripts = [path.name for path in sorted(EXAMPLES.glob("*.py"))]
    assert len(scripts) == 5
    for script in scripts:
        assert f'"{script}"' in source
        assert f"({script})" in readme


async def test_watch_with_rest(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        event, _ = await made.live()
        viewer = account(made, UserRole.VIEWER)
        # The playlist names segments only after the first of them; asking waits for it.
        child = await started(made, "01-watch-with-rest.py", made.url, *credentials(viewer))
        lines = await ended(child)
        assert lines[0] == f"signed in as {viewer.username}, viewer"
        assert event.id in lines[1]
        assert int(lines[-1].split()[-2]) > 1000


async def test_schedule_and_push(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    made_clip = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-f", "lavfi", "-i", "sine"]
    async with platform(tmp_path) as made:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", *made_clip, "-t", "2", str(clip)]
        await ended(await made.run("clip", command))
        words = [str(clip), *credentials(account(made, UserRole.PROVIDER)), "--seconds", "1"]
        lines = await ended(await started(made, "02-schedule-and-push.py", made.url, *words))
        assert lines[0].endswith("is scheduled")
        assert "live: H.264 320x240" in lines
        assert lines[-1].endswith("is ended")
        await made.sign_in(UserRole.OPERATOR)
        assert [e["state"] for e in await made.get("events")] == ["ended"]


async def test_follow_state_goes_on_where_it_was(tmp_path: Path) -> None:
    position = tmp_path / "position"
    position.write_text("0")
    async with platform(tmp_path) as made:
        first = await made.event()
        words = [made.url, "--position", str(position)]
        lines = await ended(await started(made, "03-follow-state.py", *words, "--changes", "1"))
        assert numbers(lines) == [int(position.read_text())]
        child = await started(made, "03-follow-state.py", *words)
        await until_said(child, first.id)
        await made.kill_control_plane()
        await until_said(child, "broken off")
        await made.restart()
        second = await made.event()
        await until_said(child, second.id)
        seen = [*numbers(lines), *numbers(child.log.read_text().splitlines())]
        assert seen == sorted(set(seen))


def numbers(lines: Iterable[str]) -> list[int]:
    """The positions of the changes told."""
    return [int(line.split()[0]) for line in lines if line.split()[0].isdecimal()]


async def test_drive_a_media_server(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        lines = await ended(await started(made, "04-drive-a-media-server.py"))
        assert lines[0].startswith("the edge awaits RTP at 127.0.32.1:")
        assert lines[1] == "the acquirer takes mpegts, rtmp, rtp, srt, whip"
        assert int(lines[-1].split()[-2]) > 1000


async def test_receive_notifications(tmp_path: Path) -> None:
    async with platform(tmp_path) as made:
        operator = credentials(account(made, UserRole.OPERATOR))
        words = [made.url, *operator, "--notices", "2"]
        child = await started(made, "05-receive-notifications.py", *words)
        await until_said(child, "ping delivered: True")
        event = await made.event()
        (root,) = made.records()
        await until_said(child, f"1 function_appeared node=pe1 function={root} role=acquirer")
        made.kill(root)
        lines = await ended(child)
        assert lines[3].startswith(f"2 function_left node=pe1 function={root}")
        assert len(lines) == 4
        assert await made.get("notifications") == []
        assert event
