"""Time zones by their IANA names. The data come with the platform (tzdata)."""

import re
from zoneinfo import ZoneInfo

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9][A-Za-z0-9_+-]{0,31}){0,2}")


def find(name: str) -> ZoneInfo | None:
    """The zone, such as Europe/Rome; None where none is known. What is no name never reaches the
    file system."""
    if _NAME.fullmatch(name) is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
