"""Which addresses of push services are taken. Pure: nothing is resolved or asked.

Any browser may name one, so it must not become a way into the operator's network: only https, to a
host that is not of a private network. Names are checked again when they are resolved.
"""

from typing import NamedTuple
from urllib.parse import urlsplit

from umbel.kit import hosts
from umbel.notify.ports import PushRefused

MOST_ENDPOINT = 1_024
_PORTS = {"https": 443, "http": 80}


class Endpoint(NamedTuple):
    """Where a push service is: `origin` is what tokens are for."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """The scheme, the host, and the port unless it is the scheme's own."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def netloc(self) -> str:
        """The host with the port, unless it is the scheme's own."""
        host = hosts.in_url(self.host)
        is_usual = _PORTS[self.scheme] == self.port
        return host if is_usual else f"{host}:{self.port}"


def parse(url: str, *, allow_private: bool) -> Endpoint:
    """The endpoint. `allow_private` takes http and addresses of private networks, too. Raises
    PushRefused naming what is wrong."""
    if len(url) > MOST_ENDPOINT or not url.isascii() or not url.isprintable() or " " in url:
        raise PushRefused(f"endpoint: a URL of at most {MOST_ENDPOINT} ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise PushRefused("endpoint: not a URL") from error
    if parts.scheme not in (("https", "http") if allow_private else ("https",)):
        raise PushRefused("endpoint: only https")
    if "@" in parts.netloc or "#" in url or "\\" in url or port == 0:
        raise PushRefused("endpoint: no user, fragment, backslash or port 0")
    if not (hosts.is_address(host) or hosts.is_name(host)):
        raise PushRefused("endpoint: its host is neither a name nor an address")
    if hosts.is_address(host) and not (allow_private or hosts.is_public(host)):
        raise PushRefused("endpoint: not an address of the Internet")
    path = parts.path or "/"
    return Endpoint(
        scheme=parts.scheme,
        host=host,
        port=port or _PORTS[parts.scheme],
        path=f"{path}?{parts.query}" if parts.query else path,
    )
