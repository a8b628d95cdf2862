"""Accounts at the console: works on the database directly, so that a first operator can be made."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from umbel import migrations
from umbel.catalogue.model import NoSuchUser, User, UserRole
from umbel.catalogue.service import Catalogue
from umbel.kit import data_dir
from umbel.kit.clock import SystemClock
from umbel.kit.config import Settings
from umbel.kit.copies import NoDatabase, copies_of
from umbel.kit.db import Database


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Catalogue]:
    """The installation's catalogue, made or migrated."""
    data_dir.ensure(settings.data_dir)
    database = Database(settings.database)
    try:
        await migrations.upgrade(database)
        yield Catalogue(database, SystemClock())
    finally:
        await database.close()


@asynccontextmanager
async def found(settings: Settings) -> AsyncIterator[Catalogue]:
    """The catalogue of an installation that is there. Raises NoDatabase: who names a wrong folder
    must not be shown the accounts of a new one."""
    if await asyncio.to_thread(copies_of(settings.database).is_empty):
        raise NoDatabase
    async with opened(settings) as catalogue:
        yield catalogue


async def add(settings: Settings, name: str, password: str, role: UserRole, provider: str) -> None:
    """Add an account. Raises UserExists, Unprocessable, NoSuchProvider."""
    async with opened(settings) as catalogue:
        await catalogue.add_user(name, password, role, provider)


async def set_password(settings: Settings, name: str, password: str) -> None:
    """Change the password of an account. Raises NoSuchUser, Unprocessable, NoDatabase."""
    async with found(settings) as catalogue:
        await catalogue.set_password(name, password)


async def users(settings: Settings) -> list[User]:
    """Every account by name. Raises NoDatabase."""
    async with found(settings) as catalogue:
        return await catalogue.users()


async def remove(settings: Settings, name: str) -> None:
    """Remove an account. Raises NoSuchUser, LastOperator, NoDatabase."""
    async with found(settings) as catalogue:
        await catalogue.remove_user(name)


async def reset(
    catalogue: Catalogue, name: str, password: str, role: UserRole, provider: str
) -> None:
    """The account with a new password, whether or not it was there."""
    try:
        await catalogue.user(name)
    except NoSuchUser:
        await catalogue.add_user(name, password, role, provider)
    else:
        await catalogue.set_password(name, password)
