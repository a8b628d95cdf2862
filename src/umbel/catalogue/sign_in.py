"""Signing in with a password: limited, then checked. In: a name, a password, an address. Out: the
user, or why not. Neighbours: sign_in_limits decides who waits, `passwords` hashes, `store` reads.
"""

from umbel.catalogue import rules, store
from umbel.catalogue.model import BadCredentials, NoSuchUser, User
from umbel.catalogue.passwords import Passwords
from umbel.catalogue.sign_in_limits import SignInLimits
from umbel.kit.clock import Clock
from umbel.kit.connections import source_of
from umbel.kit.db import Database
from umbel.kit.errors import UmbelError


class SignIn:
    """Whether somebody is who they say."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._limits = SignInLimits()

    async def authenticate(self, username: str, password: str, address: str) -> User:
        """The user of that name and password, who asks from that address. Raises BadCredentials,
        SignInTooSoon, TooManySignIns."""
        account = username if rules.USERNAME.fullmatch(username) else ""
        source = source_of(address)
        self._limits.admit(account, source, self._clock.monotonic_s())
        try:
            user = await self._check(account, password, source)
        except BadCredentials:
            raise
        except UmbelError:
            self._limits.was_not_checked(account, source)
            raise
        self._limits.was_right(account, source)
        return user

    async def _check(self, account: str, password: str, source: str) -> User:
        hashed = await self._database.read(store.password_hash, account) if account else None
        if not await self._passwords.verify(password, hashed, source):
            raise BadCredentials
        try:
            return await self._database.read(store.user, account)
        except NoSuchUser as error:
            raise BadCredentials from error
