"""Storage functions, for operators: the list over REST and as `umbel function storage`."""

import asyncio

import pytest
from typer.testing import CliRunner

from support.http import PASSWORD, World
from umbel.cli import app
from umbel.compute.model import FunctionState
from umbel.repository.node_storage.messages import NodeUsage
from umbel.storage.model import ShardPlace, StorageStatus

URL = "/api/v1/storage-functions"
MIB = 1 << 20
STATUSES = [
    StorageStatus(
        place=ShardPlace(node="pe1", number=0),
        function="storage-pe1-01234567",
        state=FunctionState.ACTIVE,
        address="127.0.1.1",
        usage=NodeUsage(shard=0, used_bytes=5 * MIB, limit_bytes=100 * MIB, free_bytes=2_000 * MIB),
    ),
    StorageStatus(
        place=ShardPlace(node="pe2", number=1),
        function="storage-pe2-01234567",
        state=FunctionState.FAILED,
        problem="ended by signal 9",
    ),
]


@pytest.mark.parametrize(
    ("who", "status"), [("operator", 200), ("city", 403), ("viewer", 403), ("", 401)]
)
async def test_operators_alone_list_them(here: World, who: str, status: int) -> None:
    answer = await here.client.get(URL, headers=here.as_(who) if who else {})
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == []


async def test_each_shows_what_it_holds_or_what_is_wrong(here: World) -> None:
    here.system.storage_functions.statuses += STATUSES
    answer = await here.client.get(URL, headers=here.as_("operator"))
    assert answer.json() == [
        {
            "node": "pe1",
            "shard": 0,
            "function": "storage-pe1-01234567",
            "state": "active",
            "address": "127.0.1.1",
            "answers": True,
            "used_bytes": 5 * MIB,
            "limit_bytes": 100 * MIB,
            "free_bytes": 2_000 * MIB,
            "problem": "",
        },
        {
            "node": "pe2",
            "shard": 1,
            "function": "storage-pe2-01234567",
            "state": "failed",
            "address": "",
            "answers": False,
            "used_bytes": 0,
            "limit_bytes": 0,
            "free_bytes": 0,
            "problem": "ended by signal 9",
        },
    ]


async def test_the_command_shows_them(there: tuple[World, str]) -> None:
    here, url = there
    here.system.storage_functions.statuses += STATUSES
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD}
    env["COLUMNS"] = "160"
    done = await asyncio.to_thread(
        lambda: CliRunner().invoke(app, ["function", "storage"], env=env)
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[1] == ["0", "pe1", "active", "127.0.1.1", "5", "100", "2000"]
    assert rows[2][:2] == ["1", "pe2"]
    assert "does not answer" in done.stdout
    assert "ended by signal 9" in done.stdout


async def test_metrics_show_which_nodes_can_be_used(here: World) -> None:
    here.system.storage_functions.statuses += STATUSES
    text = (await here.client.get("/metrics")).text
    shown = {line for line in text.splitlines() if line.startswith("umbel_storage_")}
    assert shown == {
        'umbel_storage_answers{node="pe1"} 1.0',
        'umbel_storage_answers{node="pe2"} 0.0',
        'umbel_storage_bytes{kind="used",node="pe1"} 5.24288e+06',
        'umbel_storage_bytes{kind="limit",node="pe1"} 1.048576e+08',
        'umbel_storage_bytes{kind="free",node="pe1"} 2.097152e+09',
    }
    here.system.storage_functions.statuses.clear()
    assert "umbel_storage_answers{" not in (await here.client.get("/metrics")).text
