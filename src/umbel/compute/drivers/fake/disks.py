"""Disks in memory, for volumes: their content is whatever bytes a test puts there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from umbel.compute.volumes.model import (
    NoSuchDisk,
    StorageFull,
    VolumeAttached,
    check_attachable,
)


@dataclass
class _Disk:
    size_mb: int
    content: bytes = b""
    function: str = ""


class FakeDisks:
    """Each node has a disk of `room_mb` for them. `node_of` answers where a guest runs and raises
    NoSuchGuest, `snapshots_of` how many snapshots it has."""

    def __init__(self, node_of: Callable[[str], str], snapshots_of: Callable[[str], int]) -> None:
        self.room_mb = 1024 * 1024
        self._node_of = node_of
        self._snapshots_of = snapshots_of
        self._disks: dict[tuple[str, str], _Disk] = {}

    async def create(self, node: str, disk: str, size_mb: int) -> None:
        if (node, disk) not in self._disks:
            used_mb = sum(one.size_mb for (at, _), one in self._disks.items() if at == node)
            if used_mb + size_mb > self.room_mb:
                raise StorageFull(f"{node} has no room for {size_mb} MiB", node=node)
            self._disks[node, disk] = _Disk(size_mb)

    async def copy(self, node: str, disk: str, to: str) -> None:
        source = self._get(node, disk)
        await self.remove(node, to)
        await self.create(node, to, source.size_mb)
        self._disks[node, to].content = source.content

    async def remove(self, node: str, disk: str) -> None:
        found = self._disks.get((node, disk))
        if found is not None and found.function:
            raise VolumeAttached(f"{disk} is attached to {found.function}", disk=disk)
        self._disks.pop((node, disk), None)

    async def attached(self, node: str) -> Mapping[str, str]:
        return {
            disk: one.function
            for (at, disk), one in self._disks.items()
            if at == node and one.function
        }

    async def attach(self, disk: str, function_id: str) -> None:
        found = self._get(self._node_of(function_id), disk)
        if found.function == function_id:
            return
        check_attachable(function_id, self.of(function_id), self._snapshots_of(function_id))
        found.function = function_id

    async def detach(self, disk: str, function_id: str) -> None:
        for (_, name), found in self._disks.items():
            if name == disk and found.function == function_id:
                found.function = ""

    def of(self, function_id: str) -> list[str]:
        """The disks that the guest has."""
        return [disk for (_, disk), one in self._disks.items() if one.function == function_id]

    def release(self, function_id: str) -> None:
        """The guest is gone."""
        for one in self._disks.values():
            if one.function == function_id:
                one.function = ""

    def carry(self, function_id: str, node: str) -> None:
        """The guest's disks are at that node now."""
        for (at, disk), one in list(self._disks.items()):
            if one.function == function_id:
                del self._disks[at, disk]
                self._disks[node, disk] = one

    def write(self, node: str, disk: str, content: bytes) -> None:
        """Have this on the disk, as a guest writes it. Raises NoSuchDisk."""
        self._get(node, disk).content = content

    def read(self, node: str, disk: str) -> bytes:
        """What was written. Raises NoSuchDisk."""
        return self._get(node, disk).content

    def names(self, node: str) -> list[str]:
        """Every disk of the node."""
        return sorted(disk for at, disk in self._disks if at == node)

    def _get(self, node: str, disk: str) -> _Disk:
        if (node, disk) not in self._disks:
            raise NoSuchDisk(f"{node} has no disk {disk}", node=node, disk=disk)
        return self._disks[node, disk]
