"""Slices over REST: who may, what is refused, what is shown."""

from dataclasses import replace
from typing import Any

import pytest

from support.http import World
from support.slicing import carry
from umbel.network.slices.service import Slices


async def asked(here: World, **body: object) -> tuple[int, dict[str, Any]]:
    answer = await here.client.post("/api/v1/slices", json=body, headers=here.as_("operator"))
    return answer.status_code, answer.json()


async def carried(here: World, number: int = 1) -> str:
    event = (await here.event()).id
    await carry(here.system.network.slices, event, "pe4", number=number)
    return event


async def test_a_slice_is_made_shown_and_ended(here: World) -> None:
    event = await carried(here)
    status, made = await asked(here, grade="gold", event_id=event)
    assert status == 201
    assert made["event_id"] == event
    assert made["functions"] is None
    assert (made["min_mbps"], made["max_mbps"], made["dscp"]) == (50.0, 100.0, 32)
    assert made["guaranteed"] is True
    assert [(k["source"], k["target"], k["state"]) for k in made["links"]] == [
        ("pe1", "c1", "guaranteed"),
        ("c1", "pe4", "guaranteed"),
    ]
    path, operator = f"/api/v1/slices/{made['id']}", here.as_("operator")
    assert (await here.client.get(path, headers=operator)).json() == made
    assert (await here.client.get("/api/v1/slices", headers=operator)).json() == [made]
    shares = (await here.client.get("/api/v1/slices/links", headers=operator)).json()
    assert len(shares) == 4
    assert {s["promised_mbps"] for s in shares if s["source"] in ("pe1", "pe4")} == {50.0, 0.0}
    assert (await here.client.delete(path, headers=operator)).status_code == 204
    for method in ("GET", "DELETE"):
        gone = await here.client.request(method, path, headers=operator)
        assert (gone.status_code, gone.json()["code"]) == (404, "umbel.no_such_slice")


async def test_two_functions(here: World) -> None:
    event = await carried(here)
    pair = ["acquirer-pe1-1", "edge-pe4-1"]
    status, made = await asked(here, grade="bronze", functions=pair)
    assert (status, made["functions"], made["events"]) == (201, pair, [event])
    status, problem = await asked(here, grade="bronze", functions=["acquirer-pe1-1", "x"])
    assert (status, problem["code"]) == (422, "umbel.no_shared_stream")


async def test_a_full_link_is_named(here: World) -> None:
    for number in range(1, 4):
        event = await carried(here, number)
        assert (await asked(here, grade="gold", event_id=event))[0] == 201
    again, problem = await asked(here, grade="gold", event_id=event)
    assert (again, problem["code"]) == (409, "umbel.slice_exists")
    status, problem = await asked(here, grade="gold", event_id=await carried(here, 4))
    assert (status, problem["code"]) == (503, "umbel.no_room_for_slice")
    assert problem["details"] == {"link": ["c1", "pe4"], "left_mbps": 30.0, "asked_mbps": 50.0}


@pytest.mark.parametrize(
    "body",
    [
        {"grade": "gold"},
        {"grade": "gold", "event_id": "ev", "functions": ["a", "b"]},
        {"grade": "gold", "functions": ["a", "a"]},
        {"grade": "gold", "functions": ["a"]},
        {"grade": "tin", "event_id": "ev"},
        {"grade": "gold", "event_id": "ev", "mbps": 7},
    ],
)
async def test_a_body_that_is_no_slice(here: World, body: dict[str, object]) -> None:
    status, problem = await asked(here, **body)
    assert (status, problem["code"]) == (422, "umbel.unprocessable")


async def test_an_unknown_event(here: World) -> None:
    assert (await asked(here, grade="gold", event_id="ev_none"))[0] == 404


@pytest.mark.parametrize("who", ["city", "viewer"])
async def test_only_operators_may(here: World, who: str) -> None:
    for method, path in (
        ("GET", "/api/v1/slices"),
        ("POST", "/api/v1/slices"),
        ("GET", "/api/v1/slices/links"),
        ("GET", "/api/v1/slices/sl_1"),
        ("DELETE", "/api/v1/slices/sl_1"),
    ):
        body = {"grade": "gold", "event_id": "ev"} if method == "POST" else None
        answer = await here.client.request(method, path, json=body, headers=here.as_(who))
        assert answer.status_code == 403, path
        assert (await here.client.request(method, path, json=body)).status_code == 401


async def test_a_network_that_cannot_says_so(here: World) -> None:
    network = here.system.network
    unsupported: Slices = replace(network.slices, underlay=None)
    here.app.state.system = replace(here.system, network=replace(network, slices=unsupported))
    event = (await here.event()).id
    status, problem = await asked(here, grade="gold", event_id=event)
    assert (status, problem["code"]) == (409, "umbel.slices_unsupported")
    for path in ("", "/links", "/sl_1"):
        answer = await here.client.get(f"/api/v1/slices{path}", headers=here.as_("operator"))
        assert (answer.status_code, answer.json()["code"]) == (409, "umbel.slices_unsupported")
