"""What the control plane and an edge say to each other about replays, as JSON. Pure.

In: orders and reports, or bytes from the other end, which are not trusted. Out: bytes, or values.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from umbel.kit.errors import Invalid
from umbel.media.replay import pieces
from umbel.media.replay.pieces import NoSuchPiece, Piece

T = TypeVar("T")
MOST_WANTED = 64
"""Pieces that one report asks for."""
MOST_NAMED = 1_000
"""Captures or grants that one message names."""
MOST_MESSAGE_BYTES = 512 * 1024
MOST_USED = 400
"""Grants that one report names."""
_LONGEST_NAME = 200
_LONGEST_TOKEN = 1_000


class ReplayMessageMalformed(Invalid):
    """The message about replays is not valid: the control plane and the edge are of different
    versions."""

    code = "umbel.replay_message_malformed"


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What an edge is to do: how much replays may send there (Mbit/s), the front end's URL for what
    it cannot serve (empty: not known), captures that are deleted, and the ids of grants whose
    holders have no right any more."""

    mbps: float
    home: str = ""
    dropped: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an edge says: pieces it lacks, captures of which it keeps something, and the tokens of
    the grants that were used since the last report."""

    wanted: tuple[Piece, ...] = ()
    captures: tuple[str, ...] = ()
    used: tuple[str, ...] = ()


def encode_orders(orders: Orders) -> bytes:
    """As JSON."""
    body = {
        "mbps": orders.mbps,
        "home": orders.home,
        "dropped": orders.dropped,
        "ended": orders.ended,
    }
    return json.dumps(body).encode()


def decode_orders(body: bytes) -> Orders:
    """Raises ReplayMessageMalformed."""
    given = _object(body)
    mbps = given.get("mbps")
    if isinstance(mbps, bool) or not isinstance(mbps, int | float):
        raise ReplayMessageMalformed
    if not (math.isfinite(mbps) and mbps >= 0):
        raise ReplayMessageMalformed
    home = given.get("home", "")
    return Orders(
        mbps=mbps,
        home=_text(home),
        dropped=_names(given.get("dropped", ())),
        ended=_names(given.get("ended", ())),
    )


def encode_report(report: Report) -> bytes:
    """As JSON."""
    body = {
        "wanted": [[one.capture_id, one.name] for one in report.wanted],
        "captures": report.captures,
        "used": report.used,
    }
    return json.dumps(body).encode()


def decode_report(body: bytes) -> Report:
    """Raises ReplayMessageMalformed."""
    given = _object(body)
    return Report(
        wanted=_list(given.get("wanted", ()), _piece, MOST_WANTED),
        captures=_names(given.get("captures", ())),
        used=_list(given.get("used", ()), _token, MOST_USED),
    )


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > MOST_MESSAGE_BYTES:
        raise ReplayMessageMalformed
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ReplayMessageMalformed from error
    if not isinstance(given, dict):
        raise ReplayMessageMalformed
    return given


def _list(given: object, read: Callable[[Any], T], most: int) -> tuple[T, ...]:
    if not isinstance(given, list | tuple) or len(given) > most:
        raise ReplayMessageMalformed
    return tuple(read(one) for one in given)


def _names(given: object) -> tuple[str, ...]:
    return _list(given, _text, MOST_NAMED)


def _text(given: object) -> str:
    if not isinstance(given, str) or len(given) > _LONGEST_NAME:
        raise ReplayMessageMalformed
    return given


def _token(given: object) -> str:
    if not isinstance(given, str) or len(given) > _LONGEST_TOKEN:
        raise ReplayMessageMalformed
    return given


def _piece(given: object) -> Piece:
    words = _list(given, _text, 2)
    if len(words) != 2:
        raise ReplayMessageMalformed
    try:
        return pieces.parse(*words)
    except NoSuchPiece as error:
        raise ReplayMessageMalformed from error
