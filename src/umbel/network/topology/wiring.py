"""How each site's bridges are to be wired, and streams' own addresses. Pure.

In: sites, and which neighbours tunnels lead to. Out: wirings for the Bridges below.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from umbel.network.overlay.streams import MOST_STREAMS, Stream
from umbel.network.topology.sites import Site, Tunnel, TunnelKind, Wiring

_FIRST_PORT, _PORTS = 16_384, 32_768


@dataclass(frozen=True, kw_only=True)
class Cable:
    """What all tunnels of an overlay have in common: see sites.Tunnel."""

    key: int = 1
    kind: TunnelKind = TunnelKind.GRE
    bfd_ms: int = 100


def wirings(
    sites: Mapping[str, Site],
    tunnels: Mapping[str, Collection[str]],
    controller: str,
    cable: Cable,
) -> Mapping[str, Wiring]:
    """Each site's wiring. Neighbours without an address of their own on the link get no tunnel."""
    return {
        node: Wiring(
            controller=controller,
            tunnels=tuple(
                Tunnel(
                    neighbour=near,
                    local=site.underlay[near],
                    remote=sites[near].underlay[node],
                    key=cable.key,
                    kind=cable.kind,
                    bfd_ms=cable.bfd_ms,
                )
                for near in sorted(tunnels.get(node, ()))
                if joined(sites, node, near)
            ),
        )
        for node, site in sites.items()
    }


def joined(sites: Mapping[str, Site], a: str, b: str) -> bool:
    """Whether a tunnel can be made between two nodes."""
    return a in sites and b in sites and b in sites[a].underlay and a in sites[b].underlay


def allot(name: str, others: Collection[Stream]) -> Stream:
    """A stream with a number, address (10.203.x.y) and port of its own. They come from its name,
    the next free ones where another stream has them: a control plane that starts anew allots the
    same again, whatever the order, but for that rare case."""
    seed = hashlib.blake2b(name.encode(), digest_size=8).digest()
    number = int.from_bytes(seed[:4], "big") % MOST_STREAMS
    numbers = {other.number for other in others}
    while number + 1 in numbers:
        number = (number + 1) % MOST_STREAMS
    place = 1 + int.from_bytes(seed[2:6], "big") % 0xFFFE
    target = f"10.203.{place >> 8}.{place & 0xFF}"
    port = int.from_bytes(seed[6:], "big") % _PORTS
    taken = {other.port for other in others if other.target == target}
    while _FIRST_PORT + port in taken:
        port = (port + 1) % _PORTS
    return Stream(name=name, number=number + 1, target=target, port=_FIRST_PORT + port)
