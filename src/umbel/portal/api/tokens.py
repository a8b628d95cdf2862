"""Signing in: the OAuth2 password grant (RFC 6749, section 4.3), and who one is."""

from typing import Annotated, Literal

from fastapi import Form, Request, Response

from umbel.portal import auth
from umbel.portal.api import shapes
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import MyselfOut, TokenOut

router = Resource(tags=["users"])


@router.post("/oauth/token")
async def sign_in(
    system: auth.SystemDep,
    request: Request,
    response: Response,
    grant_type: Annotated[Literal["password"], Form()],
    username: Annotated[str, Form()],
    password: Annotated[str, Form()],
) -> TokenOut:
    """Get a bearer token for a user name and password."""
    user = await system.catalogue.authenticate(username, password, auth.caller(request))
    token = auth.sign(system, user)
    response.headers["Cache-Control"] = "no-store"
    return TokenOut(
        access_token=token,
        value=token,
        token_type="bearer",  # noqa: S106 -- the type's name
        expires_in=int(system.settings.access_token_ttl_s),
        scope=user.role,
    )


@router.get("/api/v1/me")
async def who_am_i(user: auth.SignedIn) -> MyselfOut:
    """Get the user to whom the token belongs."""
    return shapes.myself(user)
