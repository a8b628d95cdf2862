"""Volumes and their snapshots as rows: a restart and every other instance see the same ones."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from umbel.compute.volumes.model import (
    MOST_SNAPSHOTS_OF_ONE,
    NoSuchVolume,
    NoSuchVolumeSnapshot,
    Taken,
    TooManyVolumes,
    Volume,
    VolumeExists,
    VolumeSnapshot,
    VolumeSnapshotExists,
    check_room,
)
from umbel.kit.db import Database, metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given

volumes = sa.Table(
    "volumes",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("node", sa.String(64), nullable=False),
    sa.Column("size_mb", sa.Integer, nullable=False),
    sa.Column("disk", sa.String(64), nullable=False),
    sa.Column("spare", sa.String(64), nullable=False),
    sa.Column("function", sa.String(128), nullable=False),
    sa.Column("is_complete", sa.Boolean, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
)
snapshots = sa.Table(
    "volume_snapshots",
    metadata,
    sa.Column("volume", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("disk", sa.String(64), nullable=False),
    sa.Column("is_complete", sa.Boolean, nullable=False),
    sa.Column("taken_s", sa.Float, nullable=False),
    sa.Column("taken_by", sa.String(64), nullable=False),
)

_LOCK = 0x766F6C73
_V, _S = volumes.c, snapshots.c
_CHANGING = ["node", "disk", "spare", "function", "is_complete"]
_ALL = Query(sa.select(volumes).order_by(_V.name), Volume)
_ONE = Query(sa.select(volumes).where(_V.name == given("named")), Volume)
_ADD = Command(sa.insert(volumes))
_SET = Command(sa.update(volumes).where(_V.name == given("named")), _CHANGING)
_DROP = Command(sa.delete(volumes).where(_V.name == given("named")))
_SNAPSHOTS = Query(
    sa.select(snapshots).where(_S.volume == given("of")).order_by(_S.taken_s, _S.name),
    VolumeSnapshot,
)
_ADD_SNAPSHOT = Command(sa.insert(snapshots))
_THIS = (_S.volume == given("of")) & (_S.name == given("named"))
_COMPLETE_SNAPSHOT = Command(sa.update(snapshots).where(_THIS), ["is_complete"])
_DROP_SNAPSHOT = Command(sa.delete(snapshots).where(_THIS))
_DROP_SNAPSHOTS = Command(sa.delete(snapshots).where(_S.volume == given("of")))
_SNAPSHOTS_MB = Scalar(
    sa.select(sa.func.coalesce(sa.func.sum(_V.size_mb), 0))
    .select_from(snapshots.join(volumes, _S.volume == _V.name))
    .where(_V.node == given("at")),
    int,
)


class VolumeStore:
    """The queries of volumes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Mapping[str, Volume]:
        """By name."""
        return {one.name: one for one in await self._database.read(lambda c: c.all(_ALL))}

    async def at(self, node: str) -> list[str]:
        """The names of the node's volumes."""
        return [one.name for one in (await self.all()).values() if one.node == node]

    async def get(self, name: str) -> Volume:
        """One volume. Raises NoSuchVolume."""
        return await self._database.read(lambda connection: _get(connection, name))

    async def add(self, volume: Volume, quota_mb: int) -> None:
        """A volume comes. Raises VolumeExists, TooManyVolumes, VolumeQuotaReached."""

        def add(connection: Connection) -> None:
            connection.lock(_LOCK)
            if connection.first(_ONE, named=volume.name) is not None:
                message = f"There is a volume {volume.name} already"
                raise VolumeExists(message, volume=volume.name)
            taken = _taken(connection, volume.node, quota_mb)
            check_room(taken, volume.size_mb, is_volume=True)
            connection.run(_ADD, **vars(volume))

        await self._database.write(add)

    async def set(self, volume: Volume) -> None:
        """The volume is as this from now on; its size and its origin stay."""
        values = {name: getattr(volume, name) for name in _CHANGING}
        await self._database.write(lambda c: c.run(_SET, named=volume.name, **values))

    async def remove(self, name: str) -> None:
        """The volume and its snapshots are forgotten."""

        def remove(connection: Connection) -> None:
            connection.run(_DROP_SNAPSHOTS, of=name)
            connection.run(_DROP, named=name)

        await self._database.write(remove)

    async def snapshots(self, name: str) -> Sequence[VolumeSnapshot]:
        """The volume's snapshots, the oldest first."""
        return await self._database.read(lambda connection: connection.all(_SNAPSHOTS, of=name))

    async def get_snapshot(self, volume: str, name: str) -> VolumeSnapshot:
        """One of them. Raises NoSuchVolumeSnapshot."""
        for one in await self.snapshots(volume):
            if one.name == name:
                return one
        message = f"{volume} has no snapshot {name}"
        raise NoSuchVolumeSnapshot(message, volume=volume, snapshot=name)

    async def add_snapshot(self, snapshot: VolumeSnapshot, quota_mb: int) -> None:
        """A snapshot comes. Raises NoSuchVolume, VolumeSnapshotExists, TooManyVolumes,
        VolumeQuotaReached."""

        def add(connection: Connection) -> None:
            connection.lock(_LOCK)
            volume = _get(connection, snapshot.volume)
            others = connection.all(_SNAPSHOTS, of=volume.name)
            if any(one.name == snapshot.name for one in others):
                message = f"{volume.name} has a snapshot {snapshot.name} already"
                raise VolumeSnapshotExists(message, volume=volume.name, snapshot=snapshot.name)
            if len(others) >= MOST_SNAPSHOTS_OF_ONE:
                message = f"{volume.name} has {len(others)} snapshots, the most that one may"
                raise TooManyVolumes(message, volume=volume.name)
            taken = _taken(connection, volume.node, quota_mb)
            check_room(taken, volume.size_mb, is_volume=False)
            connection.run(_ADD_SNAPSHOT, **vars(snapshot))

        await self._database.write(add)

    async def complete_snapshot(self, volume: str, name: str) -> None:
        """The snapshot has all data."""
        await self._database.write(
            lambda c: c.run(_COMPLETE_SNAPSHOT, of=volume, named=name, is_complete=True)
        )

    async def remove_snapshot(self, volume: str, name: str) -> None:
        """The snapshot is forgotten."""
        await self._database.write(lambda c: c.run(_DROP_SNAPSHOT, of=volume, named=name))


def _get(connection: Connection, name: str) -> Volume:
    found = connection.first(_ONE, named=name)
    if found is None:
        raise NoSuchVolume(f"There is no volume {name}", volume=name)
    return found


def _taken(connection: Connection, node: str, quota_mb: int) -> Taken:
    mine = [one for one in connection.all(_ALL) if one.node == node]
    copies_mb = connection.scalar(_SNAPSHOTS_MB, at=node) or 0
    return Taken(
        node=node,
        volumes=len(mine),
        used_mb=sum(one.size_mb for one in mine) + int(copies_mb),
        quota_mb=quota_mb,
    )
