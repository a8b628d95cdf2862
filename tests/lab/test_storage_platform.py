"""A real control plane whose recordings are on its nodes: REST, a kill of it, a kill of a node."""

from pathlib import Path
from typing import Any

import pytest

from support.platform import Platform, platform
from support.waiting import until
from umbel.catalogue.model import UserRole

pytestmark = pytest.mark.lab

DATA = bytes(range(256)) * 20_000
NODES = ("pe1", "pe3", "c1")


async def listed(running: Platform) -> list[dict[str, Any]]:
    await running.sign_in(UserRole.OPERATOR)
    return await running.get("storage-functions")


async def until_all_answer(running: Platform) -> list[dict[str, Any]]:
    return await until(
        lambda: listed(running), lambda found: all(one["answers"] for one in found), within_s=90
    )


async def fetched(running: Platform, item_id: str) -> bytes:
    await running.sign_in(UserRole.PROVIDER)
    url = (await running.api.get(f"/repo/item/{item_id}")).json()["url"]
    answer = await running.api.get(url)
    assert answer.status_code == 200, answer.text
    return answer.content


async def test_recordings_on_nodes_outlive_the_control_plane_and_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMBEL_REPOSITORY_SHARDS", ",".join(f"node://{one}" for one in NODES))
    monkeypatch.setenv("UMBEL_STORAGE_FOLDER", str(tmp_path / "disks"))
    monkeypatch.setenv("UMBEL_STORAGE_MB", "64")
    async with platform(tmp_path / "data") as running:
        found = await until_all_answer(running)
        assert [(one["shard"], one["node"]) for one in found] == list(enumerate(NODES))
        assert {one["limit_bytes"] for one in found} == {64 << 20}
        await running.sign_in(UserRole.PROVIDER)
        made = (await running.api.post("/repo/item", json={"title": "Council"})).json()
        answer = await running.api.put(made["url"], content=DATA)
        assert answer.json() == {"id": made["id"], "size": len(DATA)}
        pids = {id_: one["pid"] for id_, one in running.records().items()}
        await running.kill_control_plane()
        await running.restart()
        found = await until_all_answer(running)
        assert {id_: one["pid"] for id_, one in running.records().items()} == pids, "adopted"
        assert all(one["used_bytes"] > len(DATA) // 2 for one in found)
        running.kill(found[1]["function"])
        assert await fetched(running, made["id"]) == DATA
        await until_all_answer(running)
        assert await fetched(running, made["id"]) == DATA
        functions = await _functions(running)
        assert {one["owner"] for one in functions} == {"storage"}
        refused = await running.api.delete("/api/v1/nodes/pe3")
        assert (refused.status_code, refused.json()["code"]) == (409, "umbel.node_in_use")
        assert len(list((tmp_path / "disks").rglob("blob_*"))) == len(NODES)


async def _functions(running: Platform) -> Any:
    await running.sign_in(UserRole.OPERATOR)
    return await running.get("functions")
