"""The fields of events over HTTP: bad input, times in the past and at the same time, versions."""

import pytest

from support.http import World
from umbel.kit.clock import to_rfc3339

TIMES = {"starts_at": "2090-05-01T10:00:00Z", "ends_at": "2090-05-01T12:00:00+01:00"}


def draft(here: World, **changes: object) -> dict[str, object]:
    return {"provider_id": here.city.id, "title": "Budget", "description": "", **TIMES, **changes}


async def test_a_title_of_10_megabytes_is_refused_before_it_is_read(here: World) -> None:
    body = draft(here, title="x" * 10_000_000)
    answer = await here.client.post("/api/v1/events", json=body, headers=here.as_("city"))
    assert (answer.status_code, answer.json()["code"]) == (413, "umbel.too_large")
    assert await here.system.catalogue.events(listed=False) == []


@pytest.mark.parametrize("field", ["title", "description"])
async def test_marks_and_markup_stay_text(here: World, field: str) -> None:
    """HTML is kept as it was typed; what turns the direction of the text around it is not kept."""
    body = draft(here, **{field: "<b>\u202eevil\u202c</b> & <script>alert(1)</script>"})
    added = await here.client.post("/api/v1/events", json=body, headers=here.as_("city"))
    assert added.status_code == 201
    assert added.headers["content-type"] == "application/json"
    assert added.json()[field] == "<b>evil</b> & <script>alert(1)</script>"


async def test_others_at_the_same_time_are_named_and_no_error(here: World) -> None:
    city, made = here.as_("city"), []
    for title, begin, end in (("First", 10, 12), ("Second", 11, 13), ("Third", 13, 14)):
        times = {"starts_at": f"2090-05-01T{begin}:00:00Z", "ends_at": f"2090-05-01T{end}:00:00Z"}
        body = draft(here, title=title, **times)
        answer = await here.client.post("/api/v1/events", json=body, headers=city)
        made.append(answer.json())
    assert [[one["title"] for one in event["overlaps"]] for event in made] == [[], ["First"], []]
    path = f"/api/v1/events/{made[2]['id']}"
    longer = {"version": 1, "starts_at": "2090-05-01T11:30:00Z"}
    changed = await here.client.patch(path, json=longer, headers=city)
    assert [one["title"] for one in changed.json()["overlaps"]] == ["First", "Second"]


async def test_a_start_in_the_past_is_kept_and_no_new_one_is_taken(here: World) -> None:
    now_s = here.system.clock.now_s()
    event = await here.event(starts_s=now_s - 600, ends_s=now_s + 600)
    path, city = f"/api/v1/events/{event.id}", here.as_("city")

    async def change(version: int, **given: str) -> int:
        answer = await here.client.patch(path, json={"version": version, **given}, headers=city)
        return answer.status_code

    starts, later = to_rfc3339(event.starts_s), to_rfc3339(now_s + 900)
    assert await change(1, starts_at=to_rfc3339(now_s - 3_600)) == 422
    assert await change(1, starts_at=starts, ends_at=later) == 200
    assert await change(2, time_zone="Europe/Rome") == 200


async def test_a_change_may_name_the_version_as_an_etag(here: World) -> None:
    event = await here.event()
    path, city = f"/api/v1/events/{event.id}", here.as_("city")
    tag = (await here.client.get(path)).headers["etag"]
    assert tag == '"1"'
    sent = {**city, "If-Match": tag}
    first = await here.client.patch(path, json={"title": "New"}, headers=sent)
    assert (first.status_code, first.json()["version"]) == (200, 2)
    stale = await here.client.patch(path, json={"title": "Old"}, headers=sent)
    assert (stale.status_code, stale.json()["code"]) == (412, "umbel.event_changed")
    assert stale.json()["details"]["current"]["title"] == "New"
    body: dict[str, str | None]
    for tags in ("*", '"3"'):
        body = {"description": tags}
        again = await here.client.patch(path, json=body, headers={**city, "If-Match": tags})
        assert again.status_code == 200
    for wrong in ("3", 'W/"3"', '"x"', '"1", "2"', '"0"'):
        refused = await here.client.patch(path, json={}, headers={**city, "If-Match": wrong})
        assert (wrong, refused.status_code) == (wrong, 422)
    for version in ({}, {"version": None}):
        body = {"title": "X", **version}
        missing = await here.client.patch(path, json=body, headers=city)
        assert missing.status_code == 422
        assert missing.json()["details"]["fields"][0]["field"] == "version"
