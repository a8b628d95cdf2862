"""An item of the repository as a value, its life, and what can be wrong with one.

Sizes are bytes, times are epoch seconds.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from umbel.kit.errors import Conflict, Exhausted, Invalid, NotFound, Unavailable
from umbel.kit.states import Table

MOST_METADATA = 32
"""Metadata entries of one item."""
LONGEST_KEY = 128
LONGEST_VALUE = 4096
"""Characters of a key and of a value."""
MOST_PARTS = 10_000
"""Pieces that one item may be appended in."""
MOST_UPLOADS = 32
"""Uploads that one owner may have under way."""
MOST_FOUND = 10_000
"""Items that one search answers."""


class NoSuchItem(NotFound):
    """The repository has no item with this id: it was deleted, it expired, or it never existed."""

    code = "umbel.no_such_item"


class BadMetadata(Invalid):
    """The metadata are too many or too long, or hold characters that cannot be stored."""

    code = "umbel.bad_metadata"
    http_status = 422


class BadPattern(Invalid):
    """The regular expression cannot be used: it is wrong, too long, or needs back references."""

    code = "umbel.bad_pattern"
    http_status = 422


class TooManyItems(Conflict):
    """The owner has as many items as it may have; delete some."""

    code = "umbel.too_many_items"


class TooManyParts(Conflict):
    """The item was appended in as many pieces as it may have; send larger ones."""

    code = "umbel.too_many_parts"


class TooManyUploads(Exhausted):
    """The owner has too many uploads under way; try again when one has ended."""

    code = "umbel.too_many_uploads"


class TooManyFound(Invalid):
    """More items match than one search answers; search for more metadata."""

    code = "umbel.too_many_found"


class RepositoryQuotaReached(Conflict):
    """The owner's items would take more bytes than they may; delete some."""

    code = "umbel.repository_quota_reached"


class UploadOffset(Conflict):
    """The bytes do not follow those that the item has: continue where it ends."""

    code = "umbel.upload_offset"
    http_status = 501


class UploadEnded(Conflict):
    """The item was deleted, or the upload was given up, while its bytes came; begin again."""

    code = "umbel.upload_ended"


class UploadIncomplete(Invalid):
    """The upload ended before all bytes that it declared had come; nothing was kept of it."""

    code = "umbel.upload_incomplete"


class ItemEmpty(Conflict):
    """Nothing was uploaded to the item yet."""

    code = "umbel.item_empty"


class ItemDamaged(Conflict):
    """The item's bytes are lost, or are not those that were uploaded; upload them again."""

    code = "umbel.item_damaged"


class RepositoryFull(Exhausted):
    """The disk or bucket of the repository is full: nothing of this upload was kept."""

    code = "umbel.repository_full"


class StorageFailed(Unavailable):
    """The storage of the repository does not answer, or it fails."""

    code = "umbel.repository_storage_failed"


class BlobMissing(NotFound):
    """The storage has no bytes of this name."""

    code = "umbel.blob_missing"


_BLOB = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")


def blob_name(blob: str) -> str:
    """The name, which may be part of a path or a key. Raises BlobMissing for what is none."""
    if not _BLOB.fullmatch(blob):
        raise BlobMissing(f"There is no blob {blob!r}", blob=blob)
    return blob


class ItemState(Enum):
    """What there is of an item's bytes: none yet, all of them, or some are lost or wrong."""

    EMPTY = "empty"
    STORED = "stored"
    DAMAGED = "damaged"


class ItemEvent(Enum):
    """What happens to the bytes: they were written, found to be wrong, or found to be right."""

    WRITE = "write"
    DAMAGE = "damage"
    RECOVER = "recover"


ITEM_LIFE = Table[ItemState, ItemEvent](
    {
        (ItemState.EMPTY, ItemEvent.WRITE): ItemState.STORED,
        (ItemState.STORED, ItemEvent.WRITE): ItemState.STORED,
        (ItemState.STORED, ItemEvent.DAMAGE): ItemState.DAMAGED,
        (ItemState.DAMAGED, ItemEvent.WRITE): ItemState.STORED,
        (ItemState.DAMAGED, ItemEvent.RECOVER): ItemState.STORED,
    }
)


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something that is kept for `owner`. `sha256` is that of all bytes, hexadecimal, and empty
    while it is not known; `problem` says what is wrong with a damaged one. It is deleted at
    `expires_s`, never where that is None."""

    id: str
    owner: str
    state: ItemState = ItemState.EMPTY
    size: int = 0
    sha256: str = ""
    content_type: str = ""
    metadata: Mapping[str, str]
    problem: str = ""
    version: int = 1
    created_s: float
    changed_s: float
    expires_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One piece of an item's bytes, which the storage keeps under the name `blob`."""

    blob: str
    item: str
    number: int
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Content:
    """An item with its parts in order, as they were at one moment."""

    item: Item
    parts: tuple[Part, ...]

    @property
    def etag(self) -> str:
        """A strong validator of the bytes (RFC 9110, section 8.8.3)."""
        digests = "".join(part.sha256 for part in self.parts)
        return f'"{hashlib.sha256(digests.encode()).hexdigest()[:32]}"'


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an owner's items take, and may take at most."""

    items: int
    bytes: int
    quota_bytes: int


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raise BadMetadata unless they can be stored on every database."""
    if len(metadata) > MOST_METADATA:
        raise BadMetadata(f"An item has {MOST_METADATA} metadata at most, not {len(metadata)}")
    for key, value in metadata.items():
        if not 0 < len(key) <= LONGEST_KEY:
            raise BadMetadata(f"A key of metadata has 1 to {LONGEST_KEY} characters")
        if len(value) > LONGEST_VALUE:
            raise BadMetadata(f"A value of metadata has {LONGEST_VALUE} characters at most")
        if not (_is_text(key) and _is_text(value)):
            raise BadMetadata("Metadata are text without NUL")


def _is_text(text: str) -> bool:
    # PostgreSQL stores neither NUL nor half of a surrogate pair.
    return "\x00" not in text and not any(0xD800 <= ord(one) <= 0xDFFF for one in text)
