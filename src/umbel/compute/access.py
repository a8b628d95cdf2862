"""Which node a client's packets enter by: the longest of the nodes' prefixes that holds its
address. Nodes in, a lookup out; asking it touches nothing."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from umbel.compute.model import Node


class AccessMap:
    """Answers for many clients from one reading of the nodes."""

    def __init__(self, nodes: Iterable[Node], default: str = "") -> None:
        self._default = default or None
        self._by_prefix: dict[tuple[int, int], dict[int, str]] = {}
        for node in nodes:
            for prefix in map(ip_network, node.prefixes):
                shape = (prefix.version, prefix.prefixlen)
                key = int(prefix.network_address)
                self._by_prefix.setdefault(shape, {})[key] = node.name
        # Longest first: the first hit is the answer.
        self._shapes = sorted(self._by_prefix, key=lambda shape: shape[1], reverse=True)

    def node_of(self, client: str) -> str | None:
        """The name of the access node of a client's IP address; the default where no prefix
        holds it or the text is no address; None where there is no default either."""
        address = _address(client)
        if address is None:
            return self._default
        for version, length in self._shapes:
            if version == address.version:
                host_bits = address.max_prefixlen - length
                key = int(address) >> host_bits << host_bits
                if key in self._by_prefix[version, length]:
                    return self._by_prefix[version, length][key]
        return self._default


def _address(client: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(client)
    except ValueError:
        return None
    # A socket that takes both families shows IPv4 clients as ::ffff:a.b.c.d.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
