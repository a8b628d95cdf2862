"""Borders over REST, and the page where clients sign in: real fabric, switches in memory."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from support.edge_world import (
    ANN,
    BOB,
    DRAWING,
    FRONT,
    LINKS,
    NAMES,
    NET,
    TERMS,
    Net,
    Reached,
    bordered,
    ethernet,
    mac,
)
from support.http import PASSWORD, World, make_system
from support.switchboard import MemoryBridges, sites
from support.switchboard import World as Wires
from support.waiting import until
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.network.drivers.openflow.fabric import OpenFlowFabric

SERVICE = {
    "port": 80,
    "surrogates": [
        {"name": "a", "node": "pe1", "address": "10.97.1.1", "port": 8080},
        {"name": "b", "node": "pe2", "address": "10.97.2.1", "port": 8080},
    ],
}
MOVE = {
    "address": "10.202.1.20",
    "mac": "02:00:00:00:01:14",
    "home_node": "pe1",
    "foreign_node": "pe2",
}


@pytest.fixture
async def net(sqlite: Database, tmp_path: Path) -> AsyncIterator[Net]:
    async with bordered(sqlite, tmp_path, Wires(sites(NAMES, LINKS))) as made:
        yield made


# -- access ----------------------------------------------------------------------------------


async def test_a_gate_closes_a_network_and_only_that(net: Net) -> None:
    assert net.reaches(ANN, "192.0.2.1", 443) == "pe1/in 192.0.2.1:443"
    told = await net.ask("PUT", "/access/pe1", json={"portal": FRONT})
    assert told == {
        "node": "pe1",
        "network": "10.202.1.0/24",
        "closed": True,
        "portal": FRONT,
        "allowed": [],
        "clients": 0,
    }
    assert net.reaches(ANN, "192.0.2.1", 443) == ""
    assert net.reaches(ANN, "192.0.2.1", 80) == "pe1/in 10.97.0.1:8000"
    assert net.reaches("10.202.2.10", "192.0.2.1", 443, "pe2") == "pe2/in 192.0.2.1:443"
    listed = await net.ask("GET", "/access")
    assert [(one["node"], one["closed"]) for one in listed] == [
        ("pe1", True),
        ("pe2", False),
        ("c1", False),
    ]
    await net.ask("DELETE", "/access/pe1", 204)
    assert net.reaches(ANN, "192.0.2.1", 443) == "pe1/in 192.0.2.1:443"


async def test_an_operator_lets_a_client_pass_and_not_any_more(net: Net) -> None:
    refused = await net.ask("POST", "/clients", 404, json={"address": ANN})
    assert refused["code"] == "umbel.no_gate"
    await net.ask("PUT", "/access/pe1", json={"portal": FRONT})
    made = await net.ask("POST", "/clients", 201, json={"address": ANN, "lifetime_s": 60})
    assert (made["node"], made["mac"], made["username"]) == ("pe1", mac(ANN), None)
    assert await net.ask("GET", "/clients") == [made]
    assert net.reaches(ANN, "192.0.2.1", 443) == "pe1/in 192.0.2.1:443"
    assert net.reaches(BOB, "192.0.2.1", 443) == ""
    await net.ask("DELETE", f"/clients/{ANN}", 204)
    assert net.reaches(ANN, "192.0.2.1", 443) == ""
    assert await net.ask("GET", "/clients") == []
    await net.ask("POST", "/clients", 201, json={"address": ANN, "lifetime_s": 0.2})

    async def is_closed() -> bool:
        return net.reaches(ANN, "192.0.2.1", 443) == ""

    await until(is_closed)


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "body"),
    [
        ("PUT", "/access/moon", 404, "umbel.not_in_topology", {"portal": FRONT}),
        ("PUT", "/access/pe1", 422, "umbel.unprocessable", {}),
        ("DELETE", "/access/moon", 404, "umbel.not_in_topology", None),
        ("POST", "/clients", 404, "umbel.not_in_access", {"address": "192.0.2.9"}),
        ("POST", "/clients", 422, "umbel.invalid_client", {"address": "10.202.1.99"}),
        ("DELETE", "/clients/nobody", 422, "umbel.invalid_client", None),
        ("GET", "/services/x", 404, "umbel.no_such_service", None),
        ("DELETE", "/services/x", 404, "umbel.no_such_service", None),
        ("PUT", "/services/x", 422, "umbel.invalid_service", {**SERVICE, "address": "10.9.0.1"}),
        ("POST", "/services/x/close-old-connections", 404, "umbel.no_such_service", None),
        ("PUT", "/bindings/f", 422, "umbel.unprocessable", {**MOVE, "foreign_node": "pe1"}),
        ("PUT", "/bindings/f", 422, "umbel.invalid_binding", {**MOVE, "address": "10.9.0.1"}),
        ("PUT", "/bindings/f", 404, "umbel.not_in_topology", {**MOVE, "foreign_node": "moon"}),
        ("GET", "/bindings/f", 404, "umbel.not_registered", None),
        ("DELETE", "/bindings/f", 404, "umbel.not_registered", None),
    ],
)
async def test_what_cannot_be(
    net: Net, method: str, path: str, status: int, code: str, body: Any
) -> None:
    told = await net.ask(method, path, status, json=body)
    assert told["code"] == code


async def test_only_operators_may(net: Net) -> None:
    for method, path in (
        *(("GET", "/access"), ("PUT", "/access/pe1"), ("GET", "/clients"), ("POST", "/clients")),
        *(
            ("GET", "/services"),
            ("PUT", "/services/x"),
            ("GET", "/bindings"),
            ("PUT", "/bindings/f"),
        ),
    ):
        for headers, status in ((net.here.as_("city"), 403), ({}, 401)):
            answer = await net.here.client.request(method, NET + path, headers=headers)
            assert answer.status_code == status, (method, path)


# -- a client itself -------------------------------------------------------------------------


async def test_a_client_asks_for_itself_with_a_users_token(net: Net) -> None:
    async with net.client(ANN) as ann, net.client("192.0.2.7") as stranger:
        told = (await ann.get(f"{NET}/client")).json()
        assert (told["node"], told["closed"], told["passes"]) == ("pe1", False, True)
        assert (await stranger.get(f"{NET}/client")).json()["code"] == "umbel.not_in_access"
        await net.ask("PUT", "/access/pe1", json={"portal": FRONT})
        told = (await ann.get(f"{NET}/client")).json()
        assert (told["closed"], told["passes"]) == (True, False)
        assert (await ann.post(f"{NET}/client")).status_code == 401
        form = {"grant_type": "password", "username": "viewer", "password": PASSWORD}
        token = (await ann.post("/oauth/token", data=form)).json()["access_token"]
        told = await ann.post(f"{NET}/client", headers={"Authorization": f"Bearer {token}"})
        assert told.status_code == 200, told.text
        assert (told.json()["passes"], told.json()["username"]) == (True, "viewer")
        assert net.reaches(ANN, "192.0.2.1", 443) == "pe1/in 192.0.2.1:443"
        assert net.reaches(BOB, "192.0.2.1", 443) == ""
        assert (await ann.delete(f"{NET}/client")).status_code == 204
        assert net.reaches(ANN, "192.0.2.1", 443) == ""


async def test_whoever_was_led_to_the_front_end_is_sent_to_sign_in(net: Net) -> None:
    await net.ask("PUT", "/access/pe1", json={"portal": FRONT})
    asked = "http://news.example/today?a=1&b=%22%3E%3Cb%3E"
    async with net.client(ANN, host="news.example") as led:
        for method in ("GET", "HEAD", "POST"):
            answer = await led.request(method, asked)
            assert answer.status_code == 302
            assert answer.headers["connection"] == "close"
            assert answer.headers["cache-control"] == "no-store"
            page = urlsplit(answer.headers["location"])
            assert (page.netloc, page.path) == ("10.97.0.1:8000", "/welcome")
            following = parse_qs(page.query).get("next")
            assert following == ([asked] if method != "POST" else None)
    async with net.client(ANN) as ann:
        shown = await ann.get(answer.headers["location"])
        assert shown.status_code == 200
        assert 'name="password"' in shown.text
        page_path = f"/welcome?{urlsplit(led_to(asked)).query}"
        form = form_of(shown)
        wrong = await ann.post(page_path, data={"username": "viewer", "password": "wrong", **form})
        assert wrong.status_code == 401
        assert 'role="alert"' in wrong.text
        assert net.reaches(ANN, "192.0.2.1", 443) == ""
        right = {"username": "viewer", "password": PASSWORD, **form_of(wrong)}
        done = await ann.post(page_path, data=right, follow_redirects=True)
        assert done.status_code == 200
        assert "Signed in as viewer until" in done.text
        assert 'href="http://news.example/today?a=1&amp;b=%22%3E%3Cb%3E"' in done.text
        assert net.reaches(ANN, "192.0.2.1", 443) == "pe1/in 192.0.2.1:443"
        assert net.reaches(BOB, "192.0.2.1", 443) == ""
        (client,) = await net.ask("GET", "/clients")
        assert (client["address"], client["username"]) == (ANN, "viewer")
        left = await ann.post("/welcome/leave", data=form_of(done), follow_redirects=True)
        assert 'name="password"' in left.text
    assert net.reaches(ANN, "192.0.2.1", 443) == ""


def form_of(page: httpx.Response) -> dict[str, str]:
    """What the page's form holds beside the fields that somebody fills in."""
    found = re.search(r'type="hidden" name="form" value="([^"]+)"', page.text)
    assert found, page.text
    return {"form": found[1]}


async def test_another_site_can_neither_sign_a_device_in_nor_out(net: Net) -> None:
    await net.ask("PUT", "/access/pe1", json={"portal": FRONT})
    words = {"username": "viewer", "password": PASSWORD}
    async with net.client(ANN) as ann, net.client(BOB) as bob:
        ours = form_of(await ann.get("/welcome"))
        for foreign in ({}, {"form": ""}, {"form": "x.y.z"}, form_of(await bob.get("/welcome"))):
            refused = await ann.post("/welcome", data={**words, **foreign})
            assert refused.status_code == 403
            assert "from another page" in refused.text
            assert net.reaches(ANN, "192.0.2.1", 443) == ""
        user = net.here.as_("viewer")["Authorization"].removeprefix("Bearer ")
        assert (await ann.post("/welcome", data={**words, "form": user})).status_code == 403
        assert (await ann.post("/welcome", data={**words, **ours})).status_code == 303
        assert net.reaches(ANN, "192.0.2.1", 443) != ""
        for foreign in ({}, form_of(await bob.get("/welcome"))):
            assert (await ann.post("/welcome/leave", data=foreign)).status_code == 303
            assert net.reaches(ANN, "192.0.2.1", 443) != ""


def led_to(asked: str) -> str:
    return str(httpx.URL("http://10.97.0.1:8000/welcome", params={"next": asked}))


@pytest.mark.parametrize("following", ["javascript:alert(1)", '"><script>alert(1)</script>', "//x"])
async def test_the_page_leads_to_web_pages_only_and_runs_no_script(
    net: Net, following: str
) -> None:
    await net.ask("PUT", "/access/pe1", json={"portal": FRONT})
    async with net.client(ANN) as ann:
        form = await ann.get("/welcome", params={"next": following})
        assert "<script" not in form.text
        assert "default-src 'none'" in form.headers["content-security-policy"]
        await net.ask("POST", "/clients", 201, json={"address": ANN})
        done = await ann.get("/welcome", params={"next": following})
        assert 'href="/"' in done.text
        assert "<script" not in done.text
        assert "alert(1)" not in done.text


async def test_others_are_not_sent_away(net: Net) -> None:
    await net.ask("PUT", "/access/pe1", json={"portal": FRONT})
    async with net.client(ANN) as itself, net.client("10.202.2.10", host="news.example") as open_:
        assert (await itself.get("/healthz")).status_code == 200
        assert (await open_.get("/healthz")).status_code == 200
        assert "Your network is open" not in (await open_.get("/welcome")).text
    async with net.client("192.0.2.7", host="umbel.example") as outside:
        assert (await outside.get("/healthz")).status_code == 200
        assert "Your network is open" in (await outside.get("/welcome")).text
    await net.ask("POST", "/clients", 201, json={"address": ANN})
    async with net.client(ANN, host="umbel.example") as signed_in:
        assert (await signed_in.get("/healthz")).status_code == 200


# -- services --------------------------------------------------------------------------------


async def test_a_service_is_answered_by_the_nearest_until_clients_are_moved(net: Net) -> None:
    made = await net.ask("PUT", "/services/video", json=SERVICE)
    assert (made["address"], made["proto"]) == ("10.204.0.1", "tcp")
    answers = {one["node"]: one["surrogate"] for one in made["assignments"]}
    assert [answers[node] for node in NAMES] == ["a", "b", "a"]
    assert net.reaches(ANN, "10.204.0.1", 80) == "pe1/in 10.97.1.1:8080"
    assert net.reaches("10.202.2.10", "10.204.0.1", 80, "pe2") == "pe2/in 10.97.2.1:8080"
    shift = {"node": "pe1", "surrogate": "b"}
    moved = await net.ask("POST", "/services/video/move", json=shift)
    theirs = {"node": "pe1", "surrogate": "b", "pinned": True, "previous": ["a"]}
    assert theirs in moved["assignments"]
    assert net.reaches(BOB, "10.204.0.1", 80) == "pe1/in 10.97.2.1:8080"
    assert await net.ask("GET", "/services/video") == moved
    assert await net.ask("GET", "/services") == [moved]
    settled = await net.ask("POST", "/services/video/close-old-connections")
    assert [one["previous"] for one in settled["assignments"] if one["previous"]] == []
    shift = {"node": "pe1", "surrogate": "c"}
    refused = await net.ask("POST", "/services/video/move", 409, json=shift)
    assert refused["code"] == "umbel.no_such_surrogate"
    shift = {"node": "moon", "surrogate": "a"}
    await net.ask("POST", "/services/video/move", 404, json=shift)
    await net.ask("DELETE", "/services/video", 204)
    assert net.reaches(BOB, "10.204.0.1", 80) == "pe1/in 10.204.0.1:80"
    assert await net.ask("GET", "/services") == []


# -- moves -----------------------------------------------------------------------------------


async def test_a_function_that_moved_keeps_its_address(net: Net) -> None:
    assert net.reaches(ANN, "10.202.1.20", 80) == "pe1/in 10.202.1.20:80"
    made = await net.ask("PUT", "/bindings/f", json=MOVE)
    assert made == {
        **{key: MOVE[key] for key in ("address", "mac", "home_node", "foreign_node")},
        "name": "f",
        "path": ["pe1", "c1", "pe2"],
        "error": "",
    }
    assert net.reaches(ANN, "10.202.1.20", 80) == "pe2/out 10.202.1.20:80"
    assert await net.ask("GET", "/bindings") == [made]
    assert await net.ask("GET", "/bindings/f") == made
    await net.ask("DELETE", "/bindings/f", 204)
    assert net.reaches(ANN, "10.202.1.20", 80) == "pe1/in 10.202.1.20:80"
    assert await net.ask("GET", "/bindings") == []


# -- a restart, and no switches --------------------------------------------------------------


async def test_a_restart_closes_nobodys_border(sqlite: Database, tmp_path: Path) -> None:
    wires = Wires(sites(NAMES, LINKS))
    async with bordered(sqlite, tmp_path, wires) as net:
        await net.ask("PUT", "/access/pe1", json={"portal": FRONT})
        for address in (ANN, BOB):
            await net.ask("POST", "/clients", 201, json={"address": address})
        await net.ask("PUT", "/services/video", json=SERVICE)
    bridges, clock = MemoryBridges(wires), SystemClock()
    # Long enough to tell what is said now from what is only not adopted in the end.
    terms = replace(TERMS, adopt_s=600.0)
    fabric = OpenFlowFabric(wires.sites, DRAWING, bridges, wires.board, terms, clock)
    await fabric.start()
    system = make_system(sqlite, tmp_path, fabric, ethernet)
    switches = Reached(wires=wires)
    try:
        assert switches.reaches(ANN, "192.0.2.1", 443) == "pe1/in 192.0.2.1:443"
        await system.network.edge.start()
        assert set(system.network.edge.state.access.clients["pe1"]) == {ANN, BOB}
        assert switches.reaches(ANN, "192.0.2.1", 443) == "pe1/in 192.0.2.1:443"
        assert switches.reaches(ANN, "10.204.0.1", 80) == "pe1/in 10.97.1.1:8080"
        await system.network.edge.sign_out(BOB)
        assert switches.reaches(BOB, "192.0.2.1", 443) == ""
        assert switches.reaches(ANN, "192.0.2.1", 443) == "pe1/in 192.0.2.1:443"
    finally:
        await fabric.close()


async def test_without_switches_of_ours_there_are_no_borders(here: World) -> None:
    for method, path, body in (
        ("GET", "/access", None),
        ("PUT", "/access/pe1", {"portal": FRONT}),
        ("GET", "/clients", None),
        ("POST", "/clients", {"address": ANN}),
        ("GET", "/client", None),
        ("PUT", "/services/video", SERVICE),
        ("GET", "/services", None),
        ("PUT", "/bindings/f", MOVE),
        ("GET", "/bindings", None),
    ):
        headers = here.as_("operator")
        answer = await here.client.request(method, NET + path, headers=headers, json=body)
        assert (answer.status_code, answer.json()["code"]) == (
            409,
            "umbel.network_not_programmed",
        )
    page = await here.client.get("/welcome")
    assert page.status_code == 200
    assert "Your network is open" in page.text


async def test_every_rule_of_a_border_is_explained(net: Net) -> None:
    await net.ask("PUT", "/services/video", json={**SERVICE, "address": "10.204.0.9"})
    rules = await net.ask("GET", "/flows", params={"node": "pe1"})
    held = net.wires.net.switches["pe1"].program.rules
    assert len(rules) == len(held)
    assert {
        "TCP to 10.204.0.9:80 (service video) from the network outside; its connection is led to "
        "10.97.1.1:8080 (a of service video), then table homes"
    } <= {rule["explanation"] for rule in rules}
    assert not any("not asked for" in rule["explanation"] for rule in rules)
