"""A user's e-mail address, and the letter by which its owner confirms it.

The link in the letter has its secret behind `#`, so that no server on the way logs it, and opens a
page with a button: programs that look at links in letters confirm nothing.
"""

from typing import Annotated

from fastapi import Request
from pydantic import Field

from umbel.catalogue import rules
from umbel.catalogue.accounts.model import Account
from umbel.kit.connections import source_of
from umbel.kit.errors import Conflict, TooSoon
from umbel.kit.token_buckets import TokenBuckets
from umbel.notify.model import Letter
from umbel.notify.texts import TEXTS
from umbel.portal import auth
from umbel.portal.api.accounts import (
    AccountOut,
    CurrentPassword,
    EmailState,
    account_out,
)
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given
from umbel.portal.ports import System

router = Resource(prefix="/api/v1", tags=["accounts"])

MOST_LETTERS = 5
WINDOW_S = 3_600.0


class NoMailServer(Conflict):
    """This platform sends no e-mails: no mail server, or no public URL, is set."""

    code = "umbel.no_mail_server"


class TooManyLetters(TooSoon):
    """Many e-mails were sent for this account or from this address: wait, then try again."""

    code = "umbel.too_many_letters"


class EmailIn(Given):
    """Another e-mail address, none where it is empty; and the current password."""

    email: Annotated[str, Field(max_length=rules.MOST_EMAIL)]
    password: CurrentPassword


class EmailSecretIn(Given):
    """What stands behind `#` in the e-mail's link."""

    secret: Annotated[str, Field(max_length=100)]


@router.put("/me/email")
async def set_email(
    system: auth.SystemDep, user: auth.SignedIn, request: Request, given: EmailIn
) -> AccountOut:
    """Set or remove one's e-mail address. Where addresses are to be confirmed, an e-mail goes
    there."""
    accounts = system.catalogue.accounts
    account = await accounts.set_email(
        user.username, given.email, given.password, auth.caller(request)
    )
    if account_out(system, account).email_state is EmailState.UNCONFIRMED:
        await _send(system, request, account)
    return account_out(system, account)


@router.post("/me/email/letter", status_code=204)
async def send_letter(system: auth.SystemDep, user: auth.SignedIn, request: Request) -> None:
    """Have the e-mail sent again that confirms one's address; links of before end."""
    await _send(system, request, await system.catalogue.accounts.account(user.username))


@router.post("/email-confirmations", status_code=204)
async def confirm_email(system: auth.SystemDep, given: EmailSecretIn) -> None:
    """Confirm an address by the secret in the e-mail's link. It needs no sign-in."""
    await system.catalogue.accounts.verify_email(given.secret)


async def _send(system: System, request: Request, account: Account) -> None:
    if system.mailer is None or not system.settings.public_url:
        raise NoMailServer
    letters: TokenBuckets = request.app.state.letters
    now_s = system.clock.monotonic_s()
    whose, to = f"of {account.user.username}", f"to {account.profile.email}"
    for key in (whose, to, source_of(auth.caller(request))):
        wait_s = letters.take(key, now_s)
        if wait_s > 0:
            raise TooManyLetters(wait_s)
    email = account.profile.email
    secret = await system.catalogue.accounts.new_email_token(account.user.username, email)
    url, text = system.settings.public_url, TEXTS[account.profile.language].confirm_email
    link = f"{url}/verify-email#{secret}"
    body = text.body.format(username=account.user.username, url=url, link=link)
    await system.mailer.send(Letter(to=email, subject=text.subject, text=body))
