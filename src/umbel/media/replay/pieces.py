"""The pieces of a replay: segments and the initialisation sections that they need. Pure.

In: names as they are in playlists. Out: pieces, or NoSuchPiece.
"""

import math
import re
from dataclasses import dataclass

from umbel.kit.errors import NotFound

_CAPTURE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"(segment|init)-(0|[1-9][0-9]{0,9})\.(m4s|mp4)")
_ENDINGS = {"segment": "m4s", "init": "mp4"}
MOST_PIECE_BYTES = 32 * 2**20
"""More than a recorder's segment has."""


class NoSuchPiece(NotFound):
    """The recording has no such file, or your link does not reach it."""

    code = "umbel.no_such_piece"


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A piece of a capture."""

    capture_id: str
    kind: str
    number: int

    @property
    def name(self) -> str:
        """As playlists name it."""
        return f"{self.kind}-{self.number}.{_ENDINGS[self.kind]}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """When a piece was recorded, by the control plane's clock. A section belongs to all times."""

    began_s: float = -math.inf
    ended_s: float = math.inf


def parse(capture_id: str, name: str) -> Piece:
    """The piece of that name. Raises NoSuchPiece."""
    found = _NAME.fullmatch(name)
    if found is None or found[3] != _ENDINGS[found[1]] or not _CAPTURE.fullmatch(capture_id):
        raise NoSuchPiece
    return Piece(capture_id=capture_id, kind=found[1], number=int(found[2]))
