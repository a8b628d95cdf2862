"""The demo under the policy `virca`: a hurried planner, small nodes, crowds that come and go.

In: the platform's REST. Out: settings of `umbel serve`, and a crowd's sessions. It only asks,
so that one machine can bear it; nothing is sent to the crowd.
"""

import asyncio
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from umbel.demo.model import VIRCA, VIRCA_NODE_MBPS
from umbel.demo.stage import DemoFailed

TOKEN = "UMBEL_DEMO_TOKEN"  # noqa: S105 -- a variable's name
"""Holds an operator's token for the self-check."""
HURRIED: Mapping[str, str] = {
    "UMBEL_PLAN_SAMPLE_S": "4",
    "UMBEL_PLAN_RCA_S": "5",
    "UMBEL_PLAN_VIRCA_S": "30",
    "UMBEL_NODE_WAKE_S": "2",
}
"""The paper's minutes as seconds."""
CROWD_AT = "pe4"
_CROWDED = 1.5
_MOST = 150
_QUIET_S, _CROWDED_S = 60.0, 30.0

Sessions = list[dict[str, Any]]


def settings(policy: str) -> Mapping[str, str]:
    """Of the platform's environment. What is set already is left."""
    unset = {name: value for name, value in HURRIED.items() if name not in os.environ}
    return unset if policy == VIRCA else {}


async def come(api: httpx.AsyncClient, event: str) -> Sessions:
    """A crowd's sessions, asked for at once: more than the nodes that are on can serve, by half a
    node. Raises DemoFailed when anybody is refused."""
    stream = (await api.get(f"/api/v1/events/{event}")).json()["stream"] or {}
    mbps = float(stream.get("mbps") or 2.0)
    size = min(_MOST, math.ceil(_CROWDED * VIRCA_NODE_MBPS / mbps))
    path, wish = f"/api/v1/events/{event}/sessions", {"access_node": CROWD_AT}
    answers = await asyncio.gather(*(api.post(path, json=wish) for _ in range(size)))
    for answer in answers:
        if answer.is_error:
            raise DemoFailed(f"one of a crowd of {size} was refused: {answer.text}")
    return [answer.json() for answer in answers]


async def go(api: httpx.AsyncClient, crowd: Sessions) -> None:
    """The crowd leaves."""
    for one in crowd:
        holder = {"Authorization": f"Bearer {one['token']}"}
        answer = await api.delete(f"/api/v1/sessions/{one['id']}", headers=holder)
        if answer.is_error and answer.status_code != httpx.codes.NOT_FOUND:
            raise DemoFailed(f"a viewer could not leave: {answer.text}")


@dataclass
class Tides:
    """Crowds come and go while the demo is shown; `said` is what to tell of them."""

    api: httpx.AsyncClient
    event: str
    said: str = ""
    crowds: int = field(default=0)

    async def run(self) -> None:
        """Until cancelled. Reports a crowd that is refused, and sends another one."""
        while True:
            self.said = f"a crowd comes to {CROWD_AT} every {_QUIET_S + _CROWDED_S:.0f} s"
            await asyncio.sleep(_QUIET_S)
            try:
                crowd = await come(self.api, self.event)
                self.crowds += 1
                edges = ", ".join(sorted({one["edge"] for one in crowd}))
                self.said = f"a crowd of {len(crowd)} asked at {CROWD_AT}, served at {edges}"
                await asyncio.sleep(_CROWDED_S)
                await go(self.api, crowd)
            except (DemoFailed, httpx.HTTPError) as error:
                self.said = f"crowd: {error}"
                await asyncio.sleep(_QUIET_S)
