"""Who is asking, and what they may do. The handlers' dependencies, and the rules behind them.

In: a bearer token, or the web app's cookie. Out: a User as the catalogue has it now: a token ends
at once when its user is removed or gets another password. A viewer's session proves itself with its
own token instead of an account.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import OAuth2PasswordBearer

from umbel.catalogue.model import NoSuchUser, User, UserRole
from umbel.catalogue.visibility.model import ANYBODY, Watcher
from umbel.kit.errors import Forbidden, Unauthenticated
from umbel.kit.tokens import (
    EVENT,
    USER,
    VIEWER,
    WEB,
    Claims,
    TokenForeign,
    TokenInvalid,
    TokenMissing,
)
from umbel.portal import web_session
from umbel.portal.ports import System

_bearer = OAuth2PasswordBearer(tokenUrl="/oauth/token", auto_error=False)
Token = Annotated[str | None, Depends(_bearer)]


@dataclass(frozen=True)
class Proof:
    """A token, and what it must have been made for: the API, or a browser's cookie."""

    token: str
    audience: str = USER


async def _proof(request: Request, token: Token) -> Proof | None:
    """A bearer token is preferred: who sends one means it."""
    if token is not None:
        return Proof(token)
    cookie = web_session.cookie_of(request)
    return None if cookie is None else Proof(cookie, WEB)


MaybeProof = Annotated[Proof | None, Depends(_proof)]


# Async, though it waits for nothing: FastAPI would send it through a thread pool.
async def _system(request: Request) -> System:
    system: System = request.app.state.system
    return system


SystemDep = Annotated[System, Depends(_system)]


def caller(request: Request) -> str:
    """The address that asks; behind a trusted proxy the one that the proxy names."""
    return request.client.host if request.client else ""


def ttl_s(system: System, audience: str) -> float:
    """How long a user's token is good."""
    settings = system.settings
    return settings.web_session_ttl_s if audience == WEB else settings.access_token_ttl_s


def sign(system: System, user: User, audience: str = USER) -> str:
    """A token for the user, good for `ttl_s`."""
    expires_s = system.clock.now_s() + ttl_s(system, audience)
    claims = Claims(
        subject=user.username,
        scope=user.role.value,
        expires_s=expires_s,
        generation=user.generation,
    )
    return system.signer.sign(claims, audience)


async def user_of(system: System, proof: Proof) -> User:
    """The token's user. Raises Unauthenticated, TokenForeign."""
    claims = system.verifier.verify(proof.token, proof.audience, now_s=system.clock.now_s())
    try:
        user = await system.catalogue.user(claims.subject)
    except NoSuchUser as error:
        raise TokenInvalid from error
    if (user.role.value, user.generation) != (claims.scope, claims.generation):
        raise TokenInvalid  # somebody else of that name, or the password was changed
    return user


async def _signed_in(system: SystemDep, proof: MaybeProof) -> User:
    if proof is None:
        raise TokenMissing
    return await user_of(system, proof)


SignedIn = Annotated[User, Depends(_signed_in)]


async def _operator(user: SignedIn) -> User:
    if user.role is not UserRole.OPERATOR:
        raise Forbidden
    return user


Operator = Annotated[User, Depends(_operator)]


async def _optional_user(system: SystemDep, proof: MaybeProof) -> User | None:
    """A bearer token must be good. Browsers send a cookie unasked: one that is not is none."""
    if proof is None or not proof.token:
        return None
    if proof.audience != WEB:
        return await user_of(system, proof)
    with suppress(Unauthenticated, TokenForeign):
        return await user_of(system, proof)
    return None


OptionalUser = Annotated[User | None, Depends(_optional_user)]


def watcher_of(user: User | None) -> Watcher:
    """Who asks for an event, without a grant."""
    if user is None:
        return ANYBODY
    return Watcher(
        username=user.username,
        runs_all=user.role is UserRole.OPERATOR,
        provider_ids=frozenset(one.provider_id for one in user.memberships),
    )


def with_grant(by: Watcher, event_id: str, phrase_generation: str) -> Watcher:
    """Who asks, with a grant to watch the event that was made with a pass phrase of that
    generation."""
    return replace(by, granted_event=event_id, granted_generation=phrase_generation)


# Longer than any token of ours.
_Grant = Annotated[str, Header(alias="X-Event-Grant", max_length=2_000)]


async def _watcher(system: SystemDep, user: OptionalUser, grant: _Grant = "") -> Watcher:
    """A grant that is not good any more is none: the event then asks for its pass phrase again."""
    by = watcher_of(user)
    with suppress(Unauthenticated, TokenForeign):
        claims = system.verifier.verify(grant, EVENT, now_s=system.clock.now_s())
        return with_grant(by, claims.subject, claims.generation)
    return by


Watching = Annotated[Watcher, Depends(_watcher)]


def may_run(user: User, provider_id: str) -> None:
    """Raise Forbidden unless the user is an operator or works for that provider."""
    if not watcher_of(user).runs(provider_id):
        raise Forbidden


def may_own(user: User, provider_id: str) -> None:
    """Raise Forbidden unless the user is an operator or owns that provider: for what ends the
    access of others, or cannot be undone."""
    if user.role is not UserRole.OPERATOR and provider_id not in user.owned_ids:
        raise Forbidden


async def may_hold(system: System, session_id: str, proof: Proof | None) -> None:
    """Raise unless the token is that session's, or an operator's."""
    if proof is None:
        raise TokenMissing
    try:
        claims = system.verifier.verify(proof.token, VIEWER, now_s=system.clock.now_s())
    except TokenForeign:
        user = await user_of(system, proof)
        if user.role is not UserRole.OPERATOR:
            raise Forbidden from None
        return
    if claims.subject != session_id:
        raise TokenForeign
