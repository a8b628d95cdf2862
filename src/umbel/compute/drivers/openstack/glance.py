"""The guests' images in a cloud: a kernel, what it boots with, and a disk, private to the project.

In: images of the control plane. Out: their ids in the cloud. They are named by their content, so
that nodes of one project share them.
"""

from typing import TYPE_CHECKING, Any

from umbel.compute.images.folder import Images
from umbel.compute.images.model import Image

if TYPE_CHECKING:
    from openstack.connection import Connection

_FORMATS = {"kernel": "aki", "initrd": "ari", "disk": "raw"}
_CONTAINERS = {"kernel": "aki", "initrd": "ari", "disk": "bare"}
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


def name(installation: str, image: Image) -> str:
    """What the image's disk is called."""
    return f"{_prefix(installation)}{image.id}"


def _prefix(installation: str) -> str:
    return f"umbel-{installation}-"


def put(to: "Connection", image: Image, images: Images, called: str) -> str:
    """Have the image there, with its kernel; the disk's id. What was sent in part is sent again."""
    ids: dict[str, str] = {}
    for part in ("kernel", "initrd", "disk"):
        named = called if part == "disk" else f"{called}-{part}"
        ids[part] = _found(to, named) or _send(to, image, images, part, named, ids)
    return ids["disk"]


def try_one(to: "Connection", named: str) -> None:
    """Make an image of nothing, and remove it."""
    made = to.image.create_image(
        named, disk_format="raw", container_format="bare", visibility="private", data=None
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
    to: "Connection", image: Image, images: Images, part: str, named: str, ids: dict[str, str]
) -> str:
    properties: dict[str, Any] = {}
    if part == "disk":
        properties = {**_HARDWARE, "kernel_id": ids["kernel"], "ramdisk_id": ids["initrd"]}
        properties["min_ram"] = image.memory_mb
    with images.part(image, part).open("rb") as data:  # the library would leave it open
        made = to.image.create_image(
            named,
            data=data,
            disk_format=_FORMATS[part],
            container_format=_CONTAINERS[part],
            visibility="private",
            wait=True,
            timeout=600,
            validate_checksum=False,
            allow_duplicates=True,
            **properties,
        )
    return str(made.id)
