"""The page of a closed access network: a client signs in, with a form that needs no script.

In: a client that was led here (captive.py), a user's name and password. Out: HTML; the client may
pass from then on. Operating systems show such pages in small windows of their own, so it is whole
in itself and small. A form holds a token that is good for the address that asked for the page: no
other site can post it in somebody's name.
"""

from html import escape
from string import Template
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from umbel.kit.clock import to_rfc3339
from umbel.kit.errors import Forbidden, UmbelError, Unauthenticated
from umbel.kit.tokens import FORM, Claims, TokenForeign
from umbel.network.model import NotProgrammed
from umbel.network.service import ClientLocation, InvalidClient, NotInAccess
from umbel.portal import auth
from umbel.portal.api.resource import Resource
from umbel.portal.captive import MOST_NEXT, PAGE
from umbel.portal.ports import System

router = Resource(include_in_schema=False)

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}
_WHOLE = Template("""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Umbel: $title</title>
<style>
body{font:1rem/1.5 system-ui,sans-serif;max-width:22rem;margin:15vh auto;padding:0 1rem}
label{display:block;margin:.75rem 0}
input{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.5rem}
button{font:inherit;padding:.5rem 1.25rem}
@media(prefers-color-scheme:dark){body{background:#141414;color:#eee}a{color:#9cf}}
</style>
<h1>$title</h1>
$body
</html>
""")
_FORM = Template("""<p>Sign in to use this network.</p>
$problem
<form method="post" action="$page$query"><input type="hidden" name="form" value="$form">
<label>Name <input name="username" autocomplete="username" autocapitalize="none" required></label>
<label>Password
<input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button></form>
""")
_LEAVE = Template("""<form method="post" action="$page/leave">
<input type="hidden" name="form" value="$form"><button>Sign out</button></form>
""")
_FORM_TTL_S = 3_600.0
FORMS = frozenset((PAGE, f"{PAGE}/leave"))

Next = Annotated[str, Query(alias="next", max_length=MOST_NEXT)]
Word = Annotated[str, Form(max_length=1_024)]
FormToken = Annotated[str, Form(alias="form", max_length=1_024)]


class ForeignForm(Forbidden):
    """The form is too old, or from another page or device. Fill in this one."""

    code = "umbel.foreign_form"


@router.get(PAGE)
async def welcome(system: auth.SystemDep, request: Request, following: Next = "") -> HTMLResponse:
    """The form, or how things are for the client that asks."""
    try:
        here = system.network.edge.client_location(auth.caller(request))
    except (NotInAccess, NotProgrammed, InvalidClient):
        return _page(
            "No sign-in needed", '<p>Your network is open. <a href="/">Continue to Umbel</a></p>'
        )
    form = _form_token(system, request)
    if here.gate and here.client is None:
        return _form(form, following)
    return _open(form, here, following)


@router.post(PAGE)
async def sign_in(
    system: auth.SystemDep,
    request: Request,
    username: Word,
    password: Word,
    form: FormToken = "",
    following: Next = "",
) -> Response:
    """As /oauth/token and then /api/v1/network/client would."""
    try:
        _check(system, request, form)
        address = auth.caller(request)
        user = await system.catalogue.authenticate(username, password, address)
        ttl_s = system.settings.access_ttl_s
        await system.network.edge.sign_in(address, ttl_s, user.username)
    except UmbelError as error:
        return _form(_form_token(system, request), following, error)
    return RedirectResponse(PAGE + _query(following), 303, {"Cache-Control": "no-store"})


@router.post(f"{PAGE}/leave")
async def leave(system: auth.SystemDep, request: Request, form: FormToken = "") -> Response:
    """The client may not pass any more."""
    try:
        _check(system, request, form)
    except ForeignForm:
        return RedirectResponse(PAGE, 303, {"Cache-Control": "no-store"})
    await system.network.edge.sign_out(auth.caller(request))
    return RedirectResponse(PAGE, 303, {"Cache-Control": "no-store"})


def _form_token(system: System, request: Request) -> str:
    expires_s = system.clock.now_s() + _FORM_TTL_S
    claims = Claims(subject=auth.caller(request), scope=PAGE, expires_s=expires_s)
    return system.signer.sign(claims, FORM)


def _check(system: System, request: Request, form: str) -> None:
    """Raise ForeignForm unless the form is from our page, as this address was shown it."""
    try:
        claims = system.verifier.verify(form, FORM, now_s=system.clock.now_s())
    except (Unauthenticated, TokenForeign) as error:
        raise ForeignForm from error
    if claims.subject != auth.caller(request):
        raise ForeignForm


def _form(form: str, following: str, error: UmbelError | None = None) -> HTMLResponse:
    said = f'<p role="alert"><strong>{escape(error.message)}</strong></p>' if error else ""
    query = escape(_query(following))
    body = _FORM.substitute(page=PAGE, query=query, problem=said, form=form)
    return _page("Sign in", body, error.http_status if error else 200)


def _open(form: str, here: ClientLocation, following: str) -> HTMLResponse:
    if here.client is None:
        return _page("You are connected", f"<p>{escape(here.node)} needs no sign-in.</p>")
    whose = f" as {escape(here.client.username)}" if here.client.username else ""
    until = f"<p>Signed in{whose} until {to_rfc3339(here.client.expires_s)}.</p>"
    leave = _LEAVE.substitute(page=PAGE, form=form)
    return _page("You are connected", until + _onward(following) + leave)


def _onward(following: str) -> str:
    """A link, not a redirect: anyone can make the address, but only the reader goes there."""
    is_web = following.startswith(("http://", "https://"))
    href = escape(following) if is_web else "/"
    return f'<p><a href="{href}" rel="noreferrer">Continue to {href if is_web else "Umbel"}</a></p>'


def _query(following: str) -> str:
    return f"?{urlencode({'next': following})}" if following else ""


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_WHOLE.substitute(title=title, body=body), status, _HEADERS)
