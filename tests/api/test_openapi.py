"""Our own description of the API, tried by schemathesis against real uvicorn: nothing we say of it
is untrue, and nothing that may be sent makes it fail.

Left out by name: /api/v1/state, whose response has no end (test_state.py reads it), and
/api/v1/me/tokens, which ends the token that the others ask with (test_web_session.py).
"""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.openapi import from_url
from schemathesis.specs.openapi.checks import positive_data_acceptance

from support import databases, plan_files
from support.http import World, make_system, serving, world
from support.switchboard import MemoryBridges, sites
from support.switchboard import World as Wires
from umbel.kit.clock import SystemClock
from umbel.kit.db import Database
from umbel.network.drivers.openflow.fabric import OpenFlowFabric
from umbel.network.drivers.openflow.settings import OpenFlowSettings
from umbel.network.edge.virtual_services import Surrogate, VirtualService
from umbel.network.overlay.spanning import Drawing
from umbel.network.slices.admission import Grade, SliceRequest
from umbel.notify.model import Kind
from umbel.plans import child
from umbel.plans.model import PlanRequest
from umbel.portal.app import create_app

EVENTS = 12
VIDEO = VirtualService(
    name="video",
    address="",
    port=80,
    surrogates=(Surrogate(name="a", node="pe1", address="10.97.1.1", port=80),),
)
LEFT_OUT = {"/api/v1/state", "/api/v1/me/tokens"}
PLAN = PlanRequest(
    document=yaml.safe_load(plan_files.NETWORK), rows=tuple(plan_files.rows()), gamma=1.0
)


@schemathesis.serializer("application/sdp")
def _sdp(_context: schemathesis.SerializationContext, value: object) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


@schemathesis.serializer("application/offset+octet-stream")
def _octets(_context: schemathesis.SerializationContext, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


async def _nothing(request: PlanRequest, on_progress: child.OnProgress) -> dict[str, object]:
    return {"plan": {"nodes": [{"name": "pop", "why": []}], "hosts": {}, "flows": []}}


@dataclass
class Front:
    """A front end in a thread of its own, with something to be found in it."""

    folder: Path
    base: str = ""
    operator: dict[str, str] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()

    def aim(self, case: schemathesis.Case) -> None:
        """Most made-up names are of nothing: have two of three calls find something."""
        for name, value in (case.path_parameters or {}).items():
            draw = crc32(str(value).encode("utf-8", "surrogatepass"))
            if draw % 3 and name in self.ids:
                there = self.ids[name]
                case.path_parameters[name] = there[draw % len(there)]

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        database = Database(f"sqlite:///{self.folder / 'umbel.db'}", durable=False)
        wires = Wires(sites(("pe1", "c1", "pe4"), (("pe1", "c1"), ("c1", "pe4"))))
        drawing, terms = (
            Drawing(roles={}, links=()),
            OpenFlowSettings(host="127.0.0.1", adopt_s=0.0),
        )
        fabric = OpenFlowFabric(
            wires.sites, drawing, MemoryBridges(wires), wires.board, terms, SystemClock()
        )
        await fabric.start()
        try:
            await databases.prepare(database)
            system = make_system(database, self.folder, fabric)
            await system.network.edge.start()
            system.delivery.places = 1_000_000
            system.plans.solver = _nothing
            async with (
                world(system, served=True) as here,
                serving(here.app) as (_server, self.base),
            ):
                await self._fill(here)
                self._ready.set()
                await self._stop.wait()
        finally:
            await fabric.close()
            await database.close()

    async def _items(self, here: World) -> list[str]:
        repository = here.system.repository
        return [(await repository.create(here.city.id, {"title": "a"})).id for _ in range(8)]

    async def _fill(self, here: World) -> None:
        events = [(await here.open_event()).id for _ in range(EVENTS)]
        sessions = [(await here.system.delivery.open_session(e, "pe4")).session.id for e in events]
        held = [
            await here.system.network.slices.open(SliceRequest(grade=Grade.GOLD, stream=event))
            for event in events[:3]
        ]
        self.ids = {
            "slice_id": [one.granted.id for one in held],
            "event_id": events,
            "session_id": sessions,
            "provider_id": [here.city.id, here.club.id],
            "node": ["pe1"],
            "address": ["10.202.1.10"],
            "name": ["video"],
            "item_id": await self._items(here),
            "username": ["viewer", "city", "club"],
            "plan_id": [(await here.system.plans.submit(PLAN, by="operator")).id for _ in range(8)],
        }
        uploads = [await here.system.files.begin(here.city.id, 5, "") for _ in range(8)]
        self.ids["upload_id"] = self.ids["file_id"] = [one.item.id for one in uploads]
        await here.system.network.edge.offer(VIDEO)
        callbacks = [await here.system.notifier.register("http://a", [Kind.LINK_UP]) for _ in "ab"]
        self.ids["subscriber_id"] = [subscriber.id for subscriber, _ in callbacks]
        self.operator = here.as_("operator")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    made = Front(tmp_path_factory.mktemp("portal"))
    made.start()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def described(front: Front) -> schemathesis.BaseSchema:
    """A list that is too long may be refused for the size of the body."""
    refused = {"expected-statuses": [400, 401, 403, 404, 409, 413, 415, 422, 429, "5xx"]}
    config = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": refused}})
    return from_url(f"{front.base}/openapi.json", config=config)


def operations() -> list[tuple[GenerationMode, str, str]]:
    """Every (mode, path, method) the API describes, read off an app that is never run. Wrong data
    is sent where a schema can tell it: any text is a good name for a thing that is not there."""
    app = create_app(make_system(Database("sqlite:///never-opened"), Path()))
    found = []
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items() if path not in LEFT_OUT else ():
            found.append((GenerationMode.POSITIVE, path, method))
            parts = {parameter["in"] for parameter in operation.get("parameters", ())}
            if "requestBody" in operation or "query" in parts:
                found.append((GenerationMode.NEGATIVE, path, method))
    return found


@pytest.mark.parametrize(("mode", "path", "method"), operations())
def test_what_is_described_is_what_happens(
    front: Front, described: schemathesis.BaseSchema, mode: GenerationMode, path: str, method: str
) -> None:
    strategy = described[path][method.upper()].as_strategy(generation_mode=mode)

    @settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def holds(case: schemathesis.Case) -> None:
        front.aim(case)
        # Not checked: that data which fits the schema is accepted, because JSON Schema cannot
        # say that an end comes after its start.
        case.call_and_validate(headers=front.operator, excluded_checks=[positive_data_acceptance])

    holds()
