"""Callbacks over REST: who may, what is refused, what is shown; and a POST that arrives."""

import asyncio
import json
from contextlib import suppress

import pytest

from support.http import World
from support.waiting import until
from umbel.network import events
from umbel.notify import signing
from umbel.notify.model import Kind

PATH = "/api/v1/notifications"
HOOK = "http://observer.example/hook"
GIVEN = {"url": HOOK, "kinds": ["link_down", "link_up"], "note": "the wall"}


async def registered(here: World, **changes: object) -> dict[str, object]:
    answer = await here.client.post(PATH, json={**GIVEN, **changes}, headers=here.as_("operator"))
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, object] = answer.json()
    return body


async def listed(here: World) -> list[dict[str, object]]:
    answer = await here.client.get(PATH, headers=here.as_("operator"))
    assert answer.status_code == 200
    body: list[dict[str, object]] = answer.json()
    return body


async def test_a_callback_is_registered_listed_and_removed(here: World) -> None:
    made = await registered(here)
    secret = made.pop("secret")
    assert str(secret).startswith("whsec_")
    assert len(str(secret)) > 40
    assert made | {"created_at": ""} == {
        "id": made["id"],
        "url": HOOK,
        "kinds": ["link_down", "link_up"],
        "note": "the wall",
        "created_at": "",
        "state": "active",
        "sequence": 0,
        "waiting": 0,
        "delivered": 0,
        "dropped": 0,
        "failures": 0,
        "last_error": "",
        "last_error_at": None,
        "last_answer_at": None,
        "retry_at": None,
    }
    assert await listed(here) == [made]
    operator = here.as_("operator")
    one = await here.client.get(f"{PATH}/{made['id']}", headers=operator)
    assert (one.status_code, one.json()) == (200, made)
    gone = await here.client.delete(f"{PATH}/{made['id']}", headers=operator)
    assert (gone.status_code, gone.content) == (204, b"")
    for method in ("GET", "DELETE"):
        missing = await here.client.request(method, f"{PATH}/{made['id']}", headers=operator)
        assert (missing.status_code, missing.json()["code"]) == (404, "umbel.no_such_subscriber")


async def test_the_secret_is_nowhere_in_the_database(here: World) -> None:
    made = await registered(here)
    row = await here.system.notifier.store.subscriber(str(made["id"]))
    assert str(made["secret"]) not in repr(row)
    assert here.system.notifier.sealer.open(row.sealed_secret, row.id) == made["secret"]


@pytest.mark.parametrize("who", ["city", "viewer", None])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", ""), ("GET", "/sub_1"), ("DELETE", "/sub_1"), ("POST", "/sub_1/ping")],
)
async def test_operators_alone(here: World, who: str | None, method: str, path: str) -> None:
    headers = here.as_(who) if who else {}
    body = GIVEN if (method, path) == ("POST", "") else None
    answer = await here.client.request(method, PATH + path, json=body, headers=headers)
    assert answer.status_code == (403 if who else 401)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"url": "ftp://observer.example/"}, "umbel.bad_callback"),
        ({"url": "http://user:secret@observer.example/"}, "umbel.bad_callback"),
        ({"url": ""}, "umbel.unprocessable"),
        ({"kinds": []}, "umbel.unprocessable"),
        ({"kinds": ["rain"]}, "umbel.unprocessable"),
        ({"secret": "mine"}, "umbel.unprocessable"),
    ],
)
async def test_what_cannot_be_used_is_refused(
    here: World, changes: dict[str, object], code: str
) -> None:
    answer = await here.client.post(PATH, json=GIVEN | changes, headers=here.as_("operator"))
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert "secret@" not in answer.text
    assert await listed(here) == []


async def test_there_is_a_most(here: World) -> None:
    most = here.system.notifier.bounds.most_subscribers
    for _ in range(most):
        await here.system.notifier.register(HOOK, [Kind.LINK_UP])
    answer = await here.client.post(PATH, json=GIVEN, headers=here.as_("operator"))
    assert (answer.status_code, answer.json()["code"]) == (409, "umbel.too_many_subscribers")


async def test_a_ping_tells_what_it_came_to(here: World) -> None:
    made = await registered(here)
    path, operator = f"{PATH}/{made['id']}/ping", here.as_("operator")
    good = (await here.client.post(path, headers=operator)).json()
    assert (good["delivered"], good["error"]) == (True, "")
    (posted,) = here.system.courier.taken
    now_s = here.system.clock.now_s()
    header = posted.headers["Umbel-Signature"]
    signing.verify(str(made["secret"]), header, posted.body, now_s=now_s)
    here.system.courier.answer(HOOK, 500)
    bad = (await here.client.post(path, headers=operator)).json()
    assert (bad["delivered"], bad["error"]) == (False, "answered 500")
    missing = await here.client.post(f"{PATH}/sub_0/ping", headers=operator)
    assert missing.status_code == 404


async def test_events_of_the_network_reach_the_callback_and_the_state_stream(here: World) -> None:
    made = await registered(here, kinds=list(events.KINDS))
    head = await here.system.journal.head()
    running = asyncio.create_task(here.system.notifier.run())
    try:
        for event in (
            events.LinkDown(a="c1", b="pe1"),
            events.PathChanged(stream="ev_1", links=(("pe1", "c2"),)),
        ):
            here.system.notifier.publish(
                Kind(event.kind), events.subject(event), events.body(event)
            )

        async def taken() -> int:
            return len(here.system.courier.taken)

        await until(taken, lambda count: count == 2)
        bodies = [json.loads(posted.body) for posted in here.system.courier.taken]
        assert [(b["sequence"], b["kind"], b["subject"], b["body"]) for b in bodies] == [
            (1, "link_down", "c1-pe1", {"a": "c1", "b": "pe1"}),
            (2, "path_changed", "ev_1", {"stream": "ev_1", "links": [["pe1", "c2"]], "error": ""}),
        ]
        journal = await here.system.journal.since(head)
        assert [(c.kind, c.subject) for c in journal] == [
            ("link_down", "c1-pe1"),
            ("path_changed", "ev_1"),
        ]

        async def shown() -> list[dict[str, object]]:
            return await listed(here)

        (now,) = await until(shown, lambda all_: all_[0]["delivered"] == 2)
        assert (now["id"], now["state"], now["sequence"]) == (made["id"], "active", 2)
        here.system.courier.answer(HOOK, 410)
        here.system.notifier.publish(Kind.SWITCH_UP, "pe1", {"node": "pe1", "datapath_id": 1})
        (now,) = await until(shown, lambda all_: all_[0]["state"] == "dead")
        assert (now["failures"], now["last_error"]) == (1, "answered 410")
        assert now["last_error_at"] is not None
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
