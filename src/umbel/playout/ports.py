"""What playout needs of the platform."""

from typing import Protocol

from umbel.delivery.model import IngestPoint


class Ingesting(Protocol):
    """Where encoders push."""

    async def open_ingest(
        self, event_id: str, sources: tuple[str, ...] | None = None
    ) -> IngestPoint:
        """Have an acquirer for the event, and answer where it is. Raises EventNotOpen, NoCapacity,
        NotReady."""
