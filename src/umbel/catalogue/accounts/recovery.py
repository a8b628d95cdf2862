"""A lost password: a signed link that lasts an hour and works once.

In: a name or an e-mail address; later what stood in the link. Out: accounts to write to, and a new
password. Nothing is stored for a link: it names the account's generation and address, and another
password gives the account another generation.
"""

from umbel.catalogue import rules, units
from umbel.catalogue.accounts import store
from umbel.catalogue.accounts.model import Account, ResetLinkInvalid
from umbel.catalogue.model import NoSuchUser
from umbel.catalogue.passwords import Passwords
from umbel.catalogue.store import Unit
from umbel.catalogue.units import Units
from umbel.kit import keys
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.errors import Forbidden, Unauthenticated
from umbel.kit.tokens import RESET, Claims, Signer, Verifier

LINK_S = 3_600.0
MOST_ACCOUNTS = 5
"""Of one address that are written to."""


class Recovery:
    """New passwords by letters."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._write = Units(database, clock).write

    async def accounts(self, name: str, *, verified: bool) -> list[Account]:
        """The account of that name, or those of that e-mail address, that letters can go to;
        `verified` leaves out addresses that wait to be confirmed."""
        if rules.USERNAME.fullmatch(name):
            try:
                found = [await self._database.read(store.account, name)]
            except NoSuchUser:
                return []
        elif len(name) <= rules.MOST_EMAIL and rules.EMAIL.fullmatch(name):
            found = await self._database.read(store.of_email, name, MOST_ACCOUNTS)
        else:
            return []
        return [
            one for one in found if one.profile.email and (one.profile.is_verified or not verified)
        ]

    def link_secret(self, of: Account, signer: Signer) -> str:
        """What stands in the link."""
        claims = Claims(
            subject=of.user.username,
            scope=_mark(of),
            expires_s=self._clock.now_s() + LINK_S,
            generation=of.user.generation,
        )
        return signer.sign(claims, RESET)

    async def reset(self, secret: str, password: str, verifier: Verifier) -> str:
        """Give the account of the link another password; every sign-in of before ends. The name of
        the account. Raises ResetLinkInvalid, Unprocessable, TooManySignIns."""
        rules.password(password)
        try:
            claims = verifier.verify(secret, RESET, now_s=self._clock.now_s())
        except (Unauthenticated, Forbidden) as error:
            raise ResetLinkInvalid from error
        # Before the hash, which costs.
        self._check(await self._read(claims.subject), claims)
        hashed = await self._passwords.hash(password)

        def change(unit: Unit) -> None:
            try:
                account = store.hold(unit.connection, claims.subject)
            except NoSuchUser as error:
                raise ResetLinkInvalid from error
            self._check(account, claims)
            units.set_password(unit, claims.subject, hashed)

        await self._write(change)
        return claims.subject

    async def _read(self, username: str) -> Account:
        try:
            return await self._database.read(store.account, username)
        except NoSuchUser as error:
            raise ResetLinkInvalid from error

    def _check(self, account: Account, claims: Claims) -> None:
        """The password, and the address that the letter went to, are those of then."""
        if (account.user.generation, _mark(account)) != (claims.generation, claims.scope):
            raise ResetLinkInvalid


def _mark(of: Account) -> str:
    """Names the address without showing it."""
    return keys.digest(of.profile.email)[:32]
