"""Providers' files and playouts as rows, and uploads that grow, on SQLite and PostgreSQL."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from support.clocks import SetClock
from support.stored import files_of, repository
from umbel.kit.db import Database
from umbel.playout.files import Files
from umbel.playout.model import (
    MOST_FILES,
    File,
    FileFacts,
    FileInUse,
    FileState,
    NoFilePicture,
    NoPlayout,
    NoSuchFile,
    Playout,
    PlayoutState,
    TooManyFiles,
)
from umbel.playout.store import PlayoutStore
from umbel.repository.drivers.fake import FakeStorage
from umbel.repository.model import ItemState
from umbel.repository.resumable import EXPIRES_S, NoSuchResumableUpload
from umbel.repository.store import Quota
from umbel.repository.tus import TusOffset

QUOTA = Quota(items=2_000, bytes=1 << 24)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1000.0)


@pytest.fixture
def files(database: Database, clock: SetClock) -> Files:
    return files_of(repository(database, FakeStorage(clock=clock), clock, QUOTA), database)


@pytest.fixture
def playouts(database: Database) -> PlayoutStore:
    return PlayoutStore(database)


def file(number: int = 1, **more: object) -> File:
    return File(
        id=f"item_{number}",
        provider_id="pr_city",
        name="Council.mp4",
        size=10,
        created_s=1000.0 + number,
        changed_s=1000.0,
        **more,  # type: ignore[arg-type]
    )


async def body(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


async def test_a_file_comes_changes_and_goes(files: Files) -> None:
    store = files.store
    await store.add(file(1))
    await store.add(file(2, state=FileState.READY))
    assert [one.id for one in await store.of_provider("pr_city")] == ["item_2", "item_1"]
    assert await store.of_provider("pr_club") == []
    facts = FileFacts(container="MP4", duration_s=12.5, video="H.264", width=640, height=360)
    after = await store.change("item_1", lambda f: replace(f, facts=facts), jpeg=b"\xff\xd8\x00")
    assert (after.facts, await store.picture("item_1")) == (facts, b"\xff\xd8\x00")
    assert await store.get("item_1") == after
    assert [one.id for one in await store.in_state(FileState.READY)] == ["item_2"]
    await store.delete("item_1")
    with pytest.raises(NoSuchFile):
        await store.get("item_1")
    with pytest.raises(NoFilePicture):
        await store.picture("item_1")


async def test_a_provider_has_so_many_files(files: Files) -> None:
    for number in range(MOST_FILES):
        await files.store.add(file(number, state=FileState.READY))
    with pytest.raises(TooManyFiles):
        await files.store.add(file(MOST_FILES, state=FileState.READY))


async def test_a_file_that_an_event_streams_stays(files: Files, playouts: PlayoutStore) -> None:
    await files.store.add(file(1))
    made = Playout(event_id="ev_1", provider_id="pr_city", file_id="item_1", changed_s=1.0)
    assert await playouts.put("ev_1", lambda before: made if before is None else before) == made
    with pytest.raises(FileInUse):
        await files.store.delete("item_1")
    ended = replace(made, state=PlayoutState.ENDED, position_s=7.5, version=2)
    assert await playouts.change("ev_1", lambda _: ended) == ended
    assert await playouts.get("ev_1") == ended
    assert await playouts.in_state(PlayoutState.ENDED) == [ended]
    assert await playouts.in_state(PlayoutState.PLAYING) == []
    await files.store.delete("item_1")
    with pytest.raises(NoSuchFile):
        await playouts.put("ev_2", lambda _: replace(made, event_id="ev_2"))
    await playouts.delete("ev_1")
    with pytest.raises(NoPlayout):
        await playouts.get("ev_1")


async def test_an_upload_in_pieces_is_a_file(files: Files, clock: SetClock) -> None:
    upload = await files.begin("pr_city", 9, "filename Li5cLi4vQ291bmNpbC5tcDQ=")
    assert (await files.get(upload.item.id)).name == "Council.mp4"
    clock.at_s += 100
    upload = await files.receive(upload.item.id, 0, body(b"012", b"34"))
    assert (upload.item.size, upload.item.expires_s) == (5, 1100 + EXPIRES_S)
    with pytest.raises(TusOffset):
        await files.receive(upload.item.id, 4, body(b"4"))
    upload = await files.receive(upload.item.id, 5, body(b"5678"))
    assert (upload.is_whole, upload.item.expires_s) == (True, None)
    assert (await files.get(upload.item.id)).state is FileState.CHECKING
    content = await files.resumable.repository.content(upload.item.id)
    read = [piece async for piece in files.resumable.repository.read(content)]
    assert (b"".join(read), len(content.parts)) == (b"012345678", 1)
    assert content.item.state is ItemState.STORED
    clock.at_s += 2 * EXPIRES_S
    assert await files.resumable.repository.upkeep.expire() == 0, "a whole file stays"
    await files.delete(upload.item.id)
    assert (await files.resumable.repository.usage("pr_city")).bytes == 0


async def test_long_parts_are_not_joined(files: Files) -> None:
    upload = await files.begin("pr_city", 3 << 20, "")
    piece = bytes(range(256)) * 4096
    for number in range(3):
        await files.receive(upload.item.id, number << 20, body(piece))
    content = await files.resumable.repository.content(upload.item.id)
    assert [part.size for part in content.parts] == [1 << 20] * 3


async def test_rows_and_uploads_agree_after_a_crash(files: Files, clock: SetClock) -> None:
    whole = await files.begin("pr_city", 4, "")
    half = await files.begin("pr_city", 4, "")
    # As if the process had died before it wrote the file's row.
    await files.resumable.append(whole.item.id, 0, body(b"film"))
    await files.receive(half.item.id, 0, body(b"fi"))
    clock.at_s += EXPIRES_S + 1
    await files.resumable.repository.upkeep.expire()
    await files.settle_uploads()
    assert [one.id for one in await files.list("pr_city")] == [whole.item.id]
    assert (await files.get(whole.item.id)).state is FileState.CHECKING
    with pytest.raises(NoSuchResumableUpload):
        await files.resumable.get(half.item.id)


async def test_a_file_that_may_not_come_leaves_no_item(files: Files) -> None:
    for number in range(MOST_FILES):
        await files.store.add(file(number, state=FileState.READY))
    with pytest.raises(TooManyFiles):
        await files.begin("pr_city", 4, "")
    assert (await files.resumable.repository.usage("pr_city")).items == 0
