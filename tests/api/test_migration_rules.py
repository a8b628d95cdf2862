"""Rules against moves over REST and by `umbel migration rule`."""

import asyncio
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from support.http import PASSWORD, World
from umbel.cli import app

URL = "/api/v1/migration-rules"
RULE: dict[str, Any] = {"reason": "the fair is on", "targets": ["town*"]}
CALLS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PUT", "/fair", RULE),
    ("DELETE", "/fair", None),
]


async def rule(url: str, *words: str) -> Result:
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD}
    env["COLUMNS"] = "200"
    words = ("migration", "rule", *words)
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, words, env=env))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]}{call[1]}")
async def test_they_are_for_operators(here: World, call: tuple[str, str, Any]) -> None:
    method, path, body = call
    answer = await here.client.request(method, URL + path, json=body)
    assert answer.status_code == 401
    answer = await here.client.request(method, URL + path, json=body, headers=here.as_("viewer"))
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("name", "change", "status", "code"),
    [
        ("fair", {"reason": ""}, 422, "umbel.unprocessable"),
        ("fair", {"reason": " "}, 400, "umbel.bad_migration_rule"),
        ("fair", {"hours": {"first": "25:00"}}, 400, "umbel.bad_migration_rule"),
        ("fair", {"hours": {"zone": "Mars/Base"}}, 400, "umbel.bad_migration_rule"),
        ("fair", {"kinds": ["walk"]}, 422, "umbel.unprocessable"),
        ("fair", {"targets": ["a"] * 33}, 422, "umbel.unprocessable"),
        ("Fair", {}, 422, "umbel.unprocessable"),
    ],
)
async def test_what_is_no_rule(
    here: World, name: str, change: dict[str, Any], status: int, code: str
) -> None:
    headers = here.as_("operator")
    answer = await here.client.put(f"{URL}/{name}", json=RULE | change, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await here.client.get(URL, headers=headers)).json() == []


async def test_a_rule_is_set_shown_and_removed(there: tuple[World, str]) -> None:
    here, url = there
    words = ("set", "fair", "--reason", "the fair is on", "--target", "town*", "--user", "!anna")
    hours = ("--from", "18:00", "--until", "23:00", "--day", "sat", "--zone", "Europe/Rome")
    assert (await rule(url, *words, *hours)).stdout == "fair holds from now on\n"
    shown = (await rule(url, "list")).stdout
    for text in ("town*", "!anna", "sat 18:00-23:00 Europe/Rome", "the fair is on"):
        assert text in shown
    (kept,) = (await here.client.get(URL, headers=here.as_("operator"))).json()
    assert kept["hours"]["days"] == ["sat"]
    (change,) = [c for c in await here.system.journal.since(0) if c.kind == "migration_rule"]
    assert change.body == {"what": "put", "by": "operator"}
    assert (await rule(url, "remove", "fair")).stdout == "removed fair\n"
    again = await rule(url, "remove", "fair")
    assert again.exit_code != 0
    assert "umbel.no_such_migration_rule" in again.output
