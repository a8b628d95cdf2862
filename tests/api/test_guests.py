"""Guests over REST and by `umbel function`: who may, what is refused and shown."""

import asyncio
import re
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from support.http import PASSWORD, World
from support.migrating import GUEST, OWNER
from umbel.cli import app
from umbel.compute.model import Function, FunctionState
from umbel.kit.terminal import printable

URL = "/api/v1/functions"
LOGGED = re.compile(r"\S+ \S+ \[[a-z]+ *\] ")
CALLS: list[tuple[str, str, Any]] = [
    ("POST", "/suspend", None),
    ("POST", "/resume", None),
    ("GET", "/console", None),
    ("GET", "/snapshots", None),
    ("POST", "/snapshots", {"name": "before"}),
    ("POST", "/snapshots/before/revert", None),
    ("DELETE", "/snapshots/before", None),
]


@pytest.fixture
async def guest(here: World) -> str:
    return await running(here)


async def running(here: World) -> str:
    """A guest that runs on pe9, and next to it a process on pe1."""
    plane = here.system.plane
    wanted = {
        id_: Function(id=id_, node=node, description=GUEST)
        for id_, node in (("guest-9", "pe9"), ("process-1", "pe1"))
    }
    await plane.compute.ensure(OWNER, wanted)
    async with asyncio.timeout(20):
        while any(
            one.state is not FunctionState.ACTIVE
            for one in (await plane.compute.running()).values()
        ):
            await asyncio.sleep(0.01)
    return "guest-9"


async def function(url: str, *words: str) -> Result:
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD}
    env["COLUMNS"] = "160"
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["function", *words], env=env))


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_only_operators_control_guests(
    here: World, guest: str, method: str, path: str, body: Any
) -> None:
    for who, status in (("city", 403), ("", 401)):
        headers = here.as_(who) if who else {}
        answer = await here.client.request(
            method, f"{URL}/{guest}{path}", json=body, headers=headers
        )
        assert answer.status_code == status


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_what_is_no_guest_is_refused(
    here: World, guest: str, method: str, path: str, body: Any
) -> None:
    for name, code in (("process-1", "umbel.not_a_guest"), ("nobody", "umbel.no_such_guest")):
        answer = await here.client.request(
            method, f"{URL}/{name}{path}", json=body, headers=here.as_("operator")
        )
        assert answer.json()["code"] == code
        assert name in answer.json()["message"]


async def test_an_operator_controls_a_guest(there: tuple[World, str]) -> None:
    here, url = there
    guest = await running(here)

    async def says(*words: str) -> str:
        result = await function(url, *words)
        assert result.exit_code == 0, result.output
        # The platform is in the same process here: its log is on the same stream.
        lines = [line for line in result.stdout.splitlines() if not LOGGED.match(line)]
        return "".join(lines)

    assert await says("suspend", guest) == "guest-9 is suspended"
    seen = await here.system.plane.far.running()
    assert seen[guest].is_suspended
    assert await says("snapshot", guest, "asleep") == "guest-9 has the snapshot asleep"
    assert await says("resume", guest) == "guest-9 continues"
    assert (await says("snapshots", guest)).split()[1:] == ["asleep"]
    assert await says("revert", guest, "asleep") == "guest-9 is as it was at asleep"
    assert (await here.system.plane.far.running())[guest].is_suspended
    assert await says("remove-snapshot", guest, "asleep") == (
        "guest-9 has no snapshot asleep any more"
    )
    assert await says("snapshots", guest) == ""
    assert await says("console", guest) == "umbel: guest-9 runs"


async def test_a_refusal_names_what_is_wrong(there: tuple[World, str]) -> None:
    here, url = there
    guest = await running(here)
    lost = await function(url, "revert", guest, "never")
    assert lost.exit_code == 2
    assert "guest-9 has no snapshot never (umbel.no_such_snapshot)" in lost.stderr
    bad = await function(url, "snapshot", guest, "../x")
    assert bad.exit_code == 2
    assert "name" in bad.stderr


def test_a_console_does_not_steer_the_terminal() -> None:
    assert printable("a\r\n\x1b[2Jb\tc\x07") == "a\n\ufffd[2Jb\tc\ufffd"
