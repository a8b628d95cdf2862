"""An address for transfers as a value, and what can be wrong with one."""

from dataclasses import dataclass
from enum import Enum

from umbel.kit.errors import Exhausted, Invalid, NotFound

MOST_OF_ONE = 64
"""Addresses that one item may have at a time."""


class NoSuchTransfer(NotFound):
    """The address is of no transfer: it expired, its item is gone, or it never was one."""

    code = "umbel.no_such_transfer"


class WrongDirection(Invalid):
    """The address is for uploads and not for reading, or the other way round."""

    code = "umbel.wrong_direction"
    http_status = 405


class TooManyTransfers(Exhausted):
    """The item has as many addresses as it may have; they expire when they are not used."""

    code = "umbel.too_many_transfers"
    retry_after_s = 60


class Direction(Enum):
    """Which way bytes go."""

    UPLOAD = "upload"
    DOWNLOAD = "download"


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What an address is good for, until `until_s` (epoch seconds), which each use moves on."""

    item: str
    direction: Direction
    until_s: float
