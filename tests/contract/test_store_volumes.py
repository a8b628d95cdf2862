"""Volumes as rows, on SQLite and on PostgreSQL."""

from dataclasses import replace

import pytest

from umbel.compute.volumes.model import (
    MOST_AT_A_NODE,
    MOST_SNAPSHOTS_OF_ONE,
    NoSuchVolume,
    NoSuchVolumeSnapshot,
    TooManyVolumes,
    Volume,
    VolumeExists,
    VolumeQuotaReached,
    VolumeSnapshot,
    VolumeSnapshotExists,
)
from umbel.compute.volumes.store import VolumeStore
from umbel.kit.db import Database

ALBUM = Volume(
    name="album", node="pe1", size_mb=40, disk="disk_a", created_s=12.5, created_by="anna"
)


def snapshot(name: str, volume: str = "album") -> VolumeSnapshot:
    return VolumeSnapshot(volume=volume, name=name, disk=f"disk_{name}", taken_s=20.0)


async def test_rows_are_what_was_written(database: Database) -> None:
    store = VolumeStore(database)
    await store.add(ALBUM, 100)
    assert await store.get("album") == ALBUM
    changed = replace(ALBUM, spare="disk_b", function="edge-1", is_complete=True)
    await store.set(changed)
    assert await store.all() == {"album": changed}
    assert (await store.at("pe1"), await store.at("pe2")) == (["album"], [])
    with pytest.raises(VolumeExists, match="album"):
        await store.add(replace(ALBUM, node="pe2"), 100)
    await store.add_snapshot(snapshot("s1"), 100)
    await store.complete_snapshot("album", "s1")
    assert await store.snapshots("album") == [replace(snapshot("s1"), is_complete=True)]
    with pytest.raises(VolumeSnapshotExists, match="s1"):
        await store.add_snapshot(snapshot("s1"), 1000)
    with pytest.raises(NoSuchVolumeSnapshot, match="s2"):
        await store.get_snapshot("album", "s2")
    await store.remove("album")
    assert await store.snapshots("album") == []
    with pytest.raises(NoSuchVolume, match="album"):
        await store.get("album")
    with pytest.raises(NoSuchVolume, match="album"):
        await store.add_snapshot(snapshot("s1"), 100)


async def test_a_node_gives_no_more_room_than_it_may(database: Database) -> None:
    store = VolumeStore(database)
    await store.add(ALBUM, 100)
    await store.add_snapshot(snapshot("s1"), 100)
    with pytest.raises(VolumeQuotaReached, match="80 of 100 MiB"):
        await store.add_snapshot(snapshot("s2"), 100)
    with pytest.raises(VolumeQuotaReached, match="pe1"):
        await store.add(replace(ALBUM, name="more", size_mb=21), 100)
    await store.add(replace(ALBUM, name="more", size_mb=20), 100)
    await store.add(replace(ALBUM, name="far", node="pe2", size_mb=100), 100)
    await store.remove_snapshot("album", "s1")
    await store.add(replace(ALBUM, name="again", size_mb=40), 100)


async def test_a_node_has_so_many_volumes_and_a_volume_so_many_snapshots(
    database: Database,
) -> None:
    store = VolumeStore(database)
    for number in range(MOST_AT_A_NODE):
        await store.add(replace(ALBUM, name=f"v{number}", size_mb=1), 10_000)
    with pytest.raises(TooManyVolumes, match="pe1"):
        await store.add(replace(ALBUM, size_mb=1), 10_000)
    for number in range(MOST_SNAPSHOTS_OF_ONE):
        await store.add_snapshot(snapshot(f"s{number}", "v0"), 10_000)
    with pytest.raises(TooManyVolumes, match="v0"):
        await store.add_snapshot(snapshot("more", "v0"), 10_000)
