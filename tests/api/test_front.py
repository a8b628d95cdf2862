"""What holds for every path: the error form, body limits, health, meters, the web app."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from support.http import World, make_system, world
from support.waiting import until
from umbel.compute.model import HostUsage
from umbel.kit.config import Settings
from umbel.kit.db import Database
from umbel.kit.listening import bind


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "umbel.no_such_path"),
        ("GET", "/api", 404, "umbel.no_such_path"),
        ("POST", "/api/v2/events", 404, "umbel.no_such_path"),
        ("GET", "/api/v1/events/", 404, "umbel.no_such_path"),
        ("GET", "/oauth/other", 404, "umbel.no_such_path"),
        ("PUT", "/api/v1/events", 405, "umbel.method_not_allowed"),
        ("DELETE", "/healthz", 405, "umbel.method_not_allowed"),
        ("POST", "/calendar", 405, "umbel.method_not_allowed"),
        ("GET", "/api/v1/events/ev_0", 404, "umbel.no_such_event"),
    ],
)
async def test_every_refusal_has_the_same_form(
    here: World, method: str, path: str, status: int, code: str
) -> None:
    answer = await here.client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"code", "message", "details"}
    assert answer.json()["code"] == code
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    "body", ["{", "[]", "7", '{"name": "\\ud800", "\\ud800": 1}', "[" * 50_000]
)
async def test_a_body_that_is_not_what_was_asked(here: World, body: str) -> None:
    headers = here.as_("operator") | {"Content-Type": "application/json"}
    answer = await here.client.post("/api/v1/providers", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"code", "message", "details"}


async def test_a_told_length_over_the_limit_is_refused_unread(here: World) -> None:
    most = here.system.settings.max_body_bytes
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append(1)
        yield b"x"

    headers = here.as_("operator") | {"Content-Length": str(most + 1)}
    answer = await here.client.post("/api/v1/providers", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "umbel.too_large")


@pytest.mark.parametrize("path", ["/api/v1/providers", "/api/v1/events/{}/ingest/rtp"])
async def test_an_untold_length_over_the_limit_is_refused(here: World, path: str) -> None:
    event = await here.event()
    most = here.system.settings.max_body_bytes

    async def body() -> AsyncIterator[bytes]:
        for _ in range(most // 1000 + 1):
            yield b"x" * 1000

    media = "application/sdp" if path.endswith("rtp") else "application/json"
    headers = here.as_("operator") | {"Content-Type": media}
    answer = await here.client.post(path.format(event.id), content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "umbel.too_large")


async def test_a_body_at_the_limit_is_read(here: World) -> None:
    most = here.system.settings.max_body_bytes
    body = b'{"name": "A", "access_node": "pe1"}'.ljust(most)
    headers = here.as_("operator") | {"Content-Type": "application/json"}
    answer = await here.client.post("/api/v1/providers", content=body, headers=headers)
    assert answer.status_code == 201


async def test_health(here: World) -> None:
    assert (await here.client.get("/healthz")).json() == {"status": "ok"}
    assert (await here.client.get("/readyz")).json() == {"status": "ready", "loops": {}}


async def test_not_ready_once_the_feed_has_stopped(here: World) -> None:
    await here.app.state.feed.stop()
    answer = await here.client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "umbel.not_ready")
    assert answer.json()["details"] == {"database": True, "feed": False}
    assert (await here.client.get("/healthz")).status_code == 200


async def test_machines_and_ports_are_metered_where_they_are_measured(here: World) -> None:
    usage = HostUsage(host="h1", cores=8, cores_used=1.5, memory_mb=4000, memory_used_mb=900)
    here.system.nodes.measure("pe1", usage)
    lines = (await here.client.get("/metrics")).text.splitlines()
    assert 'umbel_host_cores_used{node="pe1"} 1.5' in lines
    assert 'umbel_host_memory_used_mebibytes{node="pe1"} 900.0' in lines
    assert 'umbel_port_mbps_sent{a="pe1",b="c1"} 2.5' in lines
    for absent in ('a="c1",b="pe1"', 'host_cores_used{node="c1"'):
        assert not any(absent in line for line in lines)
    told = (await here.client.get("/api/v1/nodes", headers=here.as_("operator"))).json()
    shown = {node["name"]: node["host"] for node in told}
    assert (shown["pe1"], shown["c1"]) == (asdict(usage), None)


async def test_meters(here: World) -> None:
    event = await here.open_event()
    await here.client.post(f"/api/v1/events/{event.id}/sessions")
    await here.client.get(f"/api/v1/events/{event.id}")
    await here.client.get("/made/up/by/a/client")
    await here.client.request("BREW", "/api/v1/events")
    answer = await here.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    route = 'route="/api/v1/events/{event_id}"'
    assert f'umbel_http_requests_total{{method="GET",{route},status="200"}} 1.0' in lines
    assert f'umbel_http_request_seconds_count{{method="GET",{route}}} 1.0' in lines
    assert 'umbel_http_requests_total{method="GET",route="other",status="200"} 1.0' in lines
    assert 'umbel_events{state="open"} 1.0' in lines
    assert 'umbel_events{state="live"} 0.0' in lines
    assert 'umbel_functions{role="edge",state="active"} 1.0' in lines
    assert 'umbel_viewers{node="pe4"} 1.0' in lines
    assert "made" not in answer.text
    assert "BREW" not in answer.text
    assert event.id not in answer.text


async def test_meters_are_nobodys_by_default(sqlite: Database, tmp_path: Path) -> None:
    assert Settings().metrics == "off"
    async with world(make_system(sqlite, tmp_path, metrics="off")) as here:
        answer = await here.client.get("/metrics", headers=here.as_("operator"))
    assert (answer.status_code, answer.json()["code"]) == (404, "umbel.no_such_path")


async def test_meters_with_a_token(sqlite: Database, tmp_path: Path) -> None:
    token = "of the scraper, long"
    system = make_system(sqlite, tmp_path, metrics="token", metrics_token=token)
    async with world(system) as here:
        for given, status in (
            ("Basic eA==", 401),
            ("Bearer of the scraper, lonG", 401),
            ("Bearer \xe9", 401),
            (here.as_("operator")["Authorization"], 401),
            (f"bearer {token}", 200),
        ):
            headers = {b"Authorization": given.encode("latin-1")}
            answer = await here.client.get("/metrics", headers=headers)
            assert answer.status_code == status
    with pytest.raises(ValidationError):
        Settings(metrics="token", metrics_token="short")
    with pytest.raises(ValidationError):
        Settings(metrics="token")


async def test_the_api_describes_itself(here: World) -> None:
    described = (await here.client.get("/openapi.json")).json()
    for path, item in described["paths"].items():
        for operation in item.values():
            refusals = [s for s in operation["responses"] if int(s) >= 400]
            assert refusals, path
            for status in refusals:
                schema = operation["responses"][status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, (path, status)


async def test_without_a_build_the_first_page_says_how_to_make_one(here: World) -> None:
    answer = await here.client.get("/")
    assert answer.status_code == 200
    assert "make web" in answer.text


SUFFIXES = {None: "", "br": ".br", "gzip": ".gz"}
FILES: dict[str, dict[str | None, bytes]] = {
    "main-1a2b.js": {None: b"let x", "br": b"as brotli", "gzip": gzip.compress(b"let x")},
    "part-3c4d.js": {None: b"let y", "gzip": gzip.compress(b"let y")},
}


@pytest.fixture
async def built(sqlite: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>the app</title>")
    (folder / "docs.html").write_text("<title>the api</title>")
    for name, codings in FILES.items():
        for coding, body in codings.items():
            (folder / "assets" / f"{name}{SUFFIXES[coding]}").write_bytes(body)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secret.txt.gz").write_text("secret")
    async with world(make_system(sqlite, tmp_path), static=folder) as made:
        yield made.client


@pytest.mark.parametrize("path", ["/", "/calendar", "/watch/ev_1", "/index.html"])
async def test_the_apps_own_paths_are_its_first_page(built: httpx.AsyncClient, path: str) -> None:
    answer = await built.get(path)
    assert answer.status_code == 200
    assert "the app" in answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"


async def test_the_apis_page_is_ours_and_loads_nothing_from_elsewhere(
    built: httpx.AsyncClient,
) -> None:
    page = await built.get("/docs")
    assert (page.status_code, page.text) == (200, "<title>the api</title>")
    assert "default-src 'self'" in page.headers["content-security-policy"]


async def test_hashed_files_are_kept_for_ever_and_missing_ones_are_missing(
    built: httpx.AsyncClient,
) -> None:
    script = await built.get("/assets/main-1a2b.js", headers={"Accept-Encoding": "identity"})
    assert script.text == "let x"
    assert "immutable" in script.headers["cache-control"]
    missing = await built.get("/assets/main-old.js")
    assert (missing.status_code, missing.json()["code"]) == (404, "umbel.no_such_path")
    assert (await built.head("/")).status_code == 200


@pytest.mark.parametrize(
    ("file", "accepted", "coding"),
    [
        ("main-1a2b.js", "gzip, deflate, br, zstd", "br"),
        ("main-1a2b.js", "gzip;q=1, br;q=0", "gzip"),
        ("main-1a2b.js", "identity", None),
        ("part-3c4d.js", "gzip, br", "gzip"),
        ("part-3c4d.js", "br", None),
    ],
)
async def test_files_go_out_as_the_build_compressed_them(
    built: httpx.AsyncClient, file: str, accepted: str, coding: str | None
) -> None:
    headers = {"Accept-Encoding": accepted}
    async with built.stream("GET", f"/assets/{file}", headers=headers) as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert raw == FILES[file][coding]
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "immutable" in answer.headers["cache-control"]
    headers["If-None-Match"] = answer.headers["etag"]
    unchanged = await built.get(f"/assets/{file}", headers=headers)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["vary"] == "Accept-Encoding"


async def test_each_coding_has_its_own_etag(built: httpx.AsyncClient) -> None:
    tags = set()
    for accepted in ("br", "gzip", "identity"):
        headers = {"Accept-Encoding": accepted}
        tags.add((await built.head("/assets/main-1a2b.js", headers=headers)).headers["etag"])
    assert len(tags) == 3


async def test_answers_of_the_api_are_not_compressed(built: httpx.AsyncClient) -> None:
    """What holds a secret next to what a request can choose must keep its size (BREACH)."""
    answer = await built.get("/openapi.json", headers={"Accept-Encoding": "br, gzip"})
    assert len(answer.content) > 10_000
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/%00",
        "/" + "x" * 5000,
    ],
)
async def test_nothing_outside_the_folder_is_served(built: httpx.AsyncClient, path: str) -> None:
    answer = await built.get(path)
    assert answer.status_code in (200, 404)
    assert "secret" not in answer.text


async def test_the_api_keeps_its_paths_beside_the_app(built: httpx.AsyncClient) -> None:
    answer = await built.get("/api/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "umbel.no_such_path")


async def test_responses_are_not_held_back_for_acknowledgements() -> None:
    accepted: list[socket.socket] = []

    class Noting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.append(transport.get_extra_info("socket"))

    listening = bind("127.0.0.1", 0)
    server = await asyncio.get_running_loop().create_server(Noting, sock=listening)
    async with server:
        _, writer = await asyncio.open_connection(*listening.getsockname())

        async def arrived() -> bool:
            return bool(accepted)

        await until(arrived)
        assert accepted[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()
        await writer.wait_closed()
