"""Captions over REST: who may read, switch and delete them; search; tracks of replays."""

import pytest

from support.http import World
from support.recorded import Reel, film
from umbel.catalogue.captions.model import Heard
from umbel.catalogue.model import Event, EventEvent, Visibility


async def say(here: World, event: Event, *texts: str, at_s: float) -> None:
    heard = [
        Heard(boot="one", number=n, text=text, start_s=at_s + n, end_s=at_s + n + 1)
        for n, text in enumerate(texts)
    ]
    await here.system.catalogue.captions.add(event.id, heard)


async def test_a_provider_switches_captions_of_its_own_events(here: World) -> None:
    event = await here.event()
    path = f"/api/v1/events/{event.id}/caption-policy"
    for who, status in (("city", 200), ("operator", 200), ("club", 403), ("viewer", 403)):
        answer = await here.client.get(path, headers=here.as_(who))
        assert answer.status_code == status, who
    policy = {"language": None, "problem": "", "available": False}
    assert (await here.client.get(path, headers=here.as_("city"))).json() == policy
    no_engine = await here.client.put(path, json={"language": "en"}, headers=here.as_("city"))
    assert (no_engine.status_code, no_engine.json()["code"]) == (409, "umbel.no_caption_engine")
    object.__setattr__(here.system.settings, "captions_engine", "fake")
    put = await here.client.put(path, json={"language": "en-US"}, headers=here.as_("city"))
    assert put.json() == {"language": "en-US", "problem": "", "available": True}
    for bad in ("--help", "", "english please", "x" * 31, 7):
        answer = await here.client.put(path, json={"language": bad}, headers=here.as_("city"))
        assert answer.status_code == 422, bad
    off = await here.client.put(path, json={"language": None}, headers=here.as_("city"))
    assert off.json()["language"] is None


async def test_viewers_read_on_and_the_provider_deletes(here: World) -> None:
    event = await here.event()
    await say(here, event, "one", "two <b>", at_s=1_803_000_000.5)
    path = f"/api/v1/events/{event.id}/captions"
    read = (await here.client.get(path)).json()
    assert read["language"] is None
    assert [(one["number"], one["text"]) for one in read["captions"]] == [
        (1, "one"),
        (2, "two <b>"),
    ]
    assert read["captions"][0]["starts_at"].endswith(".500Z")
    later = (await here.client.get(path, params={"after": 1})).json()["captions"]
    assert [one["number"] for one in later] == [2]
    for who, status in (("viewer", 403), ("club", 403), ("city", 204)):
        answer = await here.client.delete(path, headers=here.as_(who))
        assert answer.status_code == status, who
    assert (await here.client.get(path)).json()["captions"] == []


async def test_a_session_names_subtitles_where_speech_is_recognised(here: World) -> None:
    event = await here.open_event()
    path = f"/api/v1/events/{event.id}/sessions"

    async def subtitled(**given: str) -> str | None:
        answer = await here.client.post(path, json={"access_node": "pe4", **given})
        assert answer.status_code == 201
        found: str | None = answer.json()["hls_subtitled"]
        return found

    assert await subtitled() is None
    object.__setattr__(here.system.settings, "captions_engine", "fake")
    assert await subtitled() is None
    await here.system.catalogue.captions.set_policy(event.id, "en-US")
    url = await subtitled()
    assert url is not None
    assert url.endswith(f"/hls/{event.id}/subtitled.m3u8")
    await here.system.catalogue.captions.set_policy(event.id, None)
    assert await subtitled() is None


async def test_search_shows_what_one_may_watch(here: World) -> None:
    public = await here.event()
    hidden = await here.event(visibility=Visibility.INVITED)
    for event in (public, hidden):
        await say(here, event, "The secret word", at_s=1_803_000_000.0)
    search = "/api/v1/captions"
    found = (await here.client.get(search, params={"q": "secr word"})).json()["captions"]
    assert [one["event_id"] for one in found] == [public.id]
    assert (found[0]["event_title"], found[0]["position_s"]) == ("Council", None)
    of_hidden = {"q": "secret", "event_id": hidden.id}
    assert (await here.client.get(search, params=of_hidden)).status_code == 404
    mine = await here.client.get(search, params=of_hidden, headers=here.as_("city"))
    assert len(mine.json()["captions"]) == 1


async def test_a_replay_has_its_captions(here: World) -> None:
    event = await here.event()
    await here.system.recordings.set_replay(event.id, enabled=True)
    for happened in (EventEvent.OPEN, EventEvent.START):
        await here.system.catalogue.transition(event.id, happened)
    reel = here.system.studio.reels.running[event.id] = Reel("one", film())
    await here.system.studio.look()
    reel.ready = 3
    await here.system.studio.look()
    replay = f"/api/v1/events/{event.id}/replay"
    assert (await here.client.post(replay)).json()["captions_url"] is None
    _, extent = await here.system.recordings.replay(event.id)
    segments = (await here.system.recordings.index(extent)).segments
    began_s = segments[0].wall_s or segments[0].began_s
    await say(here, event, "First words", "Next words", at_s=began_s + 1)
    await say(here, event, "Another day", at_s=began_s + 9_000)
    made = (await here.client.post(replay)).json()
    track = await here.client.get(made["captions_url"])
    assert track.headers["content-type"].startswith("text/vtt")
    assert track.text == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nFirst words\n\n"
        "00:00:02.000 --> 00:00:03.000\nNext words\n"
    )
    folder = made["url"].rpartition("/")[0]
    index = (await here.client.get(made["subtitled_url"])).text
    assert 'URI="captions.m3u8"' in index
    listed = (await here.client.get(f"{folder}/captions.m3u8")).text.splitlines()
    names = [line for line in listed if not line.startswith("#")]
    assert names == ["captions-0.vtt", "captions-1.vtt", "captions-2.vtt"]
    pieces = [(await here.client.get(f"{folder}/{name}")).text for name in names]
    assert ["First words" in one for one in pieces] == [True, False, False]
    assert ["Next words" in one for one in pieces] == [False, True, False]
    assert (await here.client.get(f"{folder}/captions-9.vtt")).status_code == 404
    found = (await here.client.get("/api/v1/captions", params={"q": "next"})).json()["captions"]
    assert [one["position_s"] for one in found] == [pytest.approx(2.0, abs=0.01)]
    lost = (await here.client.get("/api/v1/captions", params={"q": "another"})).json()["captions"]
    assert [one["position_s"] for one in lost] == [None]
    wrong = await here.client.get("/replay/wrong/captions.vtt")
    assert wrong.status_code == 401
