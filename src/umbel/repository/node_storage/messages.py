"""What a storage function and its clients say to each other, but for the blobs' bytes. Pure.

In: values. Out: JSON, one line for each blob of a list. What comes back is bounded, and nothing in
it is trusted: StorageFailed where it is not as agreed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from umbel.repository.model import BlobMissing, StorageFailed, blob_name
from umbel.repository.ports import Stored

SECRET_VARIABLE = "UMBEL_STORAGE_SECRET"  # noqa: S105 -- the variable's name
"""Where a storage function has its secret from."""
MOST_MESSAGE_BYTES = 4096
"""Bytes of a message, or of a line of a list."""
MOST_NAMES = 1000
MOST_NAMES_BYTES = 256 * 1024
"""Of a list of names, and of their sizes."""
MOST_SHARDS = 64
"""Shards of one blob; they are numbered from 0."""
MOST_BYTES = 1 << 60
_LONGEST_TEXT = 500


@dataclass(frozen=True, kw_only=True)
class NodeUsage:
    """What a storage function holds: the number of its shard, None before its first blob; bytes of
    all blobs, and how many they may be; bytes that are free on its disk."""

    shard: int | None
    used_bytes: int
    limit_bytes: int
    free_bytes: int


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a request failed."""

    code: str
    message: str


def parse_error(body: bytes) -> Problem:
    """Of the answer to a request that failed. Raises StorageFailed."""
    found = _object(body)
    code, message = found.get("code"), found.get("message")
    if not isinstance(code, str) or not isinstance(message, str):
        raise StorageFailed("The storage function fails without a reason")
    return Problem(code=code, message=message[:_LONGEST_TEXT])


def encode_usage(usage: NodeUsage) -> bytes:
    """As JSON."""
    return json.dumps(asdict(usage)).encode()


def decode_usage(body: bytes) -> NodeUsage:
    """Raises StorageFailed."""
    found = _object(body)
    shard = None if found.get("shard") is None else _number(found, "shard", MOST_SHARDS - 1)
    return NodeUsage(
        shard=shard,
        used_bytes=_number(found, "used_bytes"),
        limit_bytes=_number(found, "limit_bytes"),
        free_bytes=_number(found, "free_bytes"),
    )


def encode_limit(limit_bytes: int) -> bytes:
    """As JSON."""
    return json.dumps({"limit_bytes": limit_bytes}).encode()


def decode_limit(body: bytes) -> int:
    """Raises StorageFailed."""
    return _number(_object(body), "limit_bytes")


def encode_size(size: int) -> bytes:
    """How much of a blob was kept."""
    return json.dumps({"size": size}).encode()


def decode_size(body: bytes) -> int:
    """Raises StorageFailed."""
    return _number(_object(body), "size")


def encode_names(blobs: Sequence[str]) -> bytes:
    """Whose sizes are asked for."""
    return json.dumps(list(blobs)).encode()


def decode_names(body: bytes) -> list[str]:
    """Raises StorageFailed."""
    found = _parsed(body)
    if not isinstance(found, list) or len(found) > MOST_NAMES:
        raise StorageFailed("What is asked for is no list of names")
    return [_name(one) for one in found]


def encode_sizes(sizes: Mapping[str, int]) -> bytes:
    """As JSON."""
    return json.dumps(dict(sizes)).encode()


def decode_sizes(body: bytes) -> dict[str, int]:
    """Raises StorageFailed."""
    found = _object(body)
    return {_name(blob): _number(found, blob) for blob in found}


def encode_stored(one: Stored) -> bytes:
    """A line."""
    return json.dumps(asdict(one)).encode() + b"\n"


def decode_stored(line: bytes) -> Stored:
    """Of a line. Raises StorageFailed."""
    found = _object(line)
    changed_s, is_whole, name = (found.get(one) for one in ("changed_s", "is_whole", "blob"))
    if not isinstance(changed_s, int | float) or not isinstance(is_whole, bool):
        raise StorageFailed("The storage function lists a blob that is none")
    size = _number(found, "size")
    return Stored(blob=_name(name), size=size, changed_s=float(changed_s), is_whole=is_whole)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _name(name: object) -> str:
    try:
        return blob_name(name if isinstance(name, str) else "")
    except BlobMissing as error:
        raise StorageFailed("The storage function lists a name that is none") from error


def _object(body: bytes) -> Mapping[str, Any]:
    found = _parsed(body)
    if not isinstance(found, dict):
        raise StorageFailed("The storage function answers what is no JSON object")
    return found


def _number(found: Mapping[str, Any], name: str, most: int = MOST_BYTES) -> int:
    number = found.get(name)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= most:
        raise StorageFailed(f"The storage function answers without a valid `{name}`")
    return number
