"""Plans over the API: asked for, watched, explained, cancelled; solved by a real process."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import plan_files
from support.http import World, make_system, world
from umbel.kit.db import Database
from umbel.plans import child
from umbel.plans.model import PlanRequest, PlanState
from umbel.plans.service import MOST_ACTIVE

NETWORK = yaml.safe_load(plan_files.NETWORK)


async def ask(here: World, **request: Any) -> dict[str, Any]:
    """A request that is taken."""
    body = {"network": NETWORK, "demand": plan_files.rows(), "time_s": 20, **request}
    answer = await here.client.post("/api/v1/plans", json=body, headers=here.as_("operator"))
    assert answer.status_code == 202, answer.text
    asked: dict[str, Any] = answer.json()
    return asked


async def read(here: World, plan_id: str) -> dict[str, Any]:
    answer = await here.client.get(f"/api/v1/plans/{plan_id}", headers=here.as_("operator"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def until(here: World, plan_id: str, *states: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (found := await read(here, plan_id))["state"] not in states:
            await asyncio.sleep(0.05)
    return found


async def ended(here: World, plan_id: str) -> dict[str, Any]:
    return await until(here, plan_id, "done", "failed", "cancelled")


async def assert_drawn(here: World, plan_id: str) -> None:
    url = f"/api/v1/plans/{plan_id}/picture"
    picture = await here.client.get(url, headers=here.as_("operator"))
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert picture.content.startswith(b"\x89PNG\r\n\x1a\n")


class Endless:
    """A solver that never ends, and counts how many run at once."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    async def __call__(
        self, request: PlanRequest, on_progress: child.OnProgress
    ) -> dict[str, object]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await on_progress({"stage": "for ever"})
            await asyncio.Event().wait()
        finally:
            self.now -= 1
        return {}


async def test_a_plan_is_asked_for_solved_and_explained(here: World) -> None:
    asked = await ask(here, gamma=2)
    assert asked["state"] == "waiting"
    assert asked["requested_by"] == "operator"
    assert asked["summary"]["rows"] == 3
    done = await ended(here, asked["id"])
    assert (done["state"], done["reason"]) == ("done", "")
    plan = done["result"]["plan"]
    assert done["result"]["meaning"] == "optimal"
    assert plan["power"]["total_w"] > 0
    on = {node["name"] for node in plan["nodes"] if node["switch_on"]}
    assert {"pop", "home"} <= on

    why = f"/api/v1/plans/{asked['id']}/why"
    told = await here.client.get(why, params={"node": "home"}, headers=here.as_("operator"))
    assert told.status_code == 200
    assert any("homes hang on it" in text for text in told.json()["node"]["why"])
    told = await here.client.get(why, params={"end": "cell-1"}, headers=here.as_("operator"))
    host = told.json()["host"]
    flows = told.json()["flows"]
    assert flows
    assert all(flow["path"][-1] == host for flow in flows)
    assert all(flow["why"] for flow in flows)
    told = await here.client.get(why, params={"node": "nowhere"}, headers=here.as_("operator"))
    assert (told.status_code, told.json()["code"]) == (404, "umbel.not_in_plan")

    await assert_drawn(here, asked["id"])
    listed = await here.client.get("/api/v1/plans", headers=here.as_("operator"))
    assert [(one["id"], one["state"], one["result"]) for one in listed.json()] == [
        (asked["id"], "done", None)
    ]


async def test_a_front_is_data_and_comes_point_by_point(here: World) -> None:
    asked = await ask(here, points=4, variant="virca2")
    done = await ended(here, asked["id"])
    assert done["state"] == "done", done["reason"]
    front = done["result"]["front"]
    assert len(front) == 4
    qoe = [point["qoe"] for point in front]
    assert qoe == sorted(qoe)
    ideal = [point["power_w"] for point in front if point["ideal"]]
    assert ideal == sorted(ideal)
    changes = await here.system.journal.since(0)
    steps = [change.body for change in changes if change.kind == "plan"]
    assert [step["state"] for step in steps][:2] == ["waiting", "running"]
    assert steps[-1]["state"] == "done"
    await assert_drawn(here, asked["id"])


async def test_everything_wrong_is_told_at_once(here: World) -> None:
    network = yaml.safe_load(plan_files.NETWORK)
    network["nodes"].append({"name": "home", "planner": {"access": "fixed"}})
    network["nodes"].append({"name": "island", "planner": {"access": "fixed", "storage_gb": -1}})
    rows = [*plan_files.rows(), {"end": "pop", "content": "c", "resolution": "9p", "parallel": -2}]
    rows.append({"end": "home", "content": "d", "resolution": "360p", "parallel": -2})
    answer = await here.client.post(
        "/api/v1/plans",
        json={"network": network, "demand": rows, "gamma": 1},
        headers=here.as_("operator"),
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "umbel.bad_plan_request")
    problems = answer.json()["details"]["problems"]
    for part in ("named twice", "storage_gb is -1.0", "resolution is '9p'", "parallel is -2.0"):
        assert any(part in problem for problem in problems), part


async def test_an_infeasible_floor_is_a_result_that_names_what_is_short(here: World) -> None:
    asked = await ask(here, qoe="999")
    done = await ended(here, asked["id"])
    assert done["state"] == "done"
    assert done["result"]["meaning"] == "infeasible"
    assert done["result"]["plan"] is None
    assert [one["family"] for one in done["result"]["binding"]] == ["(5a)"]
    url = f"/api/v1/plans/{asked['id']}/picture"
    nothing = await here.client.get(url, headers=here.as_("operator"))
    assert (nothing.status_code, nothing.json()["code"]) == (409, "umbel.plan_not_ready")
    told = await here.client.get(
        f"/api/v1/plans/{asked['id']}/why", params={"node": "pop"}, headers=here.as_("operator")
    )
    assert (told.status_code, told.json()["code"]) == (409, "umbel.plan_not_ready")


async def test_operators_alone_may_plan(here: World) -> None:
    for who in ("city", "viewer"):
        answer = await here.client.get("/api/v1/plans", headers=here.as_(who))
        assert answer.status_code == 403
    answer = await here.client.post("/api/v1/plans", json={})
    assert answer.status_code == 401


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes find `support.works` too."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=os.pathsep)


@pytest.mark.usefixtures("odd")
async def test_cancelling_stops_the_process_and_forgets_what_is_over(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "TARGET", "support.works:stuck")
    asked = await ask(here)
    async with asyncio.timeout(60):
        while "pid" not in (progress := (await read(here, asked["id"]))["progress"]):
            await asyncio.sleep(0.05)
    assert Path(f"/proc/{progress['pid']}").exists()
    path = f"/api/v1/plans/{asked['id']}"
    answer = await here.client.delete(path, headers=here.as_("operator"))
    assert answer.status_code == 204
    assert (await read(here, asked["id"]))["state"] == "cancelled"
    assert not Path(f"/proc/{progress['pid']}").exists()
    await here.client.delete(path, headers=here.as_("operator"))
    gone = await here.client.get(path, headers=here.as_("operator"))
    assert (gone.status_code, gone.json()["code"]) == (404, "umbel.no_such_plan")


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(
    ("work", "reason"),
    [("broken", "no solver today"), ("killed", "by signal 11"), ("missing", "no attribute")],
)
async def test_a_crash_is_a_failed_plan_with_its_reason(
    here: World, monkeypatch: pytest.MonkeyPatch, work: str, reason: str
) -> None:
    monkeypatch.setattr(child, "TARGET", f"support.works:{work}")
    asked = await ask(here)
    found = await ended(here, asked["id"])
    assert found["state"] == "failed"
    assert reason in found["reason"]


async def test_few_are_solved_at_once_and_few_may_wait(here: World) -> None:
    endless = Endless()
    here.system.plans.solver = endless
    asked = [await ask(here) for _ in range(MOST_ACTIVE)]
    await until(here, asked[0]["id"], "running")
    refused = await here.client.post(
        "/api/v1/plans",
        json={"network": NETWORK, "demand": plan_files.rows()},
        headers=here.as_("operator"),
    )
    assert (refused.status_code, refused.json()["code"]) == (503, "umbel.too_many_plans")
    assert "Retry-After" in refused.headers
    # The next one begins when the first is cancelled.
    await here.system.plans.cancel(asked[0]["id"])
    await until(here, asked[1]["id"], "running")
    assert endless.most == 1


async def test_stopping_the_control_plane_fails_what_it_was_solving(here: World) -> None:
    here.system.plans.solver = Endless()
    asked = await ask(here)
    await until(here, asked["id"], "running")
    await here.system.plans.close()
    found = await read(here, asked["id"])
    assert (found["state"], found["reason"]) == ("failed", "the control plane was stopped")


async def test_what_nobody_cares_for_is_buried(here: World) -> None:
    store = here.system.plans.store
    here.system.plans.solver = Endless()
    asked = await ask(here)
    await until(here, asked["id"], "running")
    later_s = here.system.clock.now_s() + 1000
    await store.fail_abandoned(unseen_since_s=later_s, at_s=later_s)
    assert (await read(here, asked["id"]))["state"] == PlanState.FAILED


@pytest.fixture
async def watched(sqlite: Database, tmp_path: Path) -> AsyncIterator[World]:
    """A platform on which two watch an event."""

    async def audience() -> tuple[Mapping[str, object], ...]:
        row = {"end": "pe4", "content": "ev_1", "resolution": "720p", "parallel": 2.0}
        return ({**row, "watch_s": 60.0, "size_gb": 0.02},)

    system = make_system(sqlite, tmp_path)
    system.plans.watched = audience
    async with world(system, static=tmp_path / "no-build") as made:
        yield made


async def test_the_platforms_own_network_is_planned_for_what_is_watched(watched: World) -> None:
    answer = await watched.client.post(
        "/api/v1/plans", json={"demand": "live"}, headers=watched.as_("operator")
    )
    assert answer.status_code == 202, answer.text
    done = await ended(watched, answer.json()["id"])
    assert done["state"] == "done", done["reason"]
    plan = done["result"]["plan"]
    assert {node["name"] for node in plan["nodes"]} >= {"pe1", "c1"}
    assert {one["end"] for one in plan["services"]} == {"pe4"}
    assert json.dumps(done)
