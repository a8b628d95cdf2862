"""`umbel provider` against a front end that listens."""

import asyncio
from pathlib import Path

from typer.testing import CliRunner, Result

from support.http import PASSWORD, make_system, serving, world
from umbel.cli import app
from umbel.kit.db import Database


async def provider(url: str, *words: str, user: str = "operator") -> Result:
    env = {"UMBEL_URL": url, "UMBEL_USER": user, "UMBEL_PASSWORD": PASSWORD, "COLUMNS": "160"}
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["provider", *words], env=env))


async def test_providers_are_added_and_listed(sqlite: Database, tmp_path: Path) -> None:
    system = make_system(sqlite, tmp_path)
    async with world(system, served=True) as here, serving(here.app) as (_, url):
        done = await provider(url, "add", "Water Polo Club", "--node", "pe2")
        (club,) = [one for one in await system.catalogue.providers() if "Polo" in one.name]
        assert done.stdout == f"added provider Water Polo Club: {club.id}\n"
        listed = (await provider(url, "list")).stdout.splitlines()
        (row,) = [line.split() for line in listed if "Polo" in line]
        assert row[:5] == [club.id, "Water", "Polo", "Club", "pe2"]
        for wrong, code in (
            (await provider(url, "add", "Chess Club", "--node", "nowhere"), "umbel.unprocessable"),
            (await provider(url, "add", club.name, "--node", "pe2"), "umbel.provider_exists"),
            (await provider(url, "add", "A", "--node", "pe2", user="viewer"), "umbel.forbidden"),
        ):
            assert (wrong.exit_code, f"({code})" in wrong.stderr) == (2, True), wrong.output


async def test_members_are_added_shown_and_removed(sqlite: Database, tmp_path: Path) -> None:
    system = make_system(sqlite, tmp_path)
    async with world(system, served=True) as here, serving(here.app) as (_, url):
        city = here.city.id
        added = await provider(url, "add-member", city, "viewer")
        assert added.stdout == f"viewer is editor of {city}\n"
        assert (await provider(url, "add-member", city, "viewer", "--role", "owner")).exit_code == 0
        listed = (await provider(url, "members", city, user="city")).stdout.split()
        assert listed == ["account", "role", "city", "owner", "viewer", "owner"]
        removed = await provider(url, "remove-member", city, "city")
        assert removed.stdout == f"city is no member of {city}\n"
        for wrong, code in (
            (await provider(url, "remove-member", city, "viewer"), "umbel.last_owner"),
            (await provider(url, "add-member", city, "nobody"), "umbel.no_such_user"),
            (await provider(url, "members", city, user="club"), "umbel.forbidden"),
        ):
            assert (wrong.exit_code, f"({code})" in wrong.stderr) == (2, True), wrong.output
