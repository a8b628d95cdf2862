"""Nodes of a running platform with real processes: one comes, one is drained under a viewer and
goes, and a restart keeps it so. The operator uses REST and `umbel node`."""

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
from umbel.demo.stage import Child, LiveEvent

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

NETWORK = {
    "nodes": [
        {"name": "pe1", "address": "127.0.1.1", "cores": 4},
        {"name": "pe2", "address": "127.0.2.1", "cores": 4},
    ],
    "links": [{"a": "pe1", "b": "pe2"}],
    "default_access": "pe1",
}
NEW = {
    "name": "pe3",
    "address": "127.0.3.1",
    "cores": 4,
    "links": [{"to": "pe1"}, {"to": "pe2", "delay_ms": 0.2}],
}


@asynccontextmanager
async def two_nodes(folder: Path) -> AsyncIterator[Platform]:
    file = folder / "network.yaml"
    file.write_text(yaml.safe_dump(NETWORK))
    async with platform(folder, ["--network", str(file), "--policy", "qos"]) as made:
        yield made


async def command(made: Platform, *words: str) -> Child:
    """`umbel node` as the operator."""
    account = next(a for a in made.accounts if a.role is UserRole.OPERATOR)
    options = ("--url", made.url, "--token", await _token(made, account.username, account.password))
    return await made.run("node", [sys.executable, "-m", "umbel", "node", *options, *words])


async def _token(made: Platform, username: str, password: str) -> str:
    form = {"grant_type": "password", "username": username, "password": password}
    answer = await made.api.post("/oauth/token", data=form)
    return str(answer.json()["access_token"])


def processes_at(made: Platform, address: str) -> list[str]:
    """The command lines of all the platform's media servers that have the address."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        line = b" ".join(words).decode()
        if b"umbel.media" in words and address.encode() in words and str(made.folder) in line:
            found.append(line)
    return found


async def nodes(made: Platform) -> dict[str, str]:
    return {node["name"]: node["state"] for node in await made.get("nodes")}


async def leave(made: Platform, session: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {session['token']}"}
    answer = await made.api.delete(f"/api/v1/sessions/{session['id']}", headers=headers)
    assert answer.status_code == 204, answer.text


async def at_the_new_node(made: Platform, event: LiveEvent) -> dict[str, Any]:
    session = await made.session(event, "pe2")
    assert session["edge"] == "pe3"
    return session


async def test_a_node_comes_and_a_drained_one_goes_under_a_viewer(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as made:
        event, _ = await made.live()
        old = await made.session(event, "pe2")
        assert old["edge"] == "pe2"
        async with watching(old) as leaving:
            added = await made.api.post("/api/v1/nodes", json=NEW)
            assert added.status_code == 201, added.text
            assert processes_at(made, "127.0.2.1") != []
            draining = await command(made, "drain", "pe2")

            async def is_draining() -> str:
                return (await nodes(made))["pe2"]

            await until(is_draining, lambda state: state == "draining", within_s=30)
            new = await at_the_new_node(made, event)
            async with watching(new) as staying:
                await goes_on(leaving)
                await leave(made, old)
                await draining.process.wait()
                assert draining.process.returncode == 0, draining.tail()
                assert draining.tail().endswith("pe2 is drained")
                assert processes_at(made, "127.0.2.1") == []
                removed = await made.api.delete("/api/v1/nodes/pe2")
                assert removed.status_code == 204, removed.text
                await goes_on(staying)
                await made.kill_control_plane()
                await made.restart()
                await made.sign_in(UserRole.OPERATOR)
                assert await nodes(made) == {"pe1": "ready", "pe3": "ready"}
                await goes_on(staying)
                forced = await command(made, "drain", "pe3", "--force")
                await forced.process.wait()
                assert forced.process.returncode == 0, forced.tail()
                assert processes_at(made, "127.0.3.1") == []
                gone = await made.api.get(f"/api/v1/sessions/{new['id']}")
                assert gone.json()["code"] == "umbel.no_such_session"
