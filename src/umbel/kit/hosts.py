"""Host names and IP addresses: which text is which, and what a name resolves to.

In: a name, once, where a file or a request comes in. Out: an IP address, or HostNotFound. The code
behind has addresses alone.
"""

import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from umbel.kit.errors import Unprocessable

_LONGEST = 253
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
# RFC 1123, section 2.1. The last label of a name has a letter: otherwise it is a wrong address.
_NAME = re.compile(rf"({_LABEL}\.)*(?=[0-9-]*[A-Za-z]){_LABEL}\.?")

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052


class HostNotFound(Unprocessable):
    """The host name does not resolve to an IP address."""

    code = "umbel.host_not_found"


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_name(text: str) -> bool:
    """Whether it can be a host name."""
    return len(text) <= _LONGEST and _NAME.fullmatch(text) is not None


def check(text: str) -> str:
    """The text, an IP address as it is usually written, or a host name. Raises ValueError."""
    if is_address(text):
        return str(ip_address(text))
    if not is_name(text):
        raise ValueError("neither an IP address nor a host name")
    return text


def in_url(host: str) -> str:
    """As a URL names the host: IPv6 addresses in brackets (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def resolve(host: str, field: str = "") -> str:
    """The IP address that a host name or an address stands for; of several the lowest IPv4 one,
    or the lowest IPv6 one, so that each instance gets the same. `field` is a request's. Blocks.
    Raises HostNotFound."""
    if is_address(host):
        return host
    try:
        # The codec of Python's own names refuses some texts with a ValueError.
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        fields = [{"field": field, "message": f"{host} does not resolve"}]
        details = {"fields": fields} if field else {}
        raise HostNotFound(f"{host} does not resolve: {reason}", **details) from error
    addresses = [ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    return str(min(addresses, key=lambda one: (one.version, int(one))))


def is_public(address: str) -> bool:
    """Whether the IP address is one of the Internet: not of a private network, of this machine, a
    multicast group, or an IPv6 address that stands for such an IPv4 one."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            inner = IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast
