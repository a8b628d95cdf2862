"""The built web app over a front end in this process, for browsers: quick, without functions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from support import databases
from support.http import World, make_system, serving, world
from umbel.bootstrap import mail
from umbel.kit.db import Database


@asynccontextmanager
async def web_world(folder: Path, **settings: Any) -> AsyncIterator[tuple[World, str]]:
    """The people's world with these settings, and its URL. Letters go where the settings say."""
    database = Database(f"sqlite:///{folder / 'umbel.db'}", durable=False)
    try:
        await databases.prepare(database)
        system = make_system(database, folder, **settings)
        mailer: Any = mail.mailer(system.settings)
        system = replace(system, mailer=mailer or system.mailer)
        async with world(system, served=True) as here, serving(here.app) as (_, url):
            yield here, url
        if mailer is not None:
            await mailer.close()
    finally:
        await database.close()
