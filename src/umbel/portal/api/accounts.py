"""A user's own account: sign up, another password, one's data in a file, the end of it."""

from enum import StrEnum
from typing import Annotated

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from umbel.catalogue.accounts.model import Account, SignUpClosed
from umbel.catalogue.model import UserRole
from umbel.kit.clock import to_rfc3339
from umbel.kit.connections import source_of
from umbel.kit.errors import TooSoon
from umbel.kit.languages import Language
from umbel.kit.token_buckets import TokenBuckets
from umbel.kit.tokens import WEB
from umbel.network.model import NotProgrammed
from umbel.portal import auth, web_session
from umbel.portal.api import follows, push, recordings, reminders, reservations, shapes, watched
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, Me, NewPassword, Username
from umbel.portal.ports import System

router = Resource(prefix="/api/v1", tags=["accounts"])

WINDOW_S = 3_600.0
CurrentPassword = Annotated[str, Field(max_length=1_024)]


class TooManySignUps(TooSoon):
    """This address made many accounts within an hour: wait, then try again."""

    code = "umbel.too_many_sign_ups"


class EmailState(StrEnum):
    """Whether there is an address, and whether letters go there."""

    NONE = "none"
    UNCONFIRMED = "unconfirmed"
    USABLE = "usable"


class SignUpOut(BaseModel):
    """Whether people may make accounts for themselves."""

    is_open: bool


class SignUpIn(Given):
    """A new viewer, and the language of e-mails to them."""

    username: Username
    password: NewPassword
    language: Language = Language.ENGLISH


class LanguageIn(Given):
    """The language of e-mails."""

    language: Language


class PasswordIn(Given):
    """Another password, and the current one."""

    current_password: CurrentPassword
    new_password: NewPassword


class ConfirmationIn(Given):
    """The current password, to show that its owner asks."""

    password: CurrentPassword


class AccountOut(BaseModel):
    """One's own account. `created_at` is null where it was not noted; `email` is empty without an
    address. Letters go to an address that waits to be confirmed only to confirm it."""

    username: str
    role: UserRole
    provider_id: str | None
    created_at: str | None
    email: str
    email_state: EmailState
    language: Language


@router.get("/sign-up")
async def get_sign_up(system: auth.SystemDep) -> SignUpOut:
    """Whether people may make accounts for themselves here."""
    return SignUpOut(is_open=system.settings.sign_up == "open")


@router.post("/sign-up", status_code=201)
async def sign_up(system: auth.SystemDep, request: Request, given: SignUpIn) -> Me:
    """Make an account for oneself, as a viewer. It signs nobody in."""
    if system.settings.sign_up != "open":
        raise SignUpClosed
    buckets: TokenBuckets = request.app.state.sign_ups
    wait_s = buckets.take(source_of(auth.caller(request)), system.clock.monotonic_s())
    if wait_s > 0:
        raise TooManySignUps(wait_s)
    user = await system.catalogue.accounts.sign_up(
        given.username,
        given.password,
        most=system.settings.most_accounts,
        language=given.language,
    )
    return shapes.me(user)


@router.get("/me/account")
async def get_account(system: auth.SystemDep, user: auth.SignedIn) -> AccountOut:
    """Get one's own account."""
    return account_out(system, await system.catalogue.accounts.account(user.username))


@router.put("/me/language")
async def set_language(
    system: auth.SystemDep, user: auth.SignedIn, given: LanguageIn
) -> AccountOut:
    """Have e-mails in another language."""
    accounts = system.catalogue.accounts
    return account_out(system, await accounts.set_language(user.username, given.language))


@router.put("/me/password", status_code=204)
async def change_password(
    system: auth.SystemDep,
    user: auth.SignedIn,
    request: Request,
    response: Response,
    given: PasswordIn,
) -> None:
    """Choose another password. All tokens and other browsers' sign-ins of the account end; the
    browser that asks stays signed in."""
    changed = await system.catalogue.accounts.change_password(
        user.username, given.current_password, given.new_password, auth.caller(request)
    )
    if web_session.cookie_of(request) is not None:
        token = auth.sign(system, changed, WEB)
        web_session.set_cookie(response, request.url.scheme, token, auth.ttl_s(system, WEB))


@router.get("/me/data")
async def export_data(system: auth.SystemDep, user: auth.SignedIn) -> Response:
    """Get all that the platform keeps of one's account, as one JSON file. It holds no secrets."""
    account = await system.catalogue.accounts.account(user.username)
    headers = {
        "Content-Disposition": f'attachment; filename="umbel-{user.username}.json"',
        "Cache-Control": "no-store",
    }
    reserved = await system.catalogue.reservations.every(user.username)
    body = {
        "exported_at": to_rfc3339(system.clock.now_s()),
        "account": account_out(system, account).model_dump(mode="json"),
        "reservations": reservations.exported(reserved),
        "recordings": recordings.exported((await system.recordings.of(user.username))[0]),
        "watched": watched.exported(await system.catalogue.watched.every(user.username)),
        "calendar_feed_created_at": (await _feed_created_at(system, user.username)),
        "reminders": reminders.exported(await system.catalogue.reminders.choice(user.username)),
        "following": follows.exported(await system.catalogue.follows.every(user.username)),
        "push_devices": push.exported(await system.catalogue.devices.every(user.username)),
        "messages": await _messages(system, user.username),
        "network_sign_ins": _network_sign_ins(system, user.username),
        "access_node": await system.catalogue.demand.node(user.username),
    }
    return JSONResponse(body, headers=headers)


@router.post("/me/delete", status_code=204)
async def delete_account(
    system: auth.SystemDep,
    user: auth.SignedIn,
    request: Request,
    response: Response,
    given: ConfirmationIn,
) -> None:
    """Delete one's own account with all its data, for good."""
    accounts = system.catalogue.accounts
    await accounts.remove(user.username, given.password, auth.caller(request))
    web_session.set_cookie(response, request.url.scheme, "", 0)
    for client in _network_sign_ins(system, user.username):
        await system.network.edge.sign_out(client["address"])


def account_out(system: System, of: Account) -> AccountOut:
    """The account as its user sees it."""
    is_usable = of.profile.is_verified or not system.settings.email_verification
    state = EmailState.USABLE if is_usable else EmailState.UNCONFIRMED
    return AccountOut(
        username=of.user.username,
        role=of.user.role,
        provider_id=of.user.provider_id or None,
        created_at=to_rfc3339(of.profile.created_s) if of.profile.created_s else None,
        email=of.profile.email,
        email_state=state if of.profile.email else EmailState.NONE,
        language=of.profile.language,
    )


async def _feed_created_at(system: System, username: str) -> str | None:
    created_s = await system.catalogue.reservations.feed_created_s(username)
    return None if created_s is None else to_rfc3339(created_s)


async def _messages(system: System, username: str) -> list[dict[str, object]]:
    """What was sent, or is to be sent, of the last days."""
    return [
        {
            "event_id": one["event_id"],
            "kind": one["kind"],
            "channel": one["channel"],
            "lead_s": one["lead_s"],
            "state": one["state"],
            "created_at": to_rfc3339(one["created_s"]),
            "done_at": None if one["done_s"] is None else to_rfc3339(one["done_s"]),
        }
        for one in await system.catalogue.outbox.of_account(username)
    ]


def _network_sign_ins(system: System, username: str) -> list[dict[str, str]]:
    """The devices that the user signed in at closed access networks."""
    try:
        clients = system.network.edge.state.access.clients
    except NotProgrammed:
        return []
    return [
        {"node": node, "address": one.address, "expires_at": to_rfc3339(one.expires_s)}
        for node, some in clients.items()
        for one in some.values()
        if one.username == username
    ]
