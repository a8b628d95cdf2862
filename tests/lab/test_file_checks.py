"""Checks of files by a real worker: what is found in them, and what is refused in which words."""

import os
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import av
import pytest

from support import databases
from support.films import film
from support.stored import files_of, repository
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.playout.checks import Checks
from umbel.playout.files import Files
from umbel.playout.model import File, FileState
from umbel.playout.worker import Workers
from umbel.repository.drivers.fake import FakeStorage

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-c:a", "libopus")


@pytest.fixture
async def files(sqlite_url: str) -> AsyncIterator[Files]:
    database = Database(sqlite_url, durable=False)
    clock = SystemClock()
    try:
        await databases.prepare(database)
        yield files_of(repository(database, FakeStorage(clock=clock), clock), database)
    finally:
        await database.close()


async def _held(_name: str) -> bool:
    return True


async def checked(files: Files, path: Path, **limits: int) -> File:
    """The file after its check."""

    async def body() -> AsyncGenerator[bytes, None]:
        yield path.read_bytes()

    upload = await files.begin("pr_city", path.stat().st_size, "")
    await files.receive(upload.item.id, 0, body())
    kept = {"memory_mb": 1536, "most_pixels": 4096 * 2304} | limits
    workers = Workers(repository=files.resumable.repository, **kept)
    checks = Checks(files=files, workers=workers, clock=files.clock, lease=_held)
    await checks.check(await files.get(upload.item.id))
    return await files.get(upload.item.id)


@pytest.mark.parametrize(
    ("name", "words", "found"),
    [
        ("a.mp4", (), ("MP4", "H.264", "AAC")),
        ("a.mkv", (), ("Matroska", "H.264", "AAC")),
        ("a.ts", (), ("MPEG-TS", "H.264", "AAC")),
        ("a.flv", (), ("FLV", "H.264", "AAC")),
        ("a.webm", VP9, ("WebM", "VP9", "Opus")),
        ("a.avi", ("-c:v", "mpeg4", "-c:a", "libmp3lame"), ("AVI", "MPEG-4 part 2", "MPEG audio")),
    ],
)
async def test_what_is_in_a_film(
    files: Files, tmp_path: Path, name: str, words: tuple[str, ...], found: tuple[str, ...]
) -> None:
    file = await checked(files, await film(tmp_path / name, *words))
    assert (file.state, file.problem) == (FileState.READY, "")
    facts = file.facts
    assert (facts.container, facts.video, facts.audio) == found
    assert (facts.width, facts.height, round(facts.fps)) == (320, 180, 25)
    assert facts.duration_s == pytest.approx(4, abs=0.2)
    jpeg = await files.store.picture(file.id)
    [frame] = av.CodecContext.create("mjpeg", "r").decode(av.Packet(jpeg))
    assert (frame.width, frame.height) == (320, 180)


async def test_a_film_without_pictures(files: Files, tmp_path: Path) -> None:
    file = await checked(files, await film(tmp_path / "a.m4a", "-c:a", "aac", picture=False))
    assert (file.state, file.facts.video, file.facts.audio) == (FileState.READY, "", "AAC")


async def test_what_is_no_film_is_refused_by_what_it_is(files: Files, tmp_path: Path) -> None:
    whole = (await film(tmp_path / "a.mp4")).read_bytes()
    for name, data, words in (
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0", "image/png"),
        ("a.zip", b"PK\3\4" + bytes(4000), "application/zip"),
        ("random.mp4", os.urandom(200_000), "cannot be read"),
        ("cut.mp4", whole[: len(whole) // 2], "cannot be read"),
        ("a.txt", b"The council meets on Monday. " * 99, "text/plain"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        file = await checked(files, path)
        assert (file.state, words in file.problem) == (FileState.REFUSED, True), file.problem


async def test_pictures_that_are_too_large_are_not_decoded(files: Files, tmp_path: Path) -> None:
    file = await checked(files, await film(tmp_path / "a.mp4"), most_pixels=320 * 100)
    assert (file.state, "320 x 180" in file.problem) == (FileState.REFUSED, True), file.problem


async def test_a_reader_that_crashes_refuses_the_file_after_three_tries(
    files: Files, tmp_path: Path
) -> None:
    path = await film(tmp_path / "a.mp4")
    file = await checked(files, path, memory_mb=8)
    assert (file.state, file.tries) == (FileState.CHECKING, 1)
    workers = Workers(repository=files.resumable.repository, memory_mb=8, most_pixels=1 << 30)
    checks = Checks(files=files, workers=workers, clock=files.clock, lease=_held)
    for _ in range(2):
        await checks.check(await files.get(file.id))
    file = await files.get(file.id)
    assert (file.state, "crashed" in file.problem) == (FileState.REFUSED, True)
