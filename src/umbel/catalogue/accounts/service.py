"""The only entry to what people do with their own accounts.

In: calls of the portal. Out: one write unit each, which also journals it. Who changes something of
worth shows the password again; wrong ones are limited as at a sign-in. Neighbours:
catalogue.service has what operators do with all accounts.
"""

from dataclasses import replace

from umbel.catalogue import rules, units
from umbel.catalogue.accounts import store
from umbel.catalogue.accounts.model import (
    Account,
    EmailLinkInvalid,
    EmailToken,
    Profile,
    TooManyAccounts,
    WrongPassword,
)
from umbel.catalogue.model import BadCredentials, User, UserRole
from umbel.catalogue.passwords import Passwords
from umbel.catalogue.sign_in import SignIn
from umbel.catalogue.store import Unit
from umbel.catalogue.units import Units
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.languages import Language

EMAIL_TOKEN_S = 86_400.0


class Accounts:
    """A user's own account."""

    def __init__(
        self, database: Database, clock: Clock, passwords: Passwords, sign_in: SignIn
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._sign_in = sign_in
        self._write = Units(database, clock).write

    async def sign_up(
        self, username: str, password: str, *, most: int, language: Language = Language.ENGLISH
    ) -> User:
        """A new viewer, while there are fewer than `most` users. Raises Unprocessable, UserExists,
        TooManyAccounts, TooManySignIns."""
        new = User(
            username=rules.username(username),
            role=UserRole.VIEWER,
            generation=rules.new_generation(),
        )
        rules.password(password)
        now_s = self._clock.now_s()
        profile = Profile(username=new.username, created_s=now_s, language=language)
        # Before the hash, which costs: a full platform refuses cheaply.
        if await self._database.read(store.count) >= most:
            raise TooManyAccounts
        hashed = await self._passwords.hash(password)

        def add(unit: Unit) -> None:
            units.add_user(unit, new, hashed)
            store.put_profile(unit.connection, profile)

        await self._write(add)
        return new

    async def account(self, username: str) -> Account:
        """The account as it is. Raises NoSuchUser."""
        return await self._database.read(store.account, username)

    async def change_password(self, username: str, present: str, new: str, address: str) -> User:
        """Give the account another password: every token of before ends. Raises WrongPassword,
        Unprocessable, SignInTooSoon, TooManySignIns."""
        rules.password(new)
        await self._confirm(username, present, address)
        hashed = await self._passwords.hash(new)
        await self._write(lambda unit: units.set_password(unit, username, hashed))
        return (await self.account(username)).user

    async def set_email(self, username: str, email: str, password: str, address: str) -> Account:
        """Have this e-mail address in place of any other, none when it is empty; not verified.
        Raises WrongPassword, Unprocessable, SignInTooSoon, TooManySignIns."""
        clean = rules.email(email)
        await self._confirm(username, password, address)

        def change(unit: Unit) -> None:
            before = store.hold(unit.connection, username).profile
            profile = replace(before, email=clean, is_verified=False)
            store.put_profile(unit.connection, profile)
            store.drop_email_token(unit.connection, username)
            unit.journal("user", username, {"what": "changed"})

        await self._write(change)
        return await self.account(username)

    async def set_language(self, username: str, language: Language) -> Account:
        """Have e-mails in this language from now on. Raises NoSuchUser."""

        def change(unit: Unit) -> None:
            before = store.hold(unit.connection, username).profile
            store.put_profile(unit.connection, replace(before, language=language))
            unit.journal("user", username, {"what": "changed"})

        await self._write(change)
        return await self.account(username)

    async def new_email_token(self, username: str, email: str) -> str:
        """A secret to send to this address of the account, in place of any before. Raises
        NoSuchUser, EmailLinkInvalid where it is not the account's, or needs none."""
        secret = rules.new_secret()
        expires_s = self._clock.now_s() + EMAIL_TOKEN_S

        def put(unit: Unit) -> None:
            profile = store.hold(unit.connection, username).profile
            if not email or profile.email != email or profile.is_verified:
                raise EmailLinkInvalid("There is no address that waits to be confirmed.")
            token = EmailToken(
                username=username,
                email=profile.email,
                token_hash=rules.key_hash(secret),
                expires_s=expires_s,
            )
            store.put_email_token(unit.connection, token)

        await self._write(put)
        return secret

    async def verify_email(self, secret: str) -> None:
        """The address that the secret was sent to is its account's. Raises EmailLinkInvalid."""
        now_s = self._clock.now_s()

        def verify(unit: Unit) -> None:
            token = store.email_token(unit.connection, rules.key_hash(secret))
            if token is None or token.expires_s <= now_s:
                raise EmailLinkInvalid
            profile = store.hold(unit.connection, token.username).profile
            if profile.email != token.email:
                raise EmailLinkInvalid
            store.put_profile(unit.connection, replace(profile, is_verified=True))
            store.drop_email_token(unit.connection, token.username)
            unit.journal("user", token.username, {"what": "changed"})

        await self._write(verify)

    async def remove(self, username: str, password: str, address: str) -> None:
        """Delete the account with all that is its user's. Raises WrongPassword, LastOperator,
        SignInTooSoon, TooManySignIns."""
        await self._confirm(username, password, address)
        await self._write(lambda unit: units.remove_user(unit, username))

    async def sign_out_everywhere(self, username: str) -> None:
        """End every token and every browser's sign-in of the account. Raises NoSuchUser."""
        generation = rules.new_generation()

        def end(unit: Unit) -> None:
            store.set_generation(unit.connection, username, generation)
            unit.journal("user", username, {"what": "signed out everywhere"})

        await self._write(end)

    async def _confirm(self, username: str, password: str, address: str) -> None:
        try:
            await self._sign_in.authenticate(username, password, address)
        except BadCredentials as error:
            raise WrongPassword from error
