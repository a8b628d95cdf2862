"""Files on a hypervisor, through its storage pool: images, guests' disks and seeds, consoles. It
works by each URI, and needs no file of ours there before. Functions on a connection's thread.
"""

import errno
import hashlib
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import IO, Protocol

import libvirt

from umbel.compute.drivers.libvirt import domain_xml
from umbel.compute.drivers.libvirt.guest import GuestRecord
from umbel.compute.hypervisors.model import HypervisorFailed
from umbel.compute.images.folder import Images
from umbel.compute.images.model import PARTS, Image, ImageCorrupt, StoredImage
from umbel.compute.images.ports import Sent
from umbel.compute.volumes.model import StorageFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Source(Protocol):
    """What is read from its beginning."""

    def read(self, count: int, /) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class PoolFolder:
    """Where our files are on a hypervisor, and the installation that they are of."""

    folder: str
    installation: str


def pool(connection: "libvirt.virConnect", at: PoolFolder) -> "libvirt.virStoragePool":
    """The storage pool of our files, made where there is none yet. Raises HypervisorFailed where it
    is another installation's: each would take the other's guests for its own."""
    try:
        found = connection.storagePoolLookupByName(domain_xml.STORAGE_POOL)
    except libvirt.libvirtError:
        found = connection.storagePoolDefineXML(domain_xml.storage_pool(at.folder))
        found.build()
        found.setAutostart(1)
    there = domain_xml.pool_folder(found.XMLDesc())
    if there != at.folder:
        raise HypervisorFailed(f"Its storage pool {domain_xml.STORAGE_POOL} is at {there}")
    if not found.isActive():
        found.build()  # it may have been removed
        found.create()
    _claim(found, at.installation)
    return found


def put_image(
    connection: "libvirt.virConnect", at: PoolFolder, image: Image, images: Images, sent: Sent
) -> int:
    """Have the image there; how many bytes of it were missing. What was copied in part is copied
    again. Raises StorageFull, ImageCorrupt."""
    if has(connection, at, f"{image.id}.{domain_xml.COMPLETE}"):
        return 0
    ours, done = pool(connection, at), 0
    paths = {part: images.part(image, part) for part in PARTS}
    total = sum(path.stat().st_size for path in paths.values())
    for part, path in paths.items():
        with path.open("rb") as file:
            read = _Counted(file, partial(_add, sent, done, total))
            try:
                _put(connection, ours, f"{image.id}.{part}", read, path.stat().st_size)
            except libvirt.libvirtError as error:
                raise refused(error, f"{total // 2**20} MiB") from error
        if read.hash.hexdigest() != image.hashes[part]:
            _remove(ours, f"{image.id}.{part}")
            message = f"{path} is not the {part} of {image.id}: build or upload the image again"
            raise ImageCorrupt(message, image=image.id, part=part)
        done += path.stat().st_size
    ours.createXML(domain_xml.file_volume(f"{image.id}.{domain_xml.COMPLETE}", 0))
    return done


def _add(sent: Sent, before: int, total: int, count: int) -> None:
    sent(before + count, total)


class _Counted:
    """A file that is read from its beginning: its hash, and a call for each piece."""

    def __init__(self, file: IO[bytes], moved: Callable[[int], None]) -> None:
        self.hash = hashlib.sha256()
        self._file, self._moved, self._count = file, moved, 0

    def read(self, count: int) -> bytes:
        """The next bytes."""
        data = self._file.read(count)
        self.hash.update(data)
        self._count += len(data)
        self._moved(self._count)
        return data


def images(connection: "libvirt.virConnect", at: PoolFolder) -> list[StoredImage]:
    """The images that are there, by id, and the functions whose disks are based on them, also those
    of another hypervisor with the same folder."""
    ours = pool(connection, at)
    ours.refresh()
    sizes: dict[str, int] = {}
    complete, users = set(), defaultdict(set)
    for volume in ours.listAllVolumes():
        id_, part = domain_xml.image_part(volume.name())
        if id_:
            sizes[id_] = sizes.get(id_, 0) + volume.info()[1]
            complete |= {id_} if part == domain_xml.COMPLETE else set()
        elif function_id := domain_xml.guest_disk(volume.name()):
            users[domain_xml.based_on(volume.XMLDesc())].add(function_id)
    return [
        StoredImage(
            id=id_,
            size_mb=sizes[id_] / 2**20,
            is_complete=id_ in complete,
            used_by=tuple(sorted(users[id_])),
        )
        for id_ in sorted(sizes)
    ]


def remove_image(connection: "libvirt.virConnect", at: PoolFolder, image_id: str) -> None:
    """Nothing of the image is there; that it is not complete is said first."""
    ours = pool(connection, at)
    for part in (domain_xml.COMPLETE, *PARTS):
        _remove(ours, f"{image_id}.{part}")


def refused(error: "libvirt.libvirtError", size: str) -> Exception:
    """StorageFull where the disk is full; else what libvirt said."""
    if error.get_error_code() == libvirt.VIR_ERR_SYSTEM_ERROR and error.get_int1() in _FULL:
        message = f"The hypervisor's disk has no {size} left: {error.get_error_message()}"
        return StorageFull(message)
    failure: Exception = error
    return failure


def made_at(connection: "libvirt.virConnect", at: PoolFolder) -> str:
    """When the file that says whose the pool is was made, to the nanosecond: two pools with the
    same answer are one folder."""
    mark = pool(connection, at).storageVolLookupByName(domain_xml.mark(at.installation))
    return domain_xml.modified(mark.XMLDesc())


def has(connection: "libvirt.virConnect", at: PoolFolder, name: str) -> bool:
    """Whether there is a volume of that name, also where another hypervisor made it."""
    ours = pool(connection, at)
    ours.refresh()
    return _find(ours, name) is not None


def put_guest(
    connection: "libvirt.virConnect", at: PoolFolder, guest: GuestRecord, seed: IO[bytes]
) -> None:
    """The seed, and a fresh disk over the image's unless the guest's is a logical unit. The
    console's file goes on."""
    ours = pool(connection, at)
    name = domain_xml.volume(guest.id, "disk")
    _remove(ours, name)
    if guest.lun is None:
        base = ours.storageVolLookupByName(f"{guest.image}.disk")
        ours.createXML(domain_xml.overlay_volume(name, base.path(), base.info()[1]))
    put(connection, at, domain_xml.volume(guest.id, "seed"), seed)


def put(connection: "libvirt.virConnect", at: PoolFolder, name: str, file: IO[bytes]) -> None:
    """Have a volume of that name with what the file holds."""
    size = file.seek(0, 2)
    file.seek(0)
    _put(connection, pool(connection, at), name, file, size)


def take_away(connection: "libvirt.virConnect", at: PoolFolder, name: str) -> None:
    """Have no volume of that name."""
    _remove(pool(connection, at), name)


def remove_guest(connection: "libvirt.virConnect", at: PoolFolder, function_id: str) -> None:
    """Nothing of the guest is there; not an error if there is nothing."""
    ours = pool(connection, at)
    ours.refresh()  # QEMU made the console's file
    for kind in ("disk", "seed"):
        _remove(ours, domain_xml.volume(function_id, kind))
    for volume in ours.listAllVolumes():
        if domain_xml.is_console(volume.name(), function_id):
            volume.delete()


def read(connection: "libvirt.virConnect", at: PoolFolder, name: str, most: int) -> bytes:
    """The last `most` bytes of a volume; none where there is no such volume."""
    ours = pool(connection, at)
    ours.refresh()
    volume = _find(ours, name)
    if volume is None:
        return b""
    size: int = volume.info()[1]
    start = max(0, size - most)
    found: list[bytes] = []
    stream = connection.newStream()
    volume.download(stream, start, size - start)
    stream.recvAll(lambda _, data, parts: parts.append(data) or len(data), found)
    stream.finish()
    return b"".join(found)


def remove_pool(connection: "libvirt.virConnect", at: PoolFolder) -> None:
    """Our storage pool goes with all images; files of others stay, and so does their folder. Where
    files of guests or volumes are left, another hypervisor has the same folder: all files stay."""
    ours = pool(connection, at)
    names: set[str] = set()
    with suppress(libvirt.libvirtError):  # that other one has removed the folder
        ours.refresh()
        names = {one.name() for one in ours.listAllVolumes() if domain_xml.is_ours(one.name())}
    if not any(domain_xml.is_kept(name) for name in names):
        for name in names:
            _remove(ours, name)
    if ours.isActive():
        ours.destroy()
        with suppress(libvirt.libvirtError):  # the folder is not empty
            ours.delete()
    ours.undefine()


def _claim(ours: "libvirt.virStoragePool", installation: str) -> None:
    mark = domain_xml.mark(installation)
    if _find(ours, mark) is not None:
        return
    ours.refresh()
    if not (others := _marks(ours) - {mark}):
        with suppress(libvirt.libvirtError):  # another call of ours made it just now
            ours.createXML(domain_xml.file_volume(mark, 0))
        if not (others := _marks(ours) - {mark}):
            return
        _remove(ours, mark)
    message = (
        f"Another installation uses this hypervisor: {', '.join(sorted(others))} is in its storage "
        f"pool {domain_xml.STORAGE_POOL}. Remove its node there; if that installation is gone, "
        "remove its guests and delete this file"
    )
    raise HypervisorFailed(message)


def _marks(ours: "libvirt.virStoragePool") -> set[str]:
    return {name for one in ours.listAllVolumes() if domain_xml.is_mark(name := one.name())}


def _put(
    connection: "libvirt.virConnect",
    ours: "libvirt.virStoragePool",
    name: str,
    file: Source,
    size: int,
) -> None:
    _remove(ours, name)
    volume = ours.createXML(domain_xml.file_volume(name, size))
    stream = connection.newStream()
    volume.upload(stream, 0, size)
    stream.sendAll(lambda _, count, source: source.read(count), file)
    stream.finish()


def _remove(ours: "libvirt.virStoragePool", name: str) -> None:
    volume = _find(ours, name)
    if volume is not None:
        volume.delete()


def _find(ours: "libvirt.virStoragePool", name: str) -> "libvirt.virStorageVol | None":
    try:
        return ours.storageVolLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
        return None
