"""Whose word is taken for a client's address: only a trusted proxy's."""

from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from support.http import make_system, serving, world
from umbel.kit.config import Settings
from umbel.kit.db import Database


@pytest.mark.parametrize(
    ("trusted", "believed"),
    [("", False), ("127.0.0.0/8, 10.0.0.0/8", True), ("10.0.0.0/8", False), ("127.0.0.1", True)],
)
async def test_a_forwarded_address_is_believed_from_trusted_proxies_only(
    sqlite: Database, tmp_path: Path, trusted: str, believed: bool
) -> None:
    system = make_system(sqlite, tmp_path, trusted_proxies=trusted)
    form = {"grant_type": "password", "username": "nobody", "password": "wrong password"}
    async with (
        world(system, served=True) as here,
        serving(here.app) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        statuses = []
        for number in range(21):
            claimed = {"X-Forwarded-For": f"203.0.113.{number}"}
            answer = await client.post(
                "/oauth/token", data={**form, "username": f"u{number}"}, headers=claimed
            )
            statuses.append(answer.status_code)
    assert statuses == [401] * 20 + [401 if believed else 429]


@pytest.mark.parametrize("trusted", ["*", "proxy.example", "10.0.0.1/8", "10.0.0.0/8;::1"])
def test_what_is_no_network_is_refused(trusted: str) -> None:
    with pytest.raises(ValidationError):
        Settings(trusted_proxies=trusted)
