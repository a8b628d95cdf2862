"""Paths of streams over REST: asked for, refused, cut off, moved."""

from typing import Any

import pytest

from support.steered import ASKED, MAC, NET, Net
from support.waiting import until
from umbel.network.model import Endpoint, Hop
from umbel.network.overlay import addresses

OTHER_MAC = "02:00:00:00:00:bb"


async def test_a_stream_sinks_until_a_path_is_asked_for_and_swims_along_it(net: Net) -> None:
    await net.drawn()
    assert net.send() == set()
    made = await net.path()
    assert made | {"id": "", "requested_at": ""} == {
        "id": "",
        "requested_at": "",
        "stream": "feed",
        "root": "pe1",
        "sender": "outside",
        "target": {"address": "239.1.2.3", "port": 5004},
        "leaf": "pe4",
        "receiver": {"kind": "unicast", "address": "192.0.2.4", "mac": MAC, "port": 6000},
        "carried": True,
        "error": "",
        "notice": "",
        "links": [["pe1", "c1"], ["c1", "c2"], ["c2", "pe4"]],
        "moving": None,
    }
    assert net.send() == {("pe4", "192.0.2.4", 6000)}
    assert await net.ask("GET", "/paths") == [made]
    assert await net.ask("GET", f"/paths/{made['id']}") == made
    other = await net.path(leaf="pe3", receiver={"address": "192.0.2.3", "mac": MAC})
    assert net.send() == {("pe4", "192.0.2.4", 6000), ("pe3", "192.0.2.3", 5004)}
    await net.ask("DELETE", f"/paths/{made['id']}", 204)
    assert net.send() == {("pe3", "192.0.2.3", 5004)}
    await net.ask("DELETE", f"/paths/{other['id']}", 204)
    assert net.send() == set()
    assert await net.ask("GET", "/paths") == []
    gone = await net.refused("DELETE", f"/paths/{made['id']}", 404)
    assert gone["code"] == "umbel.no_such_network_path"


@pytest.mark.parametrize(
    ("receiver", "kind", "mac"),
    [
        ({"address": "239.9.9.9"}, "multicast", "01:00:5e:09:09:09"),
        ({"address": "255.255.255.255"}, "broadcast", "ff:ff:ff:ff:ff:ff"),
        ({"address": "192.0.2.255", "mac": "ff:ff:ff:ff:ff:ff"}, "broadcast", "ff:ff:ff:ff:ff:ff"),
    ],
)
async def test_receivers_of_every_kind(
    net: Net, receiver: dict[str, str], kind: str, mac: str
) -> None:
    await net.drawn()
    made = await net.path(receiver=receiver)
    assert (made["receiver"]["kind"], made["receiver"]["mac"]) == (kind, mac)
    assert made["carried"] is True


async def test_a_receivers_mac_is_found_where_none_is_given(net: Net) -> None:
    net.wires.hosts["pe4", "192.0.2.4"] = MAC
    net.wires.hosts["pe5", "192.0.2.5"] = MAC
    made = await net.path(receiver={"address": "192.0.2.4", "port": 6000})
    assert made["receiver"]["mac"] == MAC
    assert net.send() == {("pe4", "192.0.2.4", 6000)}
    moved = {"leaf": "pe5", "receiver": {"address": "192.0.2.5"}}
    moving = await net.ask("POST", f"/paths/{made['id']}/move", json=moved)
    assert moving["moving"]["receiver"]["mac"] == MAC
    assert net.send() == {("pe4", "192.0.2.4", 6000), ("pe5", "192.0.2.5", 5004)}
    unknown = {**ASKED, "receiver": {"address": "192.0.2.9"}}
    told = await net.refused("POST", "/paths", 422, json=unknown)
    assert "no host at pe4 answers for it" in told["details"]["problems"][0]


async def test_a_receiver_that_changes_its_card_is_found_again(net: Net) -> None:
    net.wires.hosts["pe4", "192.0.2.4"] = MAC
    made = await net.path(receiver={"address": "192.0.2.4", "port": 6000})
    given = await net.path(leaf="pe5", receiver={"address": "192.0.2.5", "mac": MAC})
    operator = net.here.system.network.operator
    net.wires.hosts["pe4", "192.0.2.4"] = net.wires.hosts["pe5", "192.0.2.5"] = OTHER_MAC
    await operator.refresh_paths()
    found = await net.ask("GET", f"/paths/{made['id']}")
    assert (found["receiver"]["mac"], found["carried"]) == (OTHER_MAC, True)
    # What an operator gave stays.
    assert await net.ask("GET", f"/paths/{given['id']}") == given
    assert net.macs() == {"pe4": OTHER_MAC, "pe5": MAC}


async def test_a_receiver_that_answers_no_more_is_shown_and_asked_ever_more_rarely(
    net: Net,
) -> None:
    net.wires.hosts["pe4", "192.0.2.4"] = MAC
    made = await net.path(receiver={"address": "192.0.2.4", "port": 6000})
    operator = net.here.system.network.operator
    net.wires.hosts.clear()
    asked = net.wires.asked
    await operator.refresh_paths()
    silent = await net.ask("GET", f"/paths/{made['id']}")
    assert silent["carried"] is False
    assert "192.0.2.4 does not answer at pe4 any more" in silent["error"]
    assert net.send() == {("pe4", "192.0.2.4", 6000)}  # it may be there all the same
    times = asked["192.0.2.4"]
    await operator.refresh_paths()
    assert asked["192.0.2.4"] == times


async def test_a_path_whose_node_has_sent_nothing_says_which_route_may_be_missing(
    net: Net,
) -> None:
    own = {"target": {"address": "10.0.0.255", "port": 5004}, "sender": "inside"}
    made = await net.path(stream="own", **own)
    allotted = await net.path(stream="allotted", target=None, sender="inside")
    await net.here.system.network.operator.refresh_paths()
    said = await net.ask("GET", f"/paths/{made['id']}")
    assert said["carried"] is True
    gateway = addresses.stream_gateway(net.wires.sites["pe1"].gateway)
    assert f"`ip route replace 10.0.0.255/32 via {gateway} dev ov0`" in said["notice"]
    assert (await net.ask("GET", f"/paths/{allotted['id']}"))["notice"] == ""


async def test_an_address_is_allotted_where_none_is_asked_for(net: Net) -> None:
    made = await net.path(target=None)
    assert made["target"]["address"].startswith("10.203.")
    again = await net.path(target=None, leaf="pe5")
    assert again["target"] == made["target"]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"leaf": "moon"}, 422, "umbel.invalid_route"),
        ({"root": "moon"}, 422, "umbel.invalid_route"),
        ({"receiver": {"address": "192.0.2.4"}}, 422, "umbel.invalid_route"),
        ({"receiver": {"address": "nowhere"}}, 422, "umbel.unprocessable"),
        ({"stream": "ev_live"}, 422, "umbel.unprocessable"),
        ({"root": "pe2"}, 409, "umbel.stream_taken"),
        ({"target": {"address": "239.1.2.4", "port": 5004}}, 409, "umbel.stream_taken"),
        ({}, 409, "umbel.stream_taken"),
        ({"stream": "other"}, 422, "umbel.invalid_route"),
    ],
)
async def test_paths_that_cannot_be(
    net: Net, changes: dict[str, Any], status: int, code: str
) -> None:
    if changes.get("root") != "moon" and changes.get("leaf") != "moon":
        await net.path()
    told = await net.refused("POST", "/paths", status, json={**ASKED, **changes})
    assert told["code"] == code
    assert len(await net.ask("GET", "/paths")) <= 1


async def test_a_stream_that_delivery_carries_is_not_the_operators(net: Net) -> None:
    end = Endpoint(node="pe4", address="10.99.4.1", port=7000)
    await net.fabric.ensure("feed", [Hop(source_node="pe1", target=end)])
    told = await net.refused("POST", "/paths", 409, json=ASKED)
    assert told["code"] == "umbel.stream_taken"


async def test_what_a_switch_refuses_is_shown_on_the_path(net: Net) -> None:
    net.wires.refuses.add(net.fabric.stream("feed").number)
    made = await net.path()
    assert made["carried"] is False
    assert "refuses a rule" in made["error"]
    assert net.send() == set()


async def test_a_path_that_a_switch_refuses_leaves_the_streams_others_as_they_are(
    net: Net,
) -> None:
    made = await net.path()
    net.wires.full.add("pe3")
    other = await net.path(leaf="pe3", receiver={"address": "192.0.2.3", "mac": MAC})
    assert other["carried"] is False
    assert "the switch of node pe3 refuses a rule" in other["error"]
    assert await net.ask("GET", f"/paths/{made['id']}") == made
    assert net.send() == {("pe4", "192.0.2.4", 6000)}
    net.wires.full.clear()
    third = await net.path(leaf="pe5", receiver={"address": "192.0.2.5", "mac": MAC})
    assert third["carried"] is True
    told = await net.ask("GET", f"/paths/{other['id']}")
    assert told["error"] == "a switch refused it; it is tried again"
    await net.here.system.network.operator.refresh_paths()
    assert (await net.ask("GET", f"/paths/{other['id']}"))["carried"] is True
    assert len(net.send()) == 3


async def test_a_refused_reroute_is_shown_on_the_paths_that_are_cut_off_alone(net: Net) -> None:
    stays = await net.path(leaf="pe3", receiver={"address": "192.0.2.3", "mac": MAC})
    waits = await net.path()
    net.wires.full.update(("c2", "pe3"))
    net.wires.lose("c1", "c2")

    async def now() -> Any:
        return await net.ask("GET", f"/paths/{waits['id']}")

    cut = await until(now, lambda path: not path["carried"])
    assert "it stays on its old route: the switch of node" in cut["error"]
    assert await net.ask("GET", f"/paths/{stays['id']}") == stays
    assert net.send() == {("pe3", "192.0.2.3", 5004)}


async def test_a_path_that_is_cut_off_says_so_and_swims_again(net: Net) -> None:
    made = await net.path()
    net.wires.lose("c2", "pe4")

    async def now() -> Any:
        return await net.ask("GET", f"/paths/{made['id']}")

    cut = await until(now, lambda path: not path["carried"])
    assert cut["error"] == "link c2-pe4 is down"
    net.wires.restore("c2", "pe4")
    await until(now, lambda path: path["carried"])
    assert net.send() == {("pe4", "192.0.2.4", 6000)}


async def test_what_keeps_a_stream_from_one_leaf_is_no_problem_of_another(net: Net) -> None:
    made = await net.path()
    other = await net.path(leaf="pe5", receiver={"address": "192.0.2.5", "mac": MAC})
    net.wires.lose("c2", "pe4")

    async def now() -> Any:
        return {path["id"]: path for path in await net.ask("GET", "/paths")}

    told = await until(now, lambda paths: not paths[made["id"]]["carried"])
    assert told[made["id"]]["error"] == "link c2-pe4 is down"
    assert told[other["id"]] == other
    assert net.send() >= {("pe5", "192.0.2.5", 5004)}


# -- moves -----------------------------------------------------------------------------------


COMING = {"leaf": "pe5", "receiver": {"address": "192.0.2.5", "mac": MAC, "port": 6001}}
BOTH = {("pe4", "192.0.2.4", 6000), ("pe5", "192.0.2.5", 6001)}


async def test_a_leaf_moves_with_both_places_served_in_between(net: Net) -> None:
    made = await net.path()
    path = f"/paths/{made['id']}"
    moving = await net.ask("POST", f"{path}/move", json=COMING)
    assert (moving["leaf"], moving["moving"]["leaf"]) == ("pe4", "pe5")
    assert net.send() == BOTH
    done = await net.ask("POST", f"{path}/move/commit")
    assert (done["id"], done["leaf"], done["moving"]) == (made["id"], "pe5", None)
    assert net.send() == {("pe5", "192.0.2.5", 6001)}
    assert await net.ask("GET", path) == done
    refused = await net.refused("POST", f"{path}/move/commit", 409)
    assert refused["code"] == "umbel.invalid_move"


async def test_a_move_whose_end_is_refused_is_under_way_still(net: Net) -> None:
    path = f"/paths/{(await net.path())['id']}"
    moving = await net.ask("POST", f"{path}/move", json=COMING)
    net.wires.refuses.add(net.fabric.stream("feed").number)
    told = await net.refused("POST", f"{path}/move/commit", 400)
    assert told["code"] == "umbel.switch_refused"
    net.wires.refuses.clear()
    assert await net.ask("GET", path) == moving
    assert net.send() == BOTH
    done = await net.ask("POST", f"{path}/move/commit")
    assert (done["leaf"], done["error"]) == ("pe5", "")
    assert net.send() == {("pe5", "192.0.2.5", 6001)}


async def test_a_move_is_taken_back(net: Net) -> None:
    path = f"/paths/{(await net.path())['id']}"
    await net.ask("POST", f"{path}/move", json=COMING)
    bindings = await net.ask("POST", f"{path}/move/abort")
    assert (bindings["leaf"], bindings["moving"]) == ("pe4", None)
    assert net.send() == {("pe4", "192.0.2.4", 6000)}
    told = await net.refused("POST", f"{path}/move", 409, json={**COMING, "leaf": "moon"})
    assert told["code"] == "umbel.invalid_move"
    unguaranteed = {"leaf": "pe5", "receiver": {"address": "192.0.2.5"}}
    told = await net.refused("POST", f"{path}/move", 422, json=unguaranteed)
    assert told["code"] == "umbel.invalid_route"


async def test_of_two_paths_the_one_that_moves_is_committed(net: Net) -> None:
    made = await net.path()
    other = await net.path(leaf="pe3", receiver={"address": "192.0.2.3", "mac": MAC})
    await net.ask("POST", f"/paths/{made['id']}/move", json=COMING)
    for what in ("commit", "abort"):
        told = await net.refused("POST", f"/paths/{other['id']}/move/{what}", 409)
        assert told["code"] == "umbel.invalid_move"
    there = {"leaf": "pe3", "receiver": {"address": "192.0.2.3", "mac": MAC}}
    told = await net.refused("POST", f"/paths/{made['id']}/move", 409, json=there)
    assert told["code"] == "umbel.invalid_move"
    assert net.send() == {*BOTH, ("pe3", "192.0.2.3", 5004)}
    await net.ask("POST", f"/paths/{made['id']}/move/commit")
    assert net.send() == {("pe5", "192.0.2.5", 6001), ("pe3", "192.0.2.3", 5004)}


async def test_a_path_that_is_removed_moves_no_more(net: Net) -> None:
    made = await net.path()
    await net.path(leaf="pe3", receiver={"address": "192.0.2.3", "mac": MAC})
    await net.ask("POST", f"/paths/{made['id']}/move", json=COMING)
    await net.ask("DELETE", f"/paths/{made['id']}", 204)
    assert net.send() == {("pe3", "192.0.2.3", 5004)}


async def test_a_move_to_where_nothing_gets_changes_nothing(net: Net) -> None:
    path = f"/paths/{(await net.path())['id']}"
    before = await net.ask("GET", path)
    net.wires.leave("pe5")
    told = await net.refused("POST", f"{path}/move", 503, json=COMING)
    assert (told["code"], told["details"]["target"]) == ("umbel.no_path", "pe5")
    assert await net.ask("GET", path) == before
    assert net.send() == {("pe4", "192.0.2.4", 6000)}
    net.wires.come("pe5")

    async def moved() -> int:
        answer = await net.here.client.request(
            "POST", f"{NET}{path}/move", headers=net.here.as_("operator"), json=COMING
        )
        return answer.status_code

    await until(moved, lambda status: status == 200)
    net.wires.leave("pe5")
    told = await net.refused("POST", f"{path}/move/commit", 503)
    assert told["code"] == "umbel.no_path"
    assert net.send() == BOTH
