"""Stream keys: `<event id>.<secret>`; only SHA-256 digests are kept. Text in, yes or no out."""

import hmac
from collections.abc import Iterable

from umbel.kit.errors import Conflict, Unauthenticated
from umbel.kit.keys import digest


class WrongStreamKey(Unauthenticated):
    """The stream key is not valid for this stream."""

    code = "umbel.wrong_stream_key"


class AlreadyPublishing(Conflict):
    """Somebody else is publishing this stream; one publisher at a time."""

    code = "umbel.already_publishing"


def known(key: str, hashes: Iterable[str]) -> bool:
    """Whether the key has one of these digests; takes the same time wherever they differ."""
    ours = digest(key)
    return sum(hmac.compare_digest(ours, item) for item in hashes) > 0


def stream_of(key: str) -> str:
    """The event that a key claims to be for, however wrong its secret is."""
    return key.partition(".")[0]


def from_srt(stream_id: str) -> str:
    """The key in an SRT stream id: the whole of it, or the resource name of the access-control
    form `#!::r=KEY,m=publish`."""
    if not stream_id.startswith("#!::"):
        return stream_id
    pairs = (item.partition("=") for item in stream_id[4:].split(","))
    return next((value for name, _, value in pairs if name == "r"), "")
