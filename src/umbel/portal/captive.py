"""ASGI middleware: clients of a closed access network come here whatever they asked for; they are
sent to the page where they sign in.

In: requests. Out: the same requests, or 302 when the client has not signed in and its switch led
it here: it asked for another host. The borders say who is led; api/welcome.py has the page.
"""

from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from umbel.network.service import PortalAddress
from umbel.portal.ports import System

PAGE = "/welcome"
MOST_NEXT = 2_000
"""The longest address that is remembered over the sign-in."""


class Captive:
    """Sends away who was led here."""

    def __init__(self, app: ASGIApp, system: System) -> None:
        self._app = app
        self._system = system

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        portal = self._portal_for(scope)
        if portal is None:
            await self._app(scope, receive, send)
            return
        # The connection is translated as long as it lasts: another one will not be.
        headers = {
            "Location": page_of(portal, requested_url(scope)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
        await Response(status_code=302, headers=headers)(scope, receive, send)

    def _portal_for(self, scope: Scope) -> PortalAddress | None:
        if scope["type"] != "http" or not scope.get("client"):
            return None
        portal = self._system.network.edge.portal_for(scope["client"][0])
        return None if portal is None or _host(scope) in _names(portal) else portal


def page_of(portal: PortalAddress, following: str) -> str:
    """The page's address at the front end; who signed in there is shown the way to `following`."""
    query = f"?{urlencode({'next': following})}" if following else ""
    return f"http://{_authority(portal)}{PAGE}{query}"


def requested_url(scope: Scope) -> str:
    """The address of a web page that was asked for; empty when it is none to come back to."""
    if scope["method"] not in ("GET", "HEAD"):
        return ""
    query: bytes = scope["query_string"]
    path = scope.get("raw_path") or scope["path"].encode()
    words = path.decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")
    whole = f"http://{_host(scope)}{words}"
    return whole if _host(scope) and len(whole) <= MOST_NEXT else ""


def _host(scope: Scope) -> str:
    return Headers(scope=scope).get("host", "")


def _authority(portal: PortalAddress) -> str:
    return portal.address if portal.port == 80 else f"{portal.address}:{portal.port}"


def _names(portal: PortalAddress) -> tuple[str, str]:
    return _authority(portal), f"{portal.address}:{portal.port}"
