"""Statistics of an event over HTTP: sums, the curve, places, the CSV, and who may see them."""

import csv
import io

import pytest

from support.http import World
from umbel.catalogue.reservations.model import Purpose
from umbel.delivery.attendance import store
from umbel.delivery.attendance.model import Gathered, Share
from umbel.portal.api.statistics import MOST_POINTS

NOON_S = 1_800_000_000


async def attended(here: World, event_id: str, minutes: int) -> None:
    share = Share(opened=1, watched_s=90.0, peak=2)
    whole = Share(opened=minutes, watched_s=90.0 * minutes, peak=2)
    gathered = Gathered(
        minutes={(event_id, NOON_S + 60 * number): share for number in range(minutes)},
        places={(event_id, "pe1", "pe2"): whole},
        events={event_id: whole},
        protocols={
            (event_id, "hls"): Share(opened=1, watched_s=30.0 * minutes, peak=1),
            (event_id, "whep"): Share(opened=minutes, watched_s=60.0 * minutes, peak=2),
        },
    )
    await here.system.database.write(store.add, gathered, 1)


async def test_an_event_without_viewers_has_zeros(here: World) -> None:
    event = await here.event()
    path = f"/api/v1/events/{event.id}/statistics"
    found = (await here.client.get(path, headers=here.as_("city"))).json()
    assert (found["sessions"], found["peak"], found["viewers"]) == (0, 0, 0)
    assert (found["points"], found["places"], found["reservations"]) == ([], [], 0)


async def test_sums_curve_and_places(here: World) -> None:
    event = await here.event(title="=Council")
    await here.system.catalogue.reservations.reserve("viewer", event.id, Purpose.WATCH)
    await attended(here, event.id, 3)
    path = f"/api/v1/events/{event.id}/statistics"
    found = (await here.client.get(path, headers=here.as_("city"))).json()
    assert found["points"][0] == {
        "at": "2027-01-15T08:00:00.000Z",
        "viewers": 1.5,
        "peak": 2,
        "opened": 1,
    }
    assert (found["sessions"], found["peak"], found["watched_s"]) == (3, 2, 270.0)
    assert (found["watched_each_s"], found["viewers"], found["reservations"]) == (90.0, 1.5, 1)
    assert (found["point_s"], len(found["points"])) == (60, 3)
    assert found["places"][0]["share"] == 1.0
    assert [(one["protocol"], round(one["share"], 2)) for one in found["protocols"]] == [
        ("whep", 0.67),
        ("hls", 0.33),
    ]

    table = await here.client.get(f"{path}.csv", headers=here.as_("city"))
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-disposition"].startswith("attachment")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert len(rows) == 3
    assert rows[0] == {
        "event": "'=Council",
        "minute": "2027-01-15T08:00:00.000Z",
        "viewers_average": "1.5",
        "viewers_peak": "2",
        "sessions_opened": "1",
    }
    query = {"table": "places"}
    places = await here.client.get(f"{path}.csv", params=query, headers=here.as_("city"))
    assert next(csv.DictReader(io.StringIO(places.text)))["watched_s"] == "270.0"
    query = {"table": "protocols"}
    protocols = await here.client.get(f"{path}.csv", params=query, headers=here.as_("city"))
    assert list(csv.DictReader(io.StringIO(protocols.text)))[1] == {
        "event": "'=Council",
        "protocol": "hls",
        "sessions_opened": "1",
        "watched_s": "90.0",
        "viewers_peak": "1",
    }


async def test_a_long_event_has_a_bounded_curve(here: World) -> None:
    event = await here.event()
    await attended(here, event.id, MOST_POINTS + 1)
    path = f"/api/v1/events/{event.id}/statistics"
    found = (await here.client.get(path, headers=here.as_("city"))).json()
    assert (found["point_s"], len(found["points"])) == (120, MOST_POINTS // 2 + 1)
    assert {one["viewers"] for one in found["points"]} == {1.5}
    assert sum(one["opened"] for one in found["points"]) == MOST_POINTS + 1


@pytest.mark.parametrize("name", ["statistics", "statistics.csv"])
async def test_who_may_see_them(here: World, name: str) -> None:
    event = await here.event()
    path = f"/api/v1/events/{event.id}/{name}"
    for who, status in (
        ("", 401),
        ("viewer", 403),
        ("club", 403),
        ("city", 200),
        ("operator", 200),
    ):
        answer = await here.client.get(path, headers=here.as_(who) if who else {})
        assert (who, answer.status_code) == (who, status)


async def test_viewers_are_expected_where_accounts_come_from(here: World) -> None:
    now_s = here.system.clock.now_s()
    event = await here.event(starts_s=now_s + 3_600, ends_s=now_s + 7_200)
    path = f"/api/v1/events/{event.id}"
    none = (await here.client.get(f"{path}/demand", headers=here.as_("city"))).json()
    assert (none["expected"], none["nodes"], len(none["points"])) == (0, [], 55)
    for who in ("viewer", "club"):
        reserve = f"/api/v1/me/reservations/{event.id}"
        answer = await here.client.put(reserve, headers=here.as_(who), json={"purpose": "watch"})
        assert answer.status_code == 200
    node = next(n.name for n in here.system.plane.compute.nodes() if n.name != "pe1")
    await here.system.catalogue.demand.note_node("viewer", node)
    found = (await here.client.get(f"{path}/demand", headers=here.as_("city"))).json()
    assert (found["reservations"], found["show_up"], found["walk_ins"]) == (2, 0.6, 0)
    assert found["expected"] == pytest.approx(1.2)
    assert found["nodes"] == [{"access_node": node, "expected": pytest.approx(1.2), "viewers": 0}]
    assert max(one["expected"] for one in found["points"]) == pytest.approx(1.2)
    assert {one["viewers"] for one in found["points"]} == {None}
    begins = [one["at"] for one in found["points"]]
    assert begins == sorted(set(begins))


async def test_nothing_is_expected_of_an_event_that_nobody_predicted(here: World) -> None:
    event = await here.event()
    path = f"/api/v1/events/{event.id}/demand"
    found = (await here.client.get(path, headers=here.as_("operator"))).json()
    assert (found["predicted_at"], found["expected"], found["points"]) == (None, 0, [])
    for who, code in (("club", 403), ("viewer", 403)):
        assert (await here.client.get(path, headers=here.as_(who))).status_code == code
    assert (await here.client.get(path)).status_code == 401


async def test_an_account_is_known_by_the_address_it_comes_from(here: World) -> None:
    event = await here.open_event()
    path = f"/api/v1/events/{event.id}/sessions"
    for node in ("pe1", "pe4"):
        given = {"access_node": node}
        answer = await here.client.post(path, headers=here.as_("viewer"), json=given)
        assert answer.status_code == 201
    await here.system.catalogue.reservations.reserve("viewer", event.id, Purpose.WATCH)
    assert await here.system.catalogue.demand.by_node(event.id) == {"pe4": 1}
