"""What somebody is reminded of."""

from dataclasses import dataclass

from umbel.catalogue.model import Event


@dataclass(frozen=True, kw_only=True)
class Reminder:
    """An event that somebody reserved to watch, and where to write to."""

    username: str
    email: str
    event: Event
