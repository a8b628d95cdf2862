"""What a VIM with images at its nodes does. tests/contract/test_image_storage.py defines it."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from umbel.compute.images.model import Image, StoredImage

Sent = Callable[[int, int], None]
"""Called from any thread with bytes sent by now, of how many."""


class ImageStorage(Protocol):
    """Keeps images at nodes, where guests begin from them. All raise Unavailable
    (HypervisorUnreachable, HypervisorFailed) too."""

    async def list(self, node: str) -> Sequence[StoredImage]:
        """The images at the node, by id, and the functions whose guests have them."""

    async def upload(self, node: str, image: Image, sent: Sent) -> int:
        """Have the image at the node; how many bytes of it were missing. Raises NoSuchImage,
        StorageFull, and ImageCorrupt where the control plane's parts are not the image's."""

    async def remove(self, node: str, image_id: str) -> None:
        """The image is gone from the node. Raises NoSuchImage, ImageInUse."""


@runtime_checkable
class KeepsImages(Protocol):
    """A VIM whose guests begin from images."""

    @property
    def images(self) -> ImageStorage:
        """Where they are kept."""
