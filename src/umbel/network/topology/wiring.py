"""How each site's bridges are to be wired, and streams' own addresses. Pure.

In: sites, and which neighbours tunnels lead to. Out: wirings for the Bridges below.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from umbel.network.topology.sites import Site, Tunnel, TunnelKind, UnderlayRoute, Wiring


@dataclass(frozen=True, kw_only=True)
class TunnelSettings:
    """What all tunnels of an overlay have in common: see sites.Tunnel."""

    key: int = 1
    kind: TunnelKind = TunnelKind.GRE
    bfd_ms: int = 100


def wirings(
    sites: Mapping[str, Site],
    tunnels: Mapping[str, Collection[str]],
    controller: str,
    tunnel_settings: TunnelSettings,
    targets: Mapping[str, Collection[str]],
    routes: Mapping[str, tuple[UnderlayRoute, ...]],
) -> Mapping[str, Wiring]:
    """Each site's wiring. Neighbours without an address of their own on the link get no tunnel.
    `targets` are the foreign addresses that nodes' processes send streams to, and `routes` those
    over the links, by node."""
    return {
        node: Wiring(
            controller=controller,
            tunnels=tuple(
                Tunnel(
                    neighbour=near,
                    local=site.underlay[near],
                    remote=sites[near].underlay[node],
                    key=tunnel_settings.key,
                    kind=tunnel_settings.kind,
                    bfd_ms=tunnel_settings.bfd_ms,
                )
                for near in sorted(tunnels.get(node, ()))
                if joined(sites, node, near)
            ),
            targets=tuple(sorted(targets.get(node, ()))),
            routes=routes.get(node, ()),
        )
        for node, site in sites.items()
    }


def joined(sites: Mapping[str, Site], a: str, b: str) -> bool:
    """Whether a tunnel can be made between two nodes."""
    return a in sites and b in sites and b in sites[a].underlay and a in sites[b].underlay
