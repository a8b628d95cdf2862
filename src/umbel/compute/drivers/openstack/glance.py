"""The guests' images in a cloud: a kernel, what it boots with, and a disk, private to the project.

In: images of the control plane. Out: their ids in the cloud. They are named by their content, so
that nodes of one project share them.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umbel.compute.drivers.openstack import servers
from umbel.compute.images.folder import Images
from umbel.compute.images.model import PARTS, Image, ImageCorrupt, StoredImage
from umbel.compute.images.ports import Sent

if TYPE_CHECKING:
    from openstack.connection import Connection

_HARDWARE = {
    "os_command_line": "console=ttyS0 quiet",
    "hw_disk_bus": "virtio",
    "hw_vif_model": "virtio",
    "hw_cdrom_bus": "scsi",
    "hw_scsi_model": "virtio-scsi",
    "hw_rng_model": "virtio",
    "hw_qemu_guest_agent": "yes",
}
"""What guests of ours have drivers for."""


def name(installation: str, image_id: str) -> str:
    """What the image's disk is called."""
    return f"{_prefix(installation)}{image_id}"


def _prefix(installation: str) -> str:
    return f"umbel-{installation}-"


def put(
    to: "Connection", image: Image, images: Images, called: str, sent: Sent = lambda _d, _t: None
) -> tuple[str, int]:
    """Have the image there, with its kernel: the disk's id, and how many bytes were missing. What
    was sent in part is sent again. Raises ImageCorrupt."""
    ids = {part: _found(to, _named(called, part)) for part in PARTS}
    missing = {part: images.part(image, part) for part in PARTS if not ids[part]}
    total, done = sum(path.stat().st_size for path in missing.values()), 0
    for part, path in missing.items():
        with _SentFile(path, partial(_add, sent, done, total)) as data:
            ids[part] = _send(to, image, part, _named(called, part), ids, data)
            if data.hash.hexdigest() != image.hashes[part]:
                to.image.delete_image(ids[part])
                message = f"{path} is not the {part} of {image.id}: build or upload the image again"
                raise ImageCorrupt(message, image=image.id, part=part)
        done += path.stat().st_size
    return ids["disk"], done


def _named(called: str, part: str) -> str:
    return called if part == "disk" else f"{called}-{part}"


def _add(sent: Sent, before: int, total: int, count: int) -> None:
    sent(before + count, total)


class _SentFile(io.FileIO):
    """A file that is read once, from its beginning: its hash, and a call for each piece."""

    def __init__(self, path: Path, moved: Callable[[int], None]) -> None:
        super().__init__(path)
        self.hash = hashlib.sha256()
        self._moved = moved

    def read(self, count: int | None = -1) -> bytes:
        """The next bytes."""
        data = super().read(count) or b""
        self.hash.update(data)
        if data:
            self._moved(self.tell())
        return data


def stored(to: "Connection", installation: str) -> list[StoredImage]:
    """The installation's images that are there, by id, and the functions whose servers began from
    them, of all nodes in the project."""
    prefix = _prefix(installation)
    parts: dict[str, dict[str, Any]] = {}
    for one in to.image.images(visibility="private"):
        if (one.name or "").startswith(prefix):
            id_, part = _part(one.name.removeprefix(prefix))
            parts.setdefault(id_, {})[part] = one
    users: dict[str, set[str]] = {}
    for server in to.compute.servers(details=True, tags=servers.MARK):
        record = servers.parse(server.metadata or {})
        if record is not None and server.image is not None:
            users.setdefault(str(server.image.id), set()).add(record.id)
    return [
        StoredImage(
            id=id_,
            size_mb=sum(one.size or 0 for one in there.values()) / 2**20,
            is_complete=sum(one.status == "active" for one in there.values()) == len(PARTS),
            used_by=tuple(sorted(users.get(there["disk"].id, ()))) if "disk" in there else (),
        )
        for id_, there in sorted(parts.items())
    ]


def remove(to: "Connection", called: str) -> None:
    """Leave nothing of the image there."""
    for part in ("disk", "initrd", "kernel"):
        for one in list(to.image.images(name=_named(called, part))):
            to.image.delete_image(one.id)


def _part(name_: str) -> tuple[str, str]:
    for part in ("kernel", "initrd"):
        if name_.endswith(f"-{part}"):
            return name_.removesuffix(f"-{part}"), part
    return name_, "disk"


def try_one(to: "Connection", named: str) -> None:
    """Make an image of nothing, and remove it."""
    made = to.image.create_image(
        named,
        data=None,
        disk_format="raw",
        container_format="bare",
        visibility="private",
        allow_duplicates=True,
    )
    to.image.delete_image(made.id)


def clear(to: "Connection", installation: str) -> None:
    """Remove the installation's images."""
    prefix = _prefix(installation)
    for image in list(to.image.images(visibility="private")):
        if (image.name or "").startswith(prefix):
            to.image.delete_image(image.id)


def _found(to: "Connection", named: str) -> str:
    """The id of the image of that name that is there as a whole."""
    for one in to.image.images(name=named):
        if one.status == "active":
            return str(one.id)
        to.image.delete_image(one.id)
    return ""


def _send(
    to: "Connection", image: Image, part: str, named: str, ids: Mapping[str, str], data: io.FileIO
) -> str:
    properties: dict[str, Any] = {}
    if part == "disk":
        properties = {**_HARDWARE, "kernel_id": ids["kernel"], "ramdisk_id": ids["initrd"]}
        properties["min_ram"] = image.memory_mb
    made = to.image.create_image(
        named,
        data=data,
        # Kernels as `aki` boot, too, but Nova refuses to fetch them when their server is moved.
        disk_format="raw",
        container_format="bare",
        visibility="private",
        wait=True,
        timeout=600,
        validate_checksum=False,
        allow_duplicates=True,
        **properties,
    )
    return str(made.id)
