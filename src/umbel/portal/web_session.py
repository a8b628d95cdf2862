"""The web app's sign-in: a cookie that scripts cannot read and that other sites cannot use.

In: requests. Out: the same requests, or 403 for one that changes something, carries the cookie and
lacks the header that only our own pages can add: a form cannot, and a script of another origin
would need our consent first (CORS), which no route gives. A request with a bearer token does not
use the cookie. Neighbours: auth.py reads the cookie, api/web_sessions.py sets it.
"""

from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from umbel.kit.errors import Forbidden
from umbel.portal import errors

HEADER = "X-CSRF-Protection"
"""Any value will do: that it is there shows that a page of ours sent the request."""

_NAME = "umbel-session"
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))  # RFC 9110, section 9.2.1


class CrossSiteRequest(Forbidden):
    """Another site may have sent this request: it uses a browser's sign-in and has no header
    `X-CSRF-Protection`."""

    code = "umbel.cross_site_request"


def cookie_name(scheme: str) -> str:
    """The cookie's name. Over https no other host and no plain connection can set it (RFC 6265bis,
    section 4.1.3.2)."""
    return f"__Host-{_NAME}" if scheme == "https" else _NAME


def cookie_of(request: HTTPConnection) -> str | None:
    """The token in the request's cookie."""
    return request.cookies.get(cookie_name(request.url.scheme)) or None


def set_cookie(response: Response, scheme: str, token: str, ttl_s: float) -> None:
    """Have the browser keep the token for `ttl_s` seconds; an empty token ends it."""
    response.set_cookie(
        cookie_name(scheme),
        token,
        max_age=int(ttl_s) if token else 0,
        path="/",
        secure=scheme == "https",
        httponly=True,
        samesite="lax",
    )


async def require_header(request: HTTPConnection) -> None:
    """A dependency of what sets the cookie: nobody is signed in by another site's form. Raises
    CrossSiteRequest."""
    if HEADER not in request.headers:
        raise CrossSiteRequest


class CsrfProtection:
    """Refuses requests as the module says. Paths of `forms` have pages without scripts, do not
    read the cookie, and check a token in the form instead."""

    def __init__(self, app: ASGIApp, forms: Collection[str]) -> None:
        self._app = app
        self._forms = forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or cookie_of(HTTPConnection(scope)) is None:
            await self._app(scope, receive, send)
        elif self._is_suspect(HTTPConnection(scope)):
            await errors.problem(CrossSiteRequest())(scope, receive, send)
        else:
            await self._app(scope, receive, _uncached(send))

    def _is_suspect(self, request: HTTPConnection) -> bool:
        return not (
            request.scope["method"] in _SAFE_METHODS
            or HEADER in request.headers
            or _has_bearer(request)
            or request.scope["path"] in self._forms
        )


def _has_bearer(request: HTTPConnection) -> bool:
    """As FastAPI's OAuth2PasswordBearer sees it."""
    return request.headers.get("authorization", "").partition(" ")[0].lower() == "bearer"


def _uncached(send: Send) -> Send:
    """Answers to a request with a cookie are for its sender, unless they say otherwise."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
        await send(message)

    return sent
