"""The WebRTC clients of one element: whose they are, their ICE sessions' tags, what they got.

In: answers, ends, tags from If-Match headers. Out: who is there, counts that never go back.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from umbel.kit.errors import Invalid
from umbel.media.io.webrtc_port import UnknownResource
from umbel.media.server.elements.flow import Count


class TagStale(Invalid):
    """The If-Match header names another ICE session."""

    code = "umbel.ice_session_stale"
    http_status = 412


@dataclass
class _Peer:
    session: str
    generation: int = 1
    count: Count = field(default_factory=Count)


class Peers:
    """By resource. `counts` tells what a client was sent or has sent, None when it is gone."""

    def __init__(self, counts: Callable[[], dict[str, Count]]) -> None:
        self._counts = counts
        self._peers: dict[str, _Peer] = {}
        self._past = Count()

    def add(self, resource: str, session: str) -> None:
        """A client came."""
        self._peers[resource] = _Peer(session)

    def remove(self, resource: str) -> None:
        """It went; what it got still counts."""
        gone = self._peers.pop(resource, None)
        if gone is not None:
            self._past = _sum(self._past, gone.count)

    def resources(self) -> list[str]:
        """The clients that are there."""
        return list(self._peers)

    def of(self, sessions: Collection[str]) -> list[str]:
        """Those of these sessions, the oldest first."""
        return [resource for resource, peer in self._peers.items() if peer.session in sessions]

    def sessions(self) -> tuple[str, ...]:
        """Whose they are, each once."""
        return tuple(dict.fromkeys(peer.session for peer in self._peers.values()))

    def owner(self, resource: str) -> str:
        """Whose it is. Raises UnknownResource."""
        return self._peer(resource).session

    def tag(self, resource: str) -> str:
        """The ETag of its ICE session (RFC 9725 section 4.3.1). Raises UnknownResource."""
        return f'"{self._peer(resource).generation}"'

    def check_tag(self, resource: str, given: str | None) -> None:
        """Raises TagStale. `*` is a restart, and without a tag the only session is meant."""
        if given not in (None, "*", self.tag(resource)):
            raise TagStale

    def restarted(self, resource: str) -> None:
        """Its ICE session is a new one."""
        self._peer(resource).generation += 1

    def count(self) -> Count:
        """All there were, together."""
        total, now = self._past, self._counts()
        for resource, peer in self._peers.items():
            peer.count = now.get(resource, peer.count)
            total = _sum(total, peer.count)
        return total

    def _peer(self, resource: str) -> _Peer:
        if resource not in self._peers:
            raise UnknownResource
        return self._peers[resource]


def _sum(a: Count, b: Count) -> Count:
    return Count(packets=a.packets + b.packets, bytes=a.bytes + b.bytes)
