"""Nodes over REST: who may, what is refused, and what an operator gets, on the whole platform."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.http import PASSWORD, World
from support.nodes import MemoryNodes
from support.virtual import scenario
from support.world import World as Platform
from support.world import world
from umbel.catalogue.model import UserRole
from umbel.compute.model import PowerDraw
from umbel.network.documents import AddedSite, LinkEnd, Site

NEW = {
    "name": "pe9",
    "kind": "provider-edge",
    "address": "127.0.9.1",
    "cores": 2,
    "prefixes": ["127.0.9.0/24"],
    "links": [{"to": "c1", "mbps": 500, "delay_ms": 2}, {"to": "pe4"}],
}
SITE = {"ovsdb": "tcp:192.0.2.9:6640", "datapath_id": "0x1f", "gateway": "10.209.0.1/24"}
ENDS = {
    "local": {"underlay": "198.51.100.1", "cable": "eth2", "queue": "eth3"},
    "remote": {"underlay": "198.51.100.2", "crossing": "203.0.113.1:51820"},
}
CALLS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("GET", "/pe1", None),
    ("POST", "", NEW),
    ("DELETE", "/pe4", None),
    ("POST", "/pe1/cordon", None),
    ("POST", "/pe1/uncordon", None),
    ("POST", "/pe1/drain", {"within_s": 5}),
    ("PUT", "/pe1/prepared", {"edges": 1}),
]


@pytest.mark.parametrize(("method", "path", "json"), CALLS)
async def test_only_operators_have_nodes(here: World, method: str, path: str, json: Any) -> None:
    url = f"/api/v1/nodes{path}"
    anonymous = await here.client.request(method, url, json=json)
    assert (anonymous.status_code, anonymous.json()["code"]) == (401, "umbel.token_missing")
    for who in ("viewer", "city"):
        answer = await here.client.request(method, url, json=json, headers=here.as_(who))
        assert (answer.status_code, answer.json()["code"]) == (403, "umbel.forbidden")
    answer = await here.client.request(method, url, json=json, headers=here.as_("operator"))
    assert answer.is_success, answer.text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "no spaces"}, "name"),
        ({"address": "no where"}, "address"),
        ({"address": "127.0.0.300"}, "address"),
        ({"address": 7}, "address"),
        ({"cores": 0}, "cores"),
        ({"prefixes": ["10.0.0.1/8"]}, "prefixes"),
        ({"prefixes": [False]}, "prefixes"),
        ({"prefixes": [7]}, "prefixes"),
        ({"pool": "No"}, "pool"),
        ({"ports": [20000, 20001]}, "ports"),
        ({"ports": [20000]}, "ports"),
        ({"watts": {"idle": 9, "busy": 4}}, "watts"),
        ({"site": {**SITE, "ovsdb": "tcp:nowhere"}}, "site.ovsdb"),
        ({"site": {**SITE, "datapath_id": "fast"}}, "site.datapath_id"),
        ({"site": {**SITE, "gateway": "10.209.0.1"}}, "site.gateway"),
        ({"site": {**SITE, "nic": "a/b"}}, "site.nic"),
        ({"site": {**SITE, "underlay": {}}}, "site.underlay"),
        ({"links": [{"to": "c1", "local": {"underlay": "here"}}]}, "links.local.underlay"),
        ({"links": [{"to": "c1", "remote": {"cable": "a b"}}]}, "links.remote.cable"),
        ({"links": [{"to": "c1", "remote": {"crossing": "x:1"}}]}, "links.remote.crossing"),
        ({"links": []}, "links"),
        ({"links": [{"to": "c1", "mbps": -1}]}, "links.mbps"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_unusable_nodes_name_the_field(
    here: World, change: dict[str, Any], field: str
) -> None:
    headers = here.as_("operator")
    answer = await here.client.post("/api/v1/nodes", json={**NEW, **change}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "umbel.unprocessable")
    assert {one["field"] for one in answer.json()["details"]["fields"]} == {field}


async def test_a_switch_and_both_ends_of_links_come_with_a_node(here: World) -> None:
    body = {**NEW, "site": {**SITE, "hosts": ["eth4"]}, "links": [{"to": "c1", **ENDS}]}
    headers = here.as_("operator")
    answer = await here.client.post("/api/v1/nodes", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    nodes = here.system.nodes
    assert isinstance(nodes, MemoryNodes)
    (made,) = nodes.sites
    assert made == AddedSite(
        site=Site(
            node="pe9",
            ovsdb="tcp:192.0.2.9:6640",
            datapath_id=0x1F,
            underlay={},
            gateway="10.209.0.1/24",
            hosts=("eth4",),
        ),
        local={"c1": LinkEnd(underlay="198.51.100.1", cable="eth2", queue="eth3")},
        remote={"c1": LinkEnd(underlay="198.51.100.2", crossing="203.0.113.1:51820")},
    )


async def test_a_host_name_is_resolved_when_the_node_is_added(here: World) -> None:
    headers = here.as_("operator")
    url = "/api/v1/nodes"
    lost = {**NEW, "address": "lost.invalid"}
    answer = await here.client.post(url, json=lost, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "umbel.host_not_found")
    assert answer.json()["details"]["fields"] == [
        {"field": "address", "message": "lost.invalid does not resolve"}
    ]
    made = await here.client.post(url, json={**NEW, "address": "localhost"}, headers=headers)
    assert (made.status_code, made.json()["address"]) == (201, "127.0.0.1")


class Operator:
    """An operator's client of the whole platform on its fakes."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ask(self, method: str, path: str = "", status: int = 200, **more: Any) -> Any:
        answer = await self._client.request(method, f"/api/v1/nodes{path}", **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def refused(self, method: str, path: str, status: int, **more: Any) -> str:
        code = (await self.ask(method, path, status, **more))["code"]
        assert isinstance(code, str)
        return code


@asynccontextmanager
async def operating(w: Platform) -> AsyncIterator[Operator]:
    await w.system.catalogue.add_user("ann", PASSWORD, UserRole.OPERATOR)
    transport = httpx.ASGITransport(w.system.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://umbel") as client:
        form = {"grant_type": "password", "username": "ann", "password": PASSWORD}
        token = (await client.post("/oauth/token", data=form)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield Operator(client)


@scenario
async def test_an_operator_adds_cordons_drains_and_removes_a_node(tmp_path: Path) -> None:
    async with world(tmp_path, policy="qos") as w, operating(w) as op:
        head = await w.system.journal.head()
        made = await op.ask("POST", status=201, json=NEW)
        shown = {key: made[key] for key in ("name", "kind", "pool", "state", "power", "cores")}
        assert shown == {
            "name": "pe9",
            "kind": "provider-edge",
            "pool": "default",
            "state": "ready",
            "power": "active",
            "cores": 2.0,
        }
        assert [one["name"] for one in await op.ask("GET")][-1] == "pe9"
        event = await w.live("pe1")
        ticket = await w.watch(event, "pe9")
        busy = await op.ask("GET", "/pe9")
        assert (busy["functions"], busy["viewers"]) == ([ticket.session.function], 1)
        (promised,) = busy["promised"]
        assert promised["owner"] == "delivery"
        assert promised["mbps"] > 0
        assert await op.refused("DELETE", "/pe9", 409) == "umbel.node_in_use"
        assert (await op.ask("POST", "/pe9/cordon"))["state"] == "cordoned"
        assert (await op.ask("POST", "/pe9/uncordon"))["state"] == "ready"
        draining = await op.ask("POST", "/pe9/drain")
        assert (draining["state"], draining["evict_at"]) == ("draining", None)
        due = await op.ask("POST", "/pe9/drain", json={"within_s": 60})
        assert due["evict_at"] is not None
        await w.delivery.close_session(ticket.session.id)
        await w.until_functions("acquirer-pe1-1")
        assert (await op.ask("GET", "/pe9"))["state"] == "drained"
        await op.ask("DELETE", "/pe9", 204)
        assert await op.refused("GET", "/pe9", 404) == "umbel.no_such_node"
        entries = [c for c in await w.system.journal.since(head) if c.kind == "node"]
        assert {(c.subject, c.body["by"]) for c in entries} == {("pe9", "ann")}
        done = [c.body["what"] for c in entries]
        assert done == ["added", "cordoned", "uncordoned", "draining", "draining", "removed"]


@scenario
async def test_an_added_node_has_the_given_ports_and_watts_also_after_a_restart(
    tmp_path: Path,
) -> None:
    given = {**NEW, "ports": [20000, 20999], "watts": {"idle": 6, "busy": 15}}
    async with world(tmp_path) as w:
        async with operating(w) as op:
            assert (await op.ask("POST", status=201, json=given))["watts"] == 6.0
        for _ in range(2):
            node = w.system.compute.node("pe9")
            assert (node.ports, node.watts) == ((20000, 20999), PowerDraw(idle=6.0, busy=15.0))
            await w.crash()
            await w.start()


@scenario
async def test_what_cannot_be_is_refused_with_a_code(tmp_path: Path) -> None:
    async with world(tmp_path) as w, operating(w) as op:
        refusals: list[tuple[dict[str, Any], int, str]] = [
            ({"name": "pe1"}, 409, "umbel.node_exists"),
            ({"address": "127.0.1.1"}, 409, "umbel.node_exists"),
            ({"pool": "clouds"}, 400, "umbel.no_such_pool"),
            ({"links": [{"to": "nowhere"}]}, 422, "umbel.invalid_links"),
            ({"site": SITE}, 422, "umbel.invalid_site"),
        ]
        for change, status, code in refusals:
            assert await op.refused("POST", "", status, json={**NEW, **change}) == code
        for method, path in (("DELETE", "/x"), ("POST", "/x/cordon"), ("POST", "/x/drain")):
            assert await op.refused(method, path, 404) == "umbel.no_such_node"
        default = w.delivery.default_access_node
        assert await op.refused("DELETE", f"/{default}", 409) == "umbel.node_in_use"
        assert len(await op.ask("GET")) == 7
