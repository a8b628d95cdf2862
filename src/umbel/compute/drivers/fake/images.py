"""Images at nodes in memory: which there are, and which guests have them."""

from collections import defaultdict
from collections.abc import Sequence

from umbel.compute.images.model import PARTS, Image, ImageInUse, NoSuchImage, StoredImage
from umbel.compute.images.ports import Sent

_PART_BYTES = 2**20


class FakeImages:
    """Each part of an image is a MiB."""

    def __init__(self) -> None:
        self._at: defaultdict[str, set[str]] = defaultdict(set)
        self._used: dict[str, tuple[str, str]] = {}

    async def list(self, node: str) -> Sequence[StoredImage]:
        return [
            StoredImage(id=one, size_mb=len(PARTS), is_complete=True, used_by=self._by(node, one))
            for one in sorted(self._at[node])
        ]

    async def upload(self, node: str, image: Image, sent: Sent) -> int:
        if image.id in self._at[node]:
            return 0
        total = _PART_BYTES * len(PARTS)
        for number in range(len(PARTS)):
            sent(_PART_BYTES * (number + 1), total)
        self._at[node].add(image.id)
        return total

    async def remove(self, node: str, image_id: str) -> None:
        if image_id not in self._at[node]:
            raise NoSuchImage(f"{node} has no image {image_id}", image=image_id)
        if users := self._by(node, image_id):
            raise ImageInUse(f"{', '.join(users)} began from {image_id}", image=image_id)
        self._at[node].discard(image_id)

    def use(self, node: str, image_id: str, function_id: str) -> None:
        """A guest begins from the image."""
        if image_id:
            self._at[node].add(image_id)
            self._used[function_id] = (node, image_id)

    def release(self, function_id: str) -> None:
        """The guest is gone."""
        self._used.pop(function_id, None)

    def _by(self, node: str, image_id: str) -> tuple[str, ...]:
        return tuple(sorted(f for f, used in self._used.items() if used == (node, image_id)))
