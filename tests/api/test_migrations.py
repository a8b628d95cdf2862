"""Moves of functions over REST and by `umbel migration`: who may, what is refused and shown."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from support.http import PASSWORD, World
from support.migrating import GUEST, OWNER
from umbel.cli import app
from umbel.compute.model import Function, Resources
from umbel.portal.migration_cli import copied

URL = "/api/v1/migrations"
WISH = {"function": "guest-1", "target": "pe2"}
CALLS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("POST", "", WISH),
    ("POST", "/check", WISH),
    ("POST", "/choice", {"drain": ["pe1"]}),
    ("GET", "/mi_1", None),
    ("POST", "/mi_1/cancel", None),
]


@asynccontextmanager
async def running(here: World, number: int = 1) -> AsyncIterator[str]:
    """A function that runs on pe1, and the loop that moves it."""
    plane = here.system.plane
    function = Function(id=f"guest-{number}", node="pe1", description=GUEST)
    plane.guests.rows[function.id] = function
    await plane.compute.ensure(OWNER, plane.guests.rows)
    async with asyncio.timeout(10):
        while not await plane.is_active(function.id):
            await asyncio.sleep(0.01)
    loop = asyncio.create_task(plane.mobility.run())
    try:
        yield function.id
    finally:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop


async def until(here: World, migration: str, *states: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            answer = await here.client.get(f"{URL}/{migration}", headers=here.as_("operator"))
            found: dict[str, Any] = answer.json()
            if found["state"] in states:
                return found
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_only_operators_move_functions(
    here: World, method: str, path: str, body: Any
) -> None:
    answer = await here.client.request(method, URL + path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (401, "umbel.token_missing")
    for who in ("viewer", "city"):
        headers = here.as_(who)
        answer = await here.client.request(method, URL + path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "umbel.forbidden")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"function": ""}, "function"),
        ({"function": "x" * 129}, "function"),
        ({"target": "no spaces"}, "target"),
        ({"kind": "teleport"}, "kind"),
        ({"max_gap_s": 0}, "max_gap_s"),
        ({"max_duration_s": 1e9}, "max_duration_s"),
        ({"dirty_mbps": -1}, "dirty_mbps"),
        ({"wait_s": "soon"}, "wait_s"),
        ({"speed": 9}, "speed"),
    ],
)
async def test_a_bad_wish_names_its_field(here: World, change: dict[str, Any], field: str) -> None:
    answer = await here.client.post(URL, json=WISH | change, headers=here.as_("operator"))
    assert (answer.status_code, answer.json()["code"]) == (422, "umbel.unprocessable")
    assert [one["field"] for one in answer.json()["details"]["fields"]] == [field]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"function": "guest-9"}, 404, "umbel.no_function_to_move"),
        ({"target": "pe7"}, 404, "umbel.no_such_node"),
        ({"target": "pe1"}, 409, "umbel.already_there"),
        ({"target": "pe9"}, 409, "umbel.cannot_migrate"),
        ({"kind": "replacement"}, 409, "umbel.cannot_migrate"),
    ],
)
async def test_what_cannot_be_moved(
    here: World, change: dict[str, Any], status: int, code: str
) -> None:
    async with running(here):
        for path in ("", "/check"):
            answer = await here.client.post(
                URL + path, json=WISH | change, headers=here.as_("operator")
            )
            assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await here.client.get(URL, headers=here.as_("operator"))).json() == []


async def test_a_dry_run_names_the_rule_of_who_asks(here: World) -> None:
    headers = here.as_("operator")
    body = {"reason": "not by operators", "users": ["operator"]}
    await here.client.put("/api/v1/migration-rules/none", json=body, headers=headers)
    async with running(here):
        checked = await here.client.post(f"{URL}/check", json=WISH, headers=headers)
    assert checked.json()["reasons"] == ["not by operators (rule none)"]


async def test_a_migration_from_wish_to_commit(here: World) -> None:
    headers = here.as_("operator")
    async with running(here) as function:
        checked = await here.client.post(f"{URL}/check", json=WISH, headers=headers)
        found = checked.json()
        assert (found["admitted"], found["reasons"], found["source"]) == (True, [], "pe1")
        assert found["predicted"]["copied_mb"] == 256
        answer = await here.client.post(URL, json=WISH, headers=headers)
        assert answer.status_code == 202
        made = answer.json()
        assert (made["function"], made["kind"]) == (function, "full-transfer")
        again = await here.client.post(URL, json=WISH, headers=headers)
        assert (again.status_code, again.json()["code"]) == (409, "umbel.migration_under_way")
        over = await until(here, made["id"], "committed", "aborted")
        assert (over["state"], over["reason"], over["requested_by"]) == (
            "committed",
            "",
            "operator",
        )
        assert 0 < over["predicted"]["gap_s"] <= 0.3
        assert over["achieved"]["duration_s"] > 0
        late = await here.client.post(f"{URL}/{made['id']}/cancel", headers=headers)
        assert (late.status_code, late.json()["code"]) == (409, "umbel.migration_too_late")
        listed = await here.client.get(URL, headers=headers)
        assert [one["id"] for one in listed.json()] == [made["id"]]
    seen = {c.body["state"] for c in await here.system.journal.since(0) if c.kind == "migration"}
    assert {"planned", "admitted", "prepared", "copying", "switched", "committed"} <= seen


async def test_one_that_waits_is_cancelled(here: World) -> None:
    headers = here.as_("operator")
    async with running(here) as function:
        here.system.plane.compute.ledger.promise("others", {"pe2": Resources(memory_mb=1000)})
        answer = await here.client.post(URL, json=WISH | {"wait_s": 60}, headers=headers)
        migration = answer.json()["id"]
        async with asyncio.timeout(10):
            while "no room" not in (await until(here, migration, "planned"))["reason"]:
                await asyncio.sleep(0.02)
        cancelled = await here.client.post(f"{URL}/{migration}/cancel", headers=headers)
        assert (cancelled.status_code, cancelled.json()["cancelled_by"]) == (202, "operator")
        over = await until(here, migration, "aborted")
        assert over["reason"] == "cancelled by operator"
        assert await here.system.plane.is_active(function)
    gone = await here.client.get(f"{URL}/mi_none", headers=headers)
    assert (gone.status_code, gone.json()["code"]) == (404, "umbel.no_such_migration")


# -- the command -----------------------------------------------------------------------------


async def migration(url: str, *words: str) -> Result:
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD}
    return await asyncio.to_thread(
        lambda: CliRunner().invoke(app, ["migration", *words], env=env | {"COLUMNS": "200"})
    )


def lines(result: Result) -> list[str]:
    """What the command says: the front end's log comes out of the same process."""
    return [line for line in result.stdout.splitlines() if "[info " not in line]


async def test_the_command_moves_and_shows(there: tuple[World, str]) -> None:
    here, url = there
    async with running(here) as function:
        tried = await migration(url, "start", function, "pe2", "--dry-run")
        assert tried.exit_code == 0
        assert f"would be admitted: {function} from pe1 to pe2 by full-transfer" in tried.stdout
        assert "256 MiB at 10000 Mbit/s" in tried.stdout
        made = await migration(url, "start", function, "pe2")
        assert made.exit_code == 0, made.output
        first, last = lines(made)
        assert first.endswith(f"{function} to pe2 by full-transfer")
        assert last.startswith("committed in ")
        id_ = first.partition(":")[0]
        listed = (await migration(url, "list")).stdout
        assert id_ in listed
        shown = (await migration(url, "show", id_)).stdout
        assert "committed since" in shown
        assert "took: " in shown
        late = await migration(url, "cancel", id_)
        assert late.exit_code == 2
        assert "umbel.migration_too_late" in late.stderr


async def test_the_command_says_why_not(there: tuple[World, str]) -> None:
    here, url = there
    async with running(here) as function:
        here.system.plane.compute.ledger.promise("others", {"pe2": Resources(memory_mb=1000)})
        tried = await migration(url, "start", function, "pe2", "--dry-run")
        assert tried.exit_code == 1
        assert "pe2 has no room: 256 MiB needed, 24 free" in tried.stderr
        made = await migration(url, "start", function, "pe2")
        assert made.exit_code == 1
        assert "aborted: pe2 has no room" in made.stderr
        begun = await migration(url, "start", function, "pe2", "--wait", "60", "--no-follow")
        assert begun.exit_code == 0
        id_ = lines(begun)[0].partition(":")[0]
        stays = await migration(url, "cancel", id_)
        assert lines(stays) == [f"{function} is to stay on pe1"]
        await until(here, id_, "aborted")
        assert "reason: cancelled by operator" in (await migration(url, "show", id_)).stdout


async def test_chosen_moves_are_shown_and_made(there: tuple[World, str]) -> None:
    here, url = there
    async with running(here) as function:
        shown = await migration(url, "choose", "--drain", "pe1")
        assert shown.exit_code == 0, shown.output
        assert "1 moves; fullest node 25% to 25%" in shown.stdout
        assert await here.system.plane.is_active(function)
        assert (await here.client.get(URL, headers=here.as_("operator"))).json() == []
        made = await migration(url, "choose", "--drain", "pe1", "--start")
        assert made.exit_code == 0, made.output
        assert f"{function} from pe1 to pe" in made.stdout
        instance = await here.system.plane.instance(function)
        assert instance is not None
        assert instance.node in {"pe2", "pe3"}


async def test_a_move_that_is_aborted_ends_the_chosen_ones(there: tuple[World, str]) -> None:
    here, url = there
    async with running(here) as function:
        for node in ("pe2", "pe3"):
            here.system.plane.vim.refuse(node)
        made = await migration(url, "choose", "--drain", "pe1", "--start")
        assert made.exit_code == 1, made.output
        assert f"{function} from pe1 to pe" in made.stderr
        assert "aborted: " in made.stderr


@pytest.mark.parametrize("is_full", [False, True])
async def test_a_drain_moves_first(there: tuple[World, str], *, is_full: bool) -> None:
    here, url = there
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD}
    words = ["node", "drain", "pe1", "--move", "--no-wait"]
    async with running(here) as function:
        if is_full:
            used = {node: Resources(memory_mb=1000) for node in ("pe2", "pe3")}
            here.system.plane.compute.ledger.promise("others", used)
        said = await asyncio.to_thread(lambda: CliRunner().invoke(app, words, env=env))
        assert said.exit_code == 0, said.output
        assert lines(said)[-1] == "pe1 is drained"
        assert (f"{function} from pe1 to pe" in said.stdout) is not is_full
        assert ("nothing more is moved: The functions do not fit" in said.stderr) is is_full


def test_progress_says_what_is_known() -> None:
    nothing = dict.fromkeys(("copied_mb", "total_mb", "mbps", "dirty_mbps", "viewers"))
    assert copied(nothing) == ""
    known = nothing | {"copied_mb": 128.0, "total_mb": 256.0}
    assert copied(known) == "128/256 MiB"
    assert copied(known | {"mbps": 1073.741824}) == "128/256 MiB, 1074 Mbit/s, 1 s left"
    written = known | {"mbps": 1073.741824, "dirty_mbps": 20.0}
    assert copied(written) == "128/256 MiB, 1074 Mbit/s, writes 20 Mbit/s, 1 s left"
    assert copied(nothing | {"viewers": 3}) == "3 viewers left"
