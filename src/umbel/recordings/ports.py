"""What recordings need of delivery: where recorders are, and the edges that serve viewers. Media
has the ports to ask them.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from umbel.media.model import Server


class RecorderAt(Protocol):
    """Where a recorder gives its segments to anyone who has the token."""

    @property
    def url(self) -> str: ...

    @property
    def token(self) -> str: ...


class RunningRecorders(Protocol):
    """Which recorders run."""

    async def all(self) -> Mapping[str, RecorderAt]:
        """Those that can be asked, by stream."""

    async def lacking(self, streams: Collection[str]) -> Mapping[str, str]:
        """Why there is no room for one, by those of the streams that have none."""

    async def stream(self, event_id: str, quality: str) -> str:
        """The stream that is recorded for the event in a quality. Raises Unprocessable where the
        event is not on offer in it."""


class ReplayEdge(Protocol):
    """An edge that serves recordings, and what it may send to their viewers (Mbit/s)."""

    @property
    def server(self) -> Server: ...

    @property
    def mbps(self) -> float: ...


class RunningReplayEdges(Protocol):
    """Which edges serve recordings."""

    async def all(self) -> Mapping[str, ReplayEdge]:
        """Those that can be reached, by function."""

    async def note(
        self, function: str, *, captures: Collection[str], used: Collection[str]
    ) -> None:
        """What the edge keeps something of, and the grants that were used there."""

    def forget(self, function: str) -> None:
        """The edge does not answer any more."""
