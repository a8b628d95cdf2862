"""An edge of real processes is replaced on another node under a viewer, by `umbel migration`, and
the control plane is killed while viewers leave."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.platform import Platform, platform
from support.viewers import goes_on, watching
from support.waiting import until
from umbel.catalogue.model import UserRole
from umbel.demo.stage import Child

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

NETWORK = {
    "nodes": [
        {"name": "pe1", "address": "127.0.1.1", "cores": 4},
        {"name": "pe2", "address": "127.0.2.1", "cores": 4},
        {"name": "pe3", "address": "127.0.3.1", "cores": 4},
    ],
    "links": [{"a": "pe1", "b": "pe2"}, {"a": "pe1", "b": "pe3"}],
    "default_access": "pe1",
}


@asynccontextmanager
async def three_nodes(folder: Path) -> AsyncIterator[Platform]:
    file = folder / "network.yaml"
    file.write_text(yaml.safe_dump(NETWORK))
    async with platform(folder, ["--network", str(file)]) as made:
        yield made


async def command(made: Platform, *words: str) -> Child:
    """`umbel migration` as the operator."""
    account = next(a for a in made.accounts if a.role is UserRole.OPERATOR)
    form = {
        "grant_type": "password",
        "username": account.username,
        "password": account.password,
    }
    token = (await made.api.post("/oauth/token", data=form)).json()["access_token"]
    options = ("--url", made.url, "--token", token)
    return await made.run("move", [sys.executable, "-m", "umbel", "migration", *options, *words])


async def newest(made: Platform) -> dict[str, Any]:
    migrations: list[dict[str, Any]] = await made.get("migrations")
    return migrations[0] if migrations else {"state": ""}


async def leave(made: Platform, session: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {session['token']}"}
    answer = await made.api.delete(f"/api/v1/sessions/{session['id']}", headers=headers)
    assert answer.status_code == 204, answer.text


async def test_an_edge_of_processes_is_replaced_under_a_viewer(tmp_path: Path) -> None:
    async with three_nodes(tmp_path) as made:
        event, _ = await made.live()
        old = await made.session(event, "pe2")
        assert old["edge"] == "pe2"
        async with watching(old) as leaving:
            (edge,) = [one["id"] for one in await made.get("functions") if one["role"] == "edge"]
            tried = await command(made, "start", edge, "pe3", "--dry-run")
            assert await tried.process.wait() == 0, tried.tail()
            assert tried.tail().endswith(f"{edge} from pe2 to pe3 by replacement")
            started = await command(made, "start", edge, "pe3", "--no-follow")
            assert await started.process.wait() == 0, started.tail()
            copying = await until(
                lambda: newest(made), lambda one: one["state"] == "copying", within_s=60
            )
            await made.kill_control_plane()
            await goes_on(leaving)
            await made.restart()
            await made.sign_in(UserRole.OPERATOR)
            new = await made.session(event, "pe2")
            assert new["edge"] == "pe3"
            async with watching(new) as staying:
                await goes_on(leaving)
                await leave(made, old)
                over = await until(
                    lambda: newest(made), lambda one: one["state"] == "committed", within_s=60
                )
                assert (over["id"], over["reason"]) == (copying["id"], "")
                assert edge not in made.records()
                await goes_on(staying)
                shown = await command(made, "show", over["id"])
                assert await shown.process.wait() == 0, shown.tail()
                assert "took: " in shown.tail()
