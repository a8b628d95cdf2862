"""Volumes over REST and by `umbel volume`: who may, what is refused and shown."""

import asyncio
import re
from typing import Any

from typer.testing import CliRunner, Result

from api.test_guests import running
from support.http import PASSWORD, World
from umbel.cli import app

URL = "/api/v1/volumes"
LOGGED = re.compile(r"\S+ \S+ \[[a-z]+ *\] ")
CALLS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("POST", "", {"name": "album", "node": "pe9", "size_mb": 10}),
    ("DELETE", "/album", None),
    ("POST", "/album/attach", {"function": "guest-9"}),
    ("POST", "/album/detach", None),
    ("GET", "/album/snapshots", None),
    ("POST", "/album/snapshots", {"name": "monday"}),
    ("POST", "/album/snapshots/monday/restore", None),
    ("DELETE", "/album/snapshots/monday", None),
]


async def volume(url: str, *words: str) -> Result:
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD}
    env["COLUMNS"] = "160"
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["volume", *words], env=env))


def said(result: Result) -> list[str]:
    """Without the platform's log: it is in the same process here."""
    assert result.exit_code == 0, result.output
    return [line.strip() for line in result.stdout.splitlines() if not LOGGED.match(line)]


async def test_only_operators_have_volumes(here: World) -> None:
    for who, status in (("city", 403), ("", 401)):
        headers = here.as_(who) if who else {}
        for method, path, body in CALLS:
            answer = await here.client.request(method, f"{URL}{path}", json=body, headers=headers)
            assert answer.status_code == status, (method, path)


async def test_what_is_no_volume_is_refused(here: World) -> None:
    for method, path, body in CALLS[2:]:
        answer = await here.client.request(
            method, f"{URL}{path}", json=body, headers=here.as_("operator")
        )
        assert answer.status_code == 404
        assert answer.json()["code"] == "umbel.no_such_volume"
        assert "album" in answer.json()["message"]


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"name": "album", "node": "pe1", "size_mb": 10}, "umbel.no_volumes_there"),
    ({"name": "album", "node": "nowhere", "size_mb": 10}, "umbel.no_such_node"),
    ({"name": "album", "node": "pe9", "size_mb": 101}, "umbel.volume_quota_reached"),
    ({"name": "../x", "node": "pe9", "size_mb": 10}, "umbel.unprocessable"),
    ({"name": "album", "node": "pe9", "size_mb": 0}, "umbel.unprocessable"),
    ({"name": "album", "node": "pe9", "size_mb": 2**40}, "umbel.unprocessable"),
]


async def test_what_cannot_be_a_volume_is_refused(here: World) -> None:
    operator = here.as_("operator")
    for body, code in REFUSED:
        answer = await here.client.post(URL, json=body, headers=operator)
        assert answer.json()["code"] == code
    assert (await here.client.get(URL, headers=operator)).json() == []


async def test_an_operator_has_a_volume(there: tuple[World, str]) -> None:
    here, url = there
    guest = await running(here)
    assert said(await volume(url, "create", "album", "--node", "pe9", "--size", "20M")) == [
        "album is at pe9, 20 MiB"
    ]
    assert said(await volume(url, "attach", "album", guest)) == ["guest-9 has the volume album"]
    assert said(await volume(url, "list"))[1].split() == ["album", "pe9", "20", "attached", guest]
    assert said(await volume(url, "snapshot", "album", "monday")) == [
        "album has the snapshot monday"
    ]
    refused = await volume(url, "restore", "album", "monday")
    assert refused.exit_code == 2
    assert "album is attached to guest-9: detach it first (umbel.volume_attached)" in refused.stderr
    assert said(await volume(url, "detach", "album")) == ["album is available"]
    assert said(await volume(url, "restore", "album", "monday")) == ["album is as it was at monday"]
    assert said(await volume(url, "snapshots", "album"))[0].split()[1:] == ["monday"]
    assert said(await volume(url, "remove-snapshot", "album", "monday")) == [
        "album has no snapshot monday any more"
    ]
    assert said(await volume(url, "remove", "album")) == ["removed album"]
    bad = await volume(url, "create", "album", "--node", "pe9", "--size", "20 apples")
    assert bad.exit_code == 2
    assert "512M" in bad.output
