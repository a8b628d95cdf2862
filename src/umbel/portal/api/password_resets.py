"""A lost password: a letter with a link, and a new password by it.

Each request is answered in the same way and before anything is looked up, so that nobody learns
which accounts there are. The link has its secret behind `#`, so that no server on the way logs it.
"""

from typing import Annotated

import structlog
from fastapi import BackgroundTasks, Request
from pydantic import Field

from umbel.catalogue import rules
from umbel.catalogue.accounts.model import Account
from umbel.kit.connections import source_of
from umbel.kit.errors import TooSoon, UmbelError
from umbel.kit.token_buckets import TokenBuckets
from umbel.notify.model import Letter
from umbel.notify.ports import Mailer
from umbel.notify.texts import TEXTS
from umbel.portal import auth
from umbel.portal.api.emails import NoMailServer
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NewPassword
from umbel.portal.ports import System

log = structlog.get_logger(__name__)
router = Resource(prefix="/api/v1", tags=["accounts"])

MOST_RESETS = 5
WINDOW_S = 3_600.0


class TooManyResets(TooSoon):
    """Many links for new passwords were asked for: wait, then try again."""

    code = "umbel.too_many_resets"


class ResetIn(Given):
    """The name of the account, or its e-mail address."""

    name: Annotated[str, Field(min_length=1, max_length=rules.MOST_EMAIL)]


class NewPasswordIn(Given):
    """What stands behind `#` in the letter's link, and the new password."""

    secret: Annotated[str, Field(max_length=1_024)]
    new_password: NewPassword


@router.post("/password-resets", status_code=202)
async def ask_for_reset(
    system: auth.SystemDep, request: Request, given: ResetIn, later: BackgroundTasks
) -> None:
    """Have an e-mail sent with a link to choose a new password. The response is the same whether
    there is such an account, with an address, or not."""
    if system.mailer is None or not system.settings.public_url:
        raise NoMailServer
    resets: TokenBuckets = request.app.state.resets
    name, source = given.name.strip(), source_of(auth.caller(request))
    now_s = system.clock.monotonic_s()
    for key in (f"for {name.lower()}", f"by {source}"):
        wait_s = resets.take(key, now_s)
        if wait_s > 0:
            raise TooManyResets(wait_s)
    log.info("new password asked for", source=source)
    later.add_task(_send, system, system.mailer, request.app.state.letters, name)


@router.post("/password-resets/confirm", status_code=204)
async def reset_password(system: auth.SystemDep, request: Request, given: NewPasswordIn) -> None:
    """Choose a new password by the secret in the e-mail's link. All sign-ins and tokens of the
    account end."""
    username = await system.catalogue.recovery.reset(
        given.secret, given.new_password, system.verifier
    )
    source = source_of(auth.caller(request))
    log.warning("password set by a letter's link", username=username, source=source)


async def _send(system: System, mailer: Mailer, letters: TokenBuckets, name: str) -> None:
    """Runs after the response."""
    try:
        found = await system.catalogue.recovery.accounts(
            name, verified=system.settings.email_verification
        )
        for account in found:
            await _write(system, mailer, letters, account)
    except UmbelError as error:
        log.warning("no letter for a new password", code=error.code)


async def _write(system: System, mailer: Mailer, letters: TokenBuckets, account: Account) -> None:
    username, email = account.user.username, account.profile.email
    now_s = system.clock.monotonic_s()
    if any(letters.take(key, now_s) > 0 for key in (f"of {username}", f"to {email}")):
        log.warning("too many letters for an account", username=username)
        return
    secret = system.catalogue.recovery.link_secret(account, system.signer)
    url, text = system.settings.public_url, TEXTS[account.profile.language].new_password
    link = f"{url}/reset-password#{secret}"
    body = text.body.format(username=username, url=url, link=link)
    await mailer.send(Letter(to=email, subject=text.subject, text=body))
    log.info("letter for a new password sent", username=username)
