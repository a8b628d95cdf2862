"""The repository of a real control plane that is killed in the middle of an upload."""

import asyncio
from pathlib import Path

import httpx
import pytest

from support.platform import Platform, platform
from support.waiting import until
from umbel.catalogue.model import UserRole

pytestmark = pytest.mark.lab

DATA = bytes(range(256)) * 20_000


async def url_of(running: Platform, item_id: str) -> str:
    answer = await running.api.get(f"/repo/item/{item_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()["url"]


async def half_an_upload(url: str) -> asyncio.StreamWriter:
    parsed = httpx.URL(url)
    _, writer = await asyncio.open_connection(parsed.host, parsed.port)
    head = f"PUT {parsed.path} HTTP/1.1\r\nHost: a\r\nContent-Length: {2 * len(DATA)}\r\n\r\n"
    writer.write(head.encode() + DATA)
    return writer


async def test_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    async with platform(tmp_path / "data") as running:
        await running.sign_in(UserRole.PROVIDER)
        made = (await running.api.post("/repo/item", json={"title": "Council"})).json()
        answer = await running.api.put(made["url"], content=DATA)
        assert answer.json() == {"id": made["id"], "size": len(DATA)}
        drafts = running.folder / "repository" / "drafts"

        async def begun() -> bool:
            return any(one.stat().st_size for one in drafts.iterdir())

        writer = await half_an_upload(made["url"])
        await until(begun)
        await running.kill_control_plane()
        writer.close()
        await running.restart()
        assert len(list(drafts.iterdir())) == 1, "what the upload left, until upkeep removes it"
        read = await running.api.get(await url_of(running, made["id"]))
        assert read.content == DATA
        again = await running.api.put(made["url"], content=b"after")
        assert again.json()["size"] == 5
        read = await running.api.get(await url_of(running, made["id"]))
        assert (read.status_code, read.content) == (200, b"after")
        kept = [one for one in drafts.parent.glob("*/blob_*") if one.parent != drafts]
        assert len(kept) == 1, "the old bytes are gone"
