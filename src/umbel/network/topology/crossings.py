"""Tunnels over ground that is not the operator's: which there are, and their keys. Pure.

In: sites whose links cross into another domain, and the platform's master key. Out: what each end
of such a link must be. Overlay tunnels (GRE) run inside a WireGuard tunnel there, which goes
between the two nodes' underlay addresses; without one they run over the link as it is.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from umbel.network.topology.sites import Site

_KEEPALIVE_S = 15


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """One end of a link into another domain: `device` is the switch's cable, `inner` and `far` the
    underlay addresses here and there; `local` and `remote` (ADDRESS:PORT) are where encrypted
    packets are taken here and there."""

    node: str
    neighbour: str
    device: str
    inner: str
    far: str
    local: str
    remote: str


def of(site: Site, sites: Mapping[str, Site]) -> Iterator[Crossing]:
    """The ends that a node has. Links whose other end says nothing of it are not crossed."""
    for neighbour, local in site.crossings.items():
        other = sites.get(neighbour)
        if other is not None and site.node in other.crossings:
            yield Crossing(
                node=site.node,
                neighbour=neighbour,
                device=site.cables[neighbour],
                inner=site.underlay[neighbour],
                far=other.underlay[site.node],
                local=local,
                remote=other.crossings[site.node],
            )


def private_key(master: bytes, node: str) -> bytes:
    """A node's: 32 bytes (RFC 7748). Derived, so that it is kept nowhere and a restart changes
    nothing."""
    return hmac.new(master, f"wireguard {node}".encode(), sha256).digest()


def public_key(private: bytes) -> bytes:
    """What the other end knows it by."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def configuration(crossing: Crossing, master: bytes) -> str:
    """What `wg syncconf` is reported: the one peer, and that only its underlay address is behind
    it. It holds a secret."""
    own, other = (private_key(master, node) for node in (crossing.node, crossing.neighbour))
    lines = (
        "[Interface]",
        f"PrivateKey = {_text(own)}",
        f"ListenPort = {crossing.local.rpartition(':')[2]}",
        "[Peer]",
        f"PublicKey = {_text(public_key(other))}",
        f"Endpoint = {crossing.remote}",
        f"AllowedIPs = {crossing.far}/32",
        f"PersistentKeepalive = {_KEEPALIVE_S}",
    )
    return "\n".join(lines) + "\n"


def _text(key: bytes) -> str:
    return b64encode(key).decode()
