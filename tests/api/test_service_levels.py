"""A provider's service level over REST and on the command line, and the report of it."""

import asyncio

import pytest
from typer.testing import CliRunner, Result

from support.http import PASSWORD, World
from umbel.cli import app
from umbel.delivery.model import Session
from umbel.delivery.store import DeliveryStore

PROMISED = {"priority": 5, "viewers": 2, "height": 720, "availability": 0.5}
NOTHING = {"priority": 0, "viewers": 0, "height": 0, "availability": 0.0}


def path(here: World) -> str:
    return f"/api/v1/providers/{here.city.id}/service-level"


class Viewers:
    """Writes viewers' sessions as delivery does."""

    def __init__(self, here: World, stream: str) -> None:
        self.store, self.stream = DeliveryStore(here.system.database), stream
        self.now_s = here.system.clock.now_s()

    def session(self, number: int) -> Session:
        return Session(
            id=f"se_{number}",
            stream=self.stream,
            access_node="pe1",
            function="edge-pe1-1",
            edge_node="pe1",
            opened_s=self.now_s,
            seen_s=self.now_s,
            expires_s=self.now_s + 60,
        )

    async def come(self, *numbers: int) -> None:
        for number in numbers:
            await self.store.open_session(self.session(number), None)

    async def leave(self, number: int) -> None:
        await self.store.close_session(self.session(number), at_s=self.now_s)

    async def are_turned_away(self, *numbers: int, quality: str = "") -> None:
        stream = f"{self.stream}{quality}"
        for number in numbers:
            body = {"what": "turned-away", "stream": stream, "access_node": "pe1"}
            await self.store.note("session", f"se_{number}", body, self.now_s)


async def test_an_operator_sets_a_level_and_its_provider_reads_it(here: World) -> None:
    first = await here.client.get(path(here), headers=here.as_("city"))
    assert {name: first.json()[name] for name in (*NOTHING, "version")} == {**NOTHING, "version": 0}
    made = await here.client.put(path(here), json=PROMISED, headers=here.as_("operator"))
    assert made.status_code == 200
    read = (await here.client.get(path(here), headers=here.as_("city"))).json()
    assert {name: read[name] for name in PROMISED} == PROMISED
    assert (read["provider_id"], read["version"]) == (here.city.id, 1)
    assert read["kept"] == {"viewers": True, "quality": True, "availability": True}


@pytest.mark.parametrize(("who", "status"), [("club", 403), ("viewer", 403)])
async def test_others_do_not_see_it(here: World, who: str, status: int) -> None:
    assert (await here.client.get(path(here), headers=here.as_(who))).status_code == status


@pytest.mark.parametrize("who", ["city", "viewer"])
async def test_only_operators_set_it(here: World, who: str) -> None:
    refused = await here.client.put(path(here), json=PROMISED, headers=here.as_(who))
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"viewers": -1}, 422, "umbel.unprocessable"),
        ({"availability": 1.5}, 422, "umbel.unprocessable"),
        ({"priority": 101}, 422, "umbel.unprocessable"),
        ({"viewers": 1, "version": 7}, 409, "umbel.version_mismatch"),
    ],
)
async def test_a_level_out_of_bounds_or_of_another_version_is_refused(
    here: World, given: dict[str, object], status: int, code: str
) -> None:
    refused = await here.client.put(path(here), json=given, headers=here.as_("operator"))
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_of_an_unknown_provider_there_is_none(here: World) -> None:
    for method, body in (("GET", None), ("PUT", PROMISED)):
        got = await here.client.request(
            method,
            "/api/v1/providers/pr_nobody/service-level",
            json=body,
            headers=here.as_("operator"),
        )
        assert got.json()["code"] == "umbel.no_such_provider"


async def test_a_provider_with_a_level_can_be_removed(here: World) -> None:
    made = await here.system.catalogue.add_provider("Choir", "pe2")
    at = f"/api/v1/providers/{made.id}"
    headers = here.as_("operator")
    await here.client.put(f"{at}/service-level", json=PROMISED, headers=headers)
    assert (await here.client.delete(at, headers=headers)).status_code == 204


async def test_the_report_counts_who_was_promised_a_place_and_refused(here: World) -> None:
    await here.client.put(path(here), json=PROMISED, headers=here.as_("operator"))
    event = await here.open_event()
    viewers = Viewers(here, event.id)
    await viewers.come(1, 2)
    await viewers.are_turned_away(3)  # beyond the two that were promised
    await viewers.leave(1)
    await viewers.are_turned_away(4)
    await viewers.are_turned_away(5, quality="-360p")
    await viewers.are_turned_away(6, quality="-1080p")  # higher than promised
    elsewhere = await here.event(here.club)
    await Viewers(here, elsewhere.id).are_turned_away(7)
    told = (await here.client.get(path(here), headers=here.as_("operator"))).json()
    counted = ("watching", "peak_viewers", "opened", "refused", "refused_promised")
    assert {name: told[name] for name in counted} == {
        "watching": 1,
        "peak_viewers": 2,
        "opened": 2,
        "refused": 4,
        "refused_promised": 2,
    }
    assert (told["refused_quality"], told["served_share"]) == (1, 0.5)
    assert told["kept"] == {"viewers": False, "quality": False, "availability": True}
    assert told["since"] < told["until"]


async def test_the_end_of_an_event_ends_its_sessions_in_the_report(here: World) -> None:
    await here.client.put(path(here), json={"viewers": 1}, headers=here.as_("operator"))
    first, second = await here.open_event(), await here.open_event()
    viewers = Viewers(here, first.id)
    await viewers.come(1)
    await here.client.post(f"/api/v1/events/{first.id}/end", headers=here.as_("operator"))
    await viewers.store.drop_tree(first.id, at_s=viewers.now_s)
    await Viewers(here, second.id).are_turned_away(2)
    told = (await here.client.get(path(here), headers=here.as_("operator"))).json()
    assert (told["watching"], told["refused_promised"]) == (0, 1)


# -- the command line --------------------------------------------------------------------------


async def provider(url: str, *words: str) -> Result:
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD, "COLUMNS": "160"}
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["provider", *words], env=env))


async def test_a_level_is_promised_listed_and_reported(there: tuple[World, str]) -> None:
    here, url = there
    promised = await provider(url, "promise", here.city.id, "--viewers", "1", "--height", "720")
    line = (
        f"{here.city.id}: 1 viewers of pictures up to 720 pixels high, priority 0, availability 0\n"
    )
    assert promised.stdout == line
    await provider(url, "promise", here.city.id, "--priority", "3", "--availability", "0.9")
    listed = (await provider(url, "list")).stdout.splitlines()
    (row,) = [one.split() for one in listed if here.city.id in one]
    assert row[-4:] == ["3", "1", "720", "0.9"]
    kept = await provider(url, "service-level", here.city.id)
    assert (kept.exit_code, kept.stdout.splitlines()[-1]) == (0, "availability: kept")
    await Viewers(here, (await here.open_event()).id).are_turned_away(1)
    broken = await provider(url, "service-level", here.city.id, "--hours", "1")
    assert broken.exit_code == 1
    assert "0 sessions opened, 1 refused (1 of them promised)" in broken.stdout
    assert broken.stdout.splitlines()[-3:] == [
        "viewers: broken",
        "quality: kept",
        "availability: broken",
    ]


async def test_an_unknown_provider_is_an_error(there: tuple[World, str]) -> None:
    _, url = there
    failed = await provider(url, "service-level", "pr_nobody")
    assert failed.exit_code == 2
    assert "umbel.no_such_provider" in failed.output
