"""How many connections a listener keeps open, by address and in all, so that none keeps others out.

In: connections as they come, with their peers' addresses. Out: whether each may stay. Where there
is no room, the oldest idle connection is ended: of the same address, or of all. Pure.
"""

import ipaddress
from typing import Generic, Protocol, TypeVar


class BoundedConnection(Protocol):
    """A connection, as far as it matters here."""

    @property
    def is_idle(self) -> bool:
        """Whether it may make room for a new one: nobody waits for what it does."""

    def end(self) -> None:
        """End it at once."""


C = TypeVar("C", bound=BoundedConnection)


class Connections(Generic[C]):
    """The open ones, in the order in which they came."""

    def __init__(self, *, most: int, most_per_address: int) -> None:
        self._most, self._most_per_address = most, most_per_address
        self._sources: dict[C, str] = {}
        self._by_source: dict[str, dict[C, None]] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def admit(self, connection: C, address: str) -> bool:
        """Whether there is room for it, perhaps because another one was ended; then it counts."""
        source = source_of(address)
        own = self._by_source.get(source, {})
        if len(own) >= self._most_per_address and not self._end_oldest(own):
            return False
        if len(self._sources) >= self._most and not self._end_oldest(self._sources):
            return False
        self._sources[connection] = source
        self._by_source.setdefault(source, {})[connection] = None
        return True

    def remove(self, connection: C) -> None:
        """It has ended, or counts no longer. An unknown one is not an error."""
        source = self._sources.pop(connection, None)
        if source is None:
            return
        own = self._by_source[source]
        del own[connection]
        if not own:
            del self._by_source[source]

    def _end_oldest(self, among: dict[C, None] | dict[C, str]) -> bool:
        idle = next((one for one in among if one.is_idle), None)
        if idle is None:
            return False
        self.remove(idle)
        idle.end()
        return True


def source_of(address: str) -> str:
    """What counts as one address: an IPv6 host has a whole /64. Empty for what is no address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
