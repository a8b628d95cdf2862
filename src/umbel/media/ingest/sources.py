"""From which hosts a stream's ports without keys take a publisher: addresses and prefixes. Pure.

In: texts as a provider gave them. Out: whether a host is among them.
"""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from umbel.kit.errors import Forbidden
from umbel.media.rtp.errors import BadSource

MOST_SOURCES = 64
_MOST_REMEMBERED = 4_096

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ForeignSource(Forbidden):
    """The packets come from an address that is not among the event's ingest sources."""

    code = "umbel.foreign_source"


def parse(texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks, each once. Raises BadSource."""
    if len(texts) > MOST_SOURCES:
        raise BadSource(f"There are at most {MOST_SOURCES} sources")
    try:
        return tuple(dict.fromkeys(ipaddress.ip_network(text) for text in texts))
    except ValueError as error:
        raise BadSource(str(error)) from error


@lru_cache(_MOST_REMEMBERED)
def includes(sources: tuple[Network, ...], host: str) -> bool:
    """Whether the host may publish: where there are no sources, any may."""
    if not sources:
        return True
    address = ipaddress.ip_address(host)
    return any(address in network for network in sources)
