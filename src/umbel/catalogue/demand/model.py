"""What the catalogue knows of the viewers that an event is to have. Times are epoch seconds."""

from dataclasses import dataclass

from umbel.catalogue.model import Event

UNKNOWN = ""
"""The access node of accounts of which none is known."""


@dataclass(frozen=True, kw_only=True)
class Starting:
    """An event that is not over, and the node that its provider's encoders reach first."""

    event: Event
    access_node: str


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """An event of the past, and how many accounts had reserved it to watch."""

    event: Event
    reservations: int
