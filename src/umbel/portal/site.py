"""The built web app: whatever no route of the API takes.

In: GET of a path. Out: the file, compressed if the build did that and the browser accepts it; the
app's first page for a path of its own, with the head of what is there; 404 in our error form for a
path of the API. /docs is the API's own page (Swagger UI). Without a build the first page says how
to make one. Other sites may frame /embed/EVENT, and nothing else.
"""

import html
import re
from hashlib import sha256
from os.path import isfile
from pathlib import Path
from typing import NamedTuple, Protocol

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from umbel.kit.http import accepts_coding
from umbel.portal.errors import NoSuchPath
from umbel.portal.page_heads import Head

STATIC = Path(__file__).parent / "static"

_API = ("/api", "/oauth", "/metrics", "/healthz", "/readyz", "/openapi.json", "/oembed")
_FIRST = "index.html"
_PAGES = {"/": _FIRST, "/docs": "docs.html"}
_FOR_EVER = "public, max-age=31536000, immutable"
_POLICY = (
    "default-src 'self'; connect-src *; media-src * blob:; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; frame-ancestors "
)
_EMBED = re.compile(r"/embed/[^/]+/?")
_TITLE = re.compile(r"<title>[^<]*</title>")
_UNBUILT = """<!doctype html><meta charset="utf-8"><title>Umbel</title>
<h1>Umbel is running</h1>
<p>The web app is not built. Run <code>make web</code> in the source tree and load this page again.
The API is described at <a href="/openapi.json">/openapi.json</a>.</p>
"""


class _Coding(NamedTuple):
    """A content coding, and how its files' names end."""

    name: str
    suffix: str


_CODINGS = (_Coding("br", "br"), _Coding("gzip", "gz"))


class Heads(Protocol):
    """What to say of a page in its HTML."""

    async def __call__(self, scope: Scope, /) -> Head | None:
        """The head of the page at the path, None for a page without its own."""


class Site:
    """An ASGI app for the router's default."""

    def __init__(self, folder: Path, heads: Heads) -> None:
        self._folder = folder
        self._heads = heads
        self._files = StaticFiles(directory=folder, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NoSuchPath
        path: str = scope["path"]
        if any(path == prefix or path.startswith(f"{prefix}/") for prefix in _API):
            raise NoSuchPath
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        response = await self._find(path, scope)
        framed_by = "*" if _EMBED.fullmatch(path) else "'none'"
        response.headers["Content-Security-Policy"] = _POLICY + framed_by
        await response(scope, receive, send)

    async def _find(self, path: str, scope: Scope) -> Response:
        if not (self._folder / _FIRST).is_file():
            return HTMLResponse(_UNBUILT)
        try:
            response = await self._file(_PAGES.get(path) or path.lstrip("/"), scope)
        except HTTPException as error:
            # A missing script must not become a page: the browser would try to run it.
            if error.status_code != 404 or path.startswith("/assets/"):
                raise
            response = await self._page(scope)
        is_hashed = path.startswith("/assets/")  # the build puts a hash into each name there
        response.headers["Cache-Control"] = _FOR_EVER if is_hashed else "no-cache"
        return response

    async def _page(self, scope: Scope) -> Response:
        """The app's first page, with the head of what is at the path."""
        head = await self._heads(scope)
        if head is None:
            return await self._file(_FIRST, scope)
        before, end, after = (self._folder / _FIRST).read_text().partition("</head>")
        title = f"<title>{html.escape(head.title)} \N{MIDDLE DOT} Umbel</title>"
        before = _TITLE.sub(lambda _: title, before, count=1)
        body = (before + head.tags + end + after).encode("utf-8", "replace")
        tag = f'"{sha256(body).hexdigest()[:32]}"'
        if Headers(scope=scope).get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return HTMLResponse(body, headers={"ETag": tag})

    async def _file(self, name: str, scope: Scope) -> Response:
        """The file in the first coding that there is and that the browser accepts. Only what the
        build made is compressed, and nothing of that is secret."""
        # Path.is_file raises for a name that is too long; isfile does not.
        path = f"{self._folder}/{name}"
        there = [coding for coding in _CODINGS if isfile(f"{path}.{coding.suffix}")]  # noqa: PTH113
        accepted = Headers(scope=scope).get("accept-encoding", "")
        chosen = next((coding for coding in there if accepts_coding(accepted, coding.name)), None)
        file = name if chosen is None else f"{name}.{chosen.suffix}"
        response = await self._files.get_response(file, scope)
        if there:
            response.headers["Vary"] = "Accept-Encoding"
        if chosen is not None and response.status_code != 304:
            response.headers["Content-Encoding"] = chosen.name
        return response
