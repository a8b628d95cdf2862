"""Signing in with a browser: a cookie in place of a token that scripts could read."""

from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import Field

from umbel.kit.clock import to_rfc3339
from umbel.kit.tokens import WEB
from umbel.portal import auth, web_session
from umbel.portal.api import shapes
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, Me

router = Resource(prefix="/api/v1", tags=["users"])

FromOurPage = Depends(web_session.require_header)
Word = Annotated[str, Field(max_length=1_024)]


class WebSessionIn(Given):
    """Who signs in."""

    username: Word
    password: Word


class WebSessionOut(Me):
    """Who signed in, and until when the browser is signed in."""

    expires_at: str


@router.post("/web-session", dependencies=[FromOurPage])
async def start_web_session(
    system: auth.SystemDep, request: Request, response: Response, given: WebSessionIn
) -> WebSessionOut:
    """Sign this browser in by a cookie that scripts cannot read. Requests that change something
    need the header `X-CSRF-Protection` with it, and so does this one."""
    user = await system.catalogue.authenticate(given.username, given.password, auth.caller(request))
    ttl_s = auth.ttl_s(system, WEB)
    token = auth.sign(system, user, WEB)
    web_session.set_cookie(response, request.url.scheme, token, ttl_s)
    response.headers["Cache-Control"] = "no-store"
    expires_at = to_rfc3339(system.clock.now_s() + ttl_s)
    return WebSessionOut(**shapes.me(user).model_dump(), expires_at=expires_at)


@router.delete("/web-session", status_code=204)
async def end_web_session(request: Request, response: Response) -> None:
    """Sign this browser out. The browser forgets the cookie; a copy of it would be good until it
    expires, or until its user signs out everywhere."""
    web_session.set_cookie(response, request.url.scheme, "", 0)


@router.delete("/me/tokens", status_code=204)
async def sign_out_everywhere(
    system: auth.SystemDep, user: auth.SignedIn, request: Request, response: Response
) -> None:
    """Sign out everywhere: every token of the user ends now, and so does every browser's sign-in,
    this one's too."""
    await system.catalogue.accounts.sign_out_everywhere(user.username)
    web_session.set_cookie(response, request.url.scheme, "", 0)
