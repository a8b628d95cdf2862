"""Files as events' sources over REST: who may, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from support.http import World
from umbel.catalogue.model import EventEvent
from umbel.playout.model import File, FileFacts, FileState

FILE = File(
    id="item_film",
    provider_id="",
    name="Council.mp4",
    size=10,
    state=FileState.READY,
    facts=FileFacts(container="MP4", duration_s=60.0, video="H.264", audio="AAC"),
    created_s=1.0,
    changed_s=1.0,
)
BODY = {"file_id": FILE.id, "on_schedule": False}


async def a_file(here: World, **changes: Any) -> File:
    made = replace(FILE, provider_id=here.city.id, **changes)
    await here.system.files.store.add(made)
    return made


async def ask(here: World, method: str, path: str, who: str = "city", body: Any = None) -> Any:
    headers = here.as_(who) if who else {}
    return await here.client.request(method, path, headers=headers, json=body)


@pytest.mark.parametrize(
    ("who", "status"),
    [("operator", 0), ("city", 0), ("club", 403), ("viewer", 403), ("", 401)],
)
async def test_a_playout_is_its_providers(here: World, who: str, status: int) -> None:
    await a_file(here)
    at = f"/api/v1/events/{(await here.event()).id}/playout"
    routes = [
        ("GET", at, None, 404),
        ("PUT", at, BODY, 200),
        ("GET", at, None, 200),
        ("POST", f"{at}/start", {}, 200),
        ("DELETE", at, None, 409),
        ("POST", f"{at}/stop", None, 200),
        ("DELETE", at, None, 204),
    ]
    for method, path, body, allowed in routes:
        answer = await ask(here, method, path, who, body)
        assert answer.status_code == (status or allowed), (method, path, answer.text)


async def test_a_playout_from_its_choice_to_its_stop(here: World) -> None:
    await a_file(here)
    at = f"/api/v1/events/{(await here.event()).id}/playout"
    made = (await ask(here, "PUT", at, body={**BODY, "loop": True})).json()
    assert (made["state"], made["loop"], made["ends_event"]) == ("waiting", True, False)
    assert (made["file_name"], made["duration_s"]) == ("Council.mp4", 60.0)
    started = (await ask(here, "POST", f"{at}/start", body={"position_s": 12.5})).json()
    assert (started["state"], started["position_s"]) == ("playing", 12.5)
    again = (await ask(here, "POST", f"{at}/start", body={"position_s": 1})).json()
    assert again["position_s"] == 12.5, "one that plays goes on"
    stopped = (await ask(here, "POST", f"{at}/stop")).json()
    assert (stopped["state"], stopped["position_s"]) == ("stopped", 12.5)
    resumed = (await ask(here, "POST", f"{at}/start")).json()
    assert resumed["position_s"] == 12.5
    past = (await ask(here, "POST", f"{at}/stop")).json()
    assert past["state"] == "stopped"
    end = (await ask(here, "POST", f"{at}/start", body={"position_s": 600})).json()
    assert end["position_s"] == 60.0


async def test_what_cannot_be_chosen(here: World) -> None:
    await a_file(here)
    await a_file(here, id="item_half", state=FileState.UPLOADING)
    await a_file(here, id="item_bad", state=FileState.REFUSED, problem="This file is image/png")
    event, other = await here.event(), await here.event(here.club)
    at = f"/api/v1/events/{event.id}/playout"
    for file, status, code in (
        ("item_none", 404, "umbel.no_such_file"),
        ("item_half", 409, "umbel.file_not_ready"),
        ("item_bad", 409, "umbel.file_not_ready"),
    ):
        answer = await ask(here, "PUT", at, body={"file_id": file})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "image/png" in answer.json()["message"]
    answer = await ask(here, "PUT", f"/api/v1/events/{other.id}/playout", "operator", BODY)
    assert (answer.status_code, answer.json()["code"]) == (422, "umbel.foreign_file")
    for body in ({}, {"file_id": ""}, {"file_id": FILE.id, "speed": 2}):
        assert (await ask(here, "PUT", at, body=body)).status_code == 422
    answer = await ask(here, "POST", f"{at}/start")
    assert (answer.status_code, answer.json()["code"]) == (404, "umbel.no_playout")
    await here.system.catalogue.transition(event.id, EventEvent.CANCEL)
    answer = await ask(here, "PUT", at, body=BODY)
    assert (answer.status_code, answer.json()["code"]) == (409, "umbel.event_over")


async def test_another_file_is_chosen_when_the_first_is_stopped(here: World) -> None:
    await a_file(here)
    await a_file(here, id="item_other")
    at = f"/api/v1/events/{(await here.event()).id}/playout"
    await ask(here, "PUT", at, body=BODY)
    await ask(here, "POST", f"{at}/start", body={"position_s": 5})
    answer = await ask(here, "PUT", at, body={**BODY, "file_id": "item_other"})
    assert (answer.status_code, answer.json()["code"]) == (409, "umbel.playout_playing")
    answer = await ask(here, "PUT", at, body={**BODY, "loop": True})
    assert (answer.status_code, answer.json()["loop"]) == (200, True), "options may change"
    await ask(here, "POST", f"{at}/stop")
    answer = await ask(here, "PUT", at, body={**BODY, "file_id": "item_other"})
    assert (answer.json()["state"], answer.json()["position_s"]) == ("waiting", 0.0)
    answer = await ask(here, "DELETE", "/api/v1/files/item_other")
    assert (answer.status_code, answer.json()["code"]) == (409, "umbel.file_in_use")
    assert (await ask(here, "DELETE", f"/api/v1/files/{FILE.id}")).status_code == 204


async def test_a_picture_of_another_provider_is_not_shown(here: World) -> None:
    await a_file(here)
    await here.system.files.store.change(FILE.id, lambda file: file, b"\xff\xd8\xff")
    path = f"/api/v1/files/{FILE.id}/picture"
    for who, status in (("city", 200), ("operator", 200), ("club", 403), ("viewer", 403)):
        assert (await ask(here, "GET", path, who)).status_code == status
    answer = await ask(here, "GET", path)
    assert (answer.content, answer.headers["content-type"]) == (b"\xff\xd8\xff", "image/jpeg")
