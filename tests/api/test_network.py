"""The network over REST: the real fabric over switches in memory, and the loopback's answers."""

from typing import Any

import pytest

from support.http import World
from support.overlay_run import DRAWING, LINKS
from support.steered import ASKED, DRAWN, MAC, NET, Net
from support.waiting import until

# -- drawing ---------------------------------------------------------------------------------


async def test_a_cycle_is_drawn_and_its_heavier_link_becomes_the_spare(net: Net) -> None:
    told = await net.drawn()
    assert told["programmed"] is True
    assert told["root"] == "pe1"
    assert sorted(map(tuple, told["tree"])) == [
        ("c1", "c2"),
        ("c1", "pe3"),
        ("c2", "pe4"),
        ("pe1", "c1"),
    ]
    assert [sorted(link) for link in told["spare"]] == [["c2", "pe3"]]
    assert told["cut"] == ["pe5"]
    nodes = {node["name"]: node for node in told["nodes"]}
    assert nodes["pe4"] == {"name": "pe4", "role": "leaf", "parent": "c2", "in_tree": True}
    assert nodes["pe5"] == {"name": "pe5", "role": "none", "parent": None, "in_tree": False}
    assert nodes["pe2"]["role"] is None
    assert await net.ask("GET", "/topology") == told


async def test_every_problem_of_a_drawing_is_told_at_once(net: Net) -> None:
    before = await net.ask("GET", "/topology")
    wrong = {
        "nodes": [
            {"name": "pe1", "role": "root"},
            {"name": "pe2", "role": "root"},
            {"name": "c1", "role": "relay"},
            {"name": "c1", "role": "relay"},
            {"name": "pe3", "role": "leaf"},
            {"name": "moon", "role": "leaf"},
        ],
        "links": [
            {"a": "pe1", "b": "c1"},
            {"a": "c1", "b": "pe1"},
            {"a": "c1", "b": "c1"},
            {"a": "c1", "b": "pe9"},
            {"a": "pe1", "b": "pe2"},
            {"a": "c1", "b": "moon"},
        ],
    }
    told = await net.refused("PUT", "/topology", 422, json=wrong)
    assert told["code"] == "umbel.invalid_drawing"
    problems = "\n".join(told["details"]["problems"])
    for part in (
        "node c1: drawn 2 times",
        "node pe2: a second root; pe1 is already the root",
        "link c1-c1",
        "pe9",
        "leaf pe3: no links lead to it",
        "node moon: the network has no such node",
        "link pe1-pe2: the network does not join them",
    ):
        assert part in problems
    assert any("c1-pe1" in p or "pe1-c1" in p for p in told["details"]["problems"])
    assert len(told["details"]["problems"]) == 8
    assert await net.ask("GET", "/topology") == before


async def test_a_drawing_without_a_root_is_refused(net: Net) -> None:
    rootless = {"nodes": [{"name": "pe1", "role": "leaf"}], "links": []}
    told = await net.refused("PUT", "/topology", 422, json=rootless)
    assert told["details"]["problems"] == ["no node is the root"]


# -- what there is ---------------------------------------------------------------------------


async def test_switches_with_their_ports(net: Net) -> None:
    await net.drawn()
    switches = {one["node"]: one for one in await net.ask("GET", "/switches")}
    assert set(switches) == set(DRAWING.roles)
    pe4 = switches["pe4"]
    assert (pe4["connected"], pe4["datapath_id"]) == (True, "0000756d62000004")
    assert {(p["name"], p["live"]) for p in pe4["ports"]} >= {("to-c2", True), ("ov0", True)}
    net.wires.lose("c2", "pe4")
    (port,) = [
        port
        for one in await net.ask("GET", "/switches")
        if one["node"] == "pe4"
        for port in one["ports"]
        if port["name"] == "to-c2"
    ]
    assert port["live"] is False
    net.wires.leave("pe4")
    switches = {one["node"]: one for one in await net.ask("GET", "/switches")}
    assert switches["pe4"]["connected"] is False


async def test_links_are_tree_spare_or_not_drawn_up_or_down(net: Net) -> None:
    await net.drawn()
    await net.path()
    links = {frozenset((one["a"], one["b"])): one for one in await net.ask("GET", "/links")}
    assert len(links) == len(LINKS)
    told = {"-".join(sorted(ends)): (one["use"], one["state"]) for ends, one in links.items()}
    assert told["c1-pe1"] == ("tree", "up")
    assert told["c2-pe5"] == ("cut", "unwatched")
    assert told["c1-pe2"] == ("undrawn", "unwatched")
    assert told["c2-pe3"][0] == "spare"
    assert links[frozenset(("c2", "pe4"))]["streams"] == ["feed"]
    assert links[frozenset(("c1", "pe3"))]["streams"] == []
    net.wires.lose("c1", "pe3")

    async def down() -> dict[str, Any]:
        found = await net.ask("GET", "/links")
        return {"-".join(sorted((one["a"], one["b"]))): one for one in found}

    found = await until(down, lambda now: now["c1-pe3"]["state"] == "down")
    assert (found["c1-pe3"]["use"], found["c2-pe3"]["use"]) == ("spare", "tree")


# -- rules -----------------------------------------------------------------------------------


async def test_every_rule_is_explained(net: Net) -> None:
    # Of equal links the first drawn is in the tree: c1's link to pe3 is then a spare of c1's.
    first, c1_c2, c1_pe3, c2_pe3, *rest = DRAWN["links"]
    told = await net.ask(
        "PUT", "/topology", json={**DRAWN, "links": [first, c1_c2, c2_pe3, c1_pe3, *rest]}
    )
    assert [sorted(link) for link in told["spare"]] == [["c1", "pe3"]]
    await net.path()
    await net.path(leaf="pe3", receiver={"address": "192.0.2.3", "mac": MAC})
    rules = await net.ask("GET", "/flows")
    held = sum(len(switch.program.rules) for switch in net.wires.net.switches.values())
    assert len(rules) == held
    for rule in rules:
        assert rule["explanation"]
        assert (rule["stream"] == "feed") == (rule["priority"] > 0)
    here = await net.ask("GET", "/flows", params={"node": "c1"})
    assert {rule["node"] for rule in here} == {"c1"}
    (known,) = [rule for rule in here if rule["step"] == "classifier" and rule["stream"]]
    assert (known["root"], known["leaves"]) == ("pe1", ["pe3", "pe4"])
    assert "by the tunnel from pe1" in known["explanation"]
    (way,) = [rule for rule in here if rule["step"] == "path" and rule["stream"]]
    assert "to the tunnel to c2, or while that is dead to the tunnel to pe3" in way["explanation"]
    (end,) = [
        rule
        for rule in await net.ask("GET", "/flows", params={"node": "pe4"})
        if rule["step"] == "leaf" and rule["stream"]
    ]
    assert "to the network outside, for 192.0.2.4:6000" in end["explanation"]
    told = await net.refused("GET", "/flows", 404, params={"node": "moon"})
    assert told["code"] == "umbel.not_in_topology"


# -- who may, and the loopback ---------------------------------------------------------------


REQUESTS = [
    ("GET", "/topology"),
    ("PUT", "/topology"),
    ("GET", "/switches"),
    ("GET", "/links"),
    ("GET", "/flows"),
    ("GET", "/paths"),
    ("POST", "/paths"),
    ("GET", "/paths/x"),
    ("DELETE", "/paths/x"),
    ("POST", "/paths/x/move"),
    ("POST", "/paths/x/move/commit"),
    ("POST", "/paths/x/move/abort"),
]


@pytest.mark.parametrize("who", ["city", "viewer", None])
@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_operators_alone(here: World, who: str | None, method: str, path: str) -> None:
    headers = here.as_(who) if who else {}
    answer = await here.client.request(method, NET + path, headers=headers)
    assert answer.status_code == (403 if who else 401)


async def test_the_loopback_answers_honestly(here: World) -> None:
    operator = here.as_("operator")

    async def get(path: str) -> Any:
        answer = await here.client.get(NET + path, headers=operator)
        assert answer.status_code == 200, answer.text
        return answer.json()

    told = await get("/topology")
    assert (told["programmed"], told["root"], told["tree"]) == (False, None, [])
    assert [node["name"] for node in told["nodes"]] == list(DRAWING.roles)
    assert await get("/switches") == await get("/flows") == await get("/paths") == []
    links = await get("/links")
    assert [(one["a"], one["b"]) for one in links] == list(LINKS)
    assert {(one["use"], one["state"], one["tunnel"]) for one in links} == {
        ("undrawn", "unwatched", False)
    }
    for method, path, body in (("PUT", "/topology", DRAWN), ("POST", "/paths", ASKED)):
        answer = await here.client.request(method, NET + path, json=body, headers=operator)
        assert (answer.status_code, answer.json()["code"]) == (
            409,
            "umbel.network_not_programmed",
        )
    wrong = {"nodes": [{"name": "pe1", "role": "leaf"}], "links": []}
    answer = await here.client.put(f"{NET}/topology", json=wrong, headers=operator)
    assert (answer.status_code, answer.json()["code"]) == (422, "umbel.invalid_drawing")
