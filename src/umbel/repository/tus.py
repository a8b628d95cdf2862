"""The headers of tus 1.0.0 (https://tus.io/protocols/resumable-upload), parsed and made. Pure.

In: values of headers as a client sent them. Out: numbers, metadata and checksums, or the error that
the protocol asks for.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from umbel.kit.errors import Conflict, Invalid, UnsupportedMediaType
from umbel.repository.model import LONGEST_VALUE

VERSION = "1.0.0"
EXTENSIONS = ("creation", "termination", "expiration", "checksum")
OFFSET_TYPE = "application/offset+octet-stream"
ALGORITHMS = ("sha1", "sha256", "sha512", "md5")
"""Those of `hashlib` that a client may choose for a checksum."""
MOST_BYTES = 2**50

_NUMBER = re.compile(r"\d{1,16}", re.ASCII)
_KEY = re.compile(r"[!-+\--~]{1,128}", re.ASCII)
"""Printable ASCII without space and comma."""


class TusVersion(Invalid):
    """The client speaks another version of tus, or names none: send `Tus-Resumable: 1.0.0`."""

    code = "umbel.tus_version"
    http_status = 412


class BadTusHeader(Invalid):
    """A header of the upload is missing or cannot be read."""

    code = "umbel.bad_tus_header"


class TusOffset(Conflict):
    """The bytes do not follow those that are there: ask with HEAD where to go on."""

    code = "umbel.tus_offset"


class TusChecksum(Invalid):
    """The bytes are not those of the checksum; nothing was kept of them: send them again."""

    code = "umbel.tus_checksum"
    http_status = 460


class TusContentType(UnsupportedMediaType):
    """The bytes of an upload come as `application/offset+octet-stream`."""

    code = "umbel.tus_content_type"


@dataclass(frozen=True, kw_only=True)
class Checksum:
    """What the bytes of one request must give, by an algorithm of `hashlib`."""

    algorithm: str
    digest: bytes


def check_version(value: str | None) -> None:
    """Raises TusVersion."""
    if value != VERSION:
        raise TusVersion


def number(name: str, value: str | None) -> int:
    """The header's number. Raises BadTusHeader."""
    if value is None or _NUMBER.fullmatch(value) is None or int(value) > MOST_BYTES:
        raise BadTusHeader(f"{name} is a number of bytes", header=name)
    return int(value)


def metadata(value: str) -> Mapping[str, str]:
    """The pairs of Upload-Metadata; bytes that are no UTF-8 are replaced. Raises BadTusHeader."""
    if len(value) > LONGEST_VALUE:
        raise BadTusHeader(f"Upload-Metadata has {LONGEST_VALUE} characters at most")
    found: dict[str, str] = {}
    for pair in value.split(",") if value.strip() else ():
        key, _, encoded = pair.strip(" ").partition(" ")
        if _KEY.fullmatch(key) is None or key in found:
            raise BadTusHeader("A key of Upload-Metadata is ASCII without spaces, and comes once")
        found[key] = _decoded("Upload-Metadata", encoded).decode("utf-8", "replace")
    return found


def checksum(value: str | None) -> Checksum | None:
    """What Upload-Checksum says; None without the header. Raises BadTusHeader."""
    if value is None:
        return None
    algorithm, _, encoded = value.partition(" ")
    if algorithm not in ALGORITHMS:
        raise BadTusHeader(f"Upload-Checksum is made by one of {', '.join(ALGORITHMS)}")
    return Checksum(algorithm=algorithm, digest=_decoded("Upload-Checksum", encoded))


def check_content_type(value: str) -> None:
    """Raises TusContentType."""
    if value.partition(";")[0].strip().lower() != OFFSET_TYPE:
        raise TusContentType


def _decoded(name: str, encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadTusHeader(f"{name} has a value that is not Base64", header=name) from error
