"""A viewer for whom there is no room hears what is short and when to come back: the whole platform
on its fakes, behind its real front end."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from support.virtual import scenario
from support.world import world
from umbel.network.topology import files

MOST_VIEWERS = 60


def network(folder: Path, nodes: dict[str, Any], links: dict[str, Any], **of: Any) -> Path:
    """SLS's network with these capacities at all nodes and links, and others at the nodes named."""
    document: Any = files.builtin("sls")
    document["nodes"] = [{**n, **nodes, **of.get(n["name"], {})} for n in document["nodes"]]
    document["links"] = [{**link, **links} for link in document["links"]]
    path = folder / "network.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


SHORT = {
    "cpu": ({"cores": 0.01}, {}, {"pe1": {"cores": 0.08}}),
    "bandwidth": ({"mbps": 10.0}, {}, {}),
    # Others have room, and no link to them has: the acquirer's node is full.
    "unreachable": ({}, {"mbps": 1.0}, {"pe1": {"cores": 0.2}}),
}


@pytest.mark.parametrize("policy", ["sls", "consolidation", "qos"])
@pytest.mark.parametrize("reason", SHORT)
@scenario
async def test_a_viewer_without_a_place_hears_why(tmp_path: Path, reason: str, policy: str) -> None:
    nodes, links, of = SHORT[reason]
    settings = {"network_file": network(tmp_path, nodes, links, **of)}
    async with world(tmp_path / "data", policy=policy, settings=settings) as w:
        event = await w.live("pe1")
        transport = httpx.ASGITransport(w.system.app())
        path = f"/api/v1/events/{event}/sessions"
        async with httpx.AsyncClient(transport=transport, base_url="http://umbel") as client:
            codes: list[int] = []
            while len(codes) < MOST_VIEWERS and set(codes) <= {201}:
                answer = await client.post(path, json={"access_node": "pe1"})
                codes.append(answer.status_code)
        assert codes[0] == 201, answer.text
        assert codes[-1] == 503
        told = answer.json()
        assert told["code"] == "umbel.no_capacity"
        assert told["details"] == {"stream": event, "access_node": "pe1", "reason": reason}
        assert answer.headers["retry-after"] == "5"
