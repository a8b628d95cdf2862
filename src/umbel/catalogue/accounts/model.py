"""What a user's own account is, and why something cannot be done with it.

Times are epoch seconds.
"""

from dataclasses import dataclass

from umbel.catalogue.model import User
from umbel.kit.errors import Exhausted, Forbidden, Invalid
from umbel.kit.languages import Language


class SignUpClosed(Forbidden):
    """This platform does not let people make accounts; ask its operator for one."""

    code = "umbel.sign_up_closed"


class TooManyAccounts(Exhausted):
    """There are as many accounts as this platform lets people make."""

    code = "umbel.too_many_accounts"
    retry_after_s = 3_600


class WrongPassword(Forbidden):
    """The current password is wrong."""

    code = "umbel.wrong_password"


class EmailLinkInvalid(Invalid):
    """The link that confirms an e-mail address is wrong, was used, or is too old."""

    code = "umbel.email_link_invalid"


class ResetLinkInvalid(Invalid):
    """The link for a new password is wrong, was used, or is too old: ask for another one."""

    code = "umbel.reset_link_invalid"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a user said of themselves; `language` is that of their e-mails. `created_s` is 0.0 where
    nobody noted it."""

    username: str
    email: str = ""
    is_verified: bool = False
    created_s: float = 0.0
    language: Language = Language.ENGLISH


@dataclass(frozen=True, kw_only=True)
class EmailToken:
    """What confirms an address: the hash of a secret that was sent there."""

    username: str
    email: str
    token_hash: str
    expires_s: float


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user with the profile."""

    user: User
    profile: Profile
