"""A platform of two nodes that are processes here, to which a node of another kind is added."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from support.platform import Platform, platform
from support.waiting import until
from umbel.demo.stage import LiveEvent


@asynccontextmanager
async def two_nodes(folder: Path, first: str, second: str) -> AsyncIterator[Platform]:
    """The platform, with pe1 and pe2 at these addresses."""
    nodes = [("pe1", first), ("pe2", second)]
    network = {
        "nodes": [{"name": name, "address": at, "cores": 4} for name, at in nodes],
        "links": [{"a": "pe1", "b": "pe2"}],
        "default_access": "pe1",
    }
    file = folder / "network.yaml"
    file.write_text(yaml.safe_dump(network))
    async with platform(folder, ["--network", str(file), "--policy", "qos"]) as running:
        yield running


async def state(made: Platform, name: str) -> str:
    """The state of a node."""
    found: dict[str, str] = {one["name"]: one["state"] for one in await made.get("nodes")}
    return found[name]


async def session(made: Platform, event: LiveEvent) -> dict[str, Any]:
    """A session at pe2, asked for until a function has started for it."""

    async def asked() -> dict[str, Any]:
        path = f"/api/v1/events/{event.id}/sessions"
        answer = await made.api.post(path, json={"access_node": "pe2"})
        assert answer.status_code in {201, 503}, answer.text
        return answer.json() if answer.status_code == 201 else {}

    return await until(asked, within_s=300)
