"""The client of API servers, against one that lies, stays silent, refuses or is not there."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("lightkube", reason="lightkube is not installed (the extra kubernetes)")

from support.certificates import Authority
from support.vim_worlds import until
from umbel.compute.clusters.model import (
    ClusterDenied,
    ClusterFailed,
    ClusterNode,
    ClusterUnreachable,
    Credentials,
)
from umbel.compute.drivers.kubernetes import client as driver
from umbel.compute.drivers.kubernetes import transport
from umbel.compute.drivers.kubernetes.client import ClusterClient
from umbel.compute.drivers.kubernetes.transport import WATCH_EVERY_S
from umbel.compute.ports import CannotRun, MachineFull
from umbel.kit.clock import SystemClock
from umbel.kit.errors import UmbelError

TOKEN = "t0ken-of-a-test"


class LyingServer:
    """An API server over TLS that gives each request the same answer. `heard` are the requests."""

    def __init__(self) -> None:
        self.authority = Authority()
        self.status, self.body, self.is_silent = 200, b"{}", False
        self.content_type = "application/json"
        self.heard: list[str] = []
        self.port = 0

    def there(self, **changes: Any) -> ClusterNode:
        """A cluster's node whose API server this is."""
        credentials = {
            "server": f"https://127.0.0.1:{self.port}",
            "authority": self.authority.pem,
            "token": TOKEN,
        }
        return ClusterNode(
            name="town",
            machine="worker-1",
            image="registry.example/umbel:1",
            credentials=Credentials(**{**credentials, **changes}),
        )

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heard.append(head)
                length = [line for line in head.lower().split("\r\n") if "content-length" in line]
                if length:
                    await reader.readexactly(int(length[0].split(":")[1]))
                if self.is_silent:
                    continue
                lines = [
                    f"HTTP/1.1 {self.status} Said",
                    f"Content-Length: {len(self.body)}",
                    *([f"Content-Type: {self.content_type}"] if self.content_type else []),
                ]
                writer.write("\r\n".join([*lines, "", ""]).encode() + self.body)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()


@asynccontextmanager
async def listening(made: LyingServer, folder: Path) -> AsyncIterator[None]:
    certificate, key = made.authority.server("127.0.0.1")
    (folder / "server.pem").write_text(certificate + key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LyingServer]:
    made = LyingServer()
    async with listening(made, tmp_path):
        yield made


@asynccontextmanager
async def client(there: ClusterNode, within_s: float = 60.0) -> AsyncIterator[ClusterClient]:
    made = ClusterClient(there, {"a": "b"}, within_s, SystemClock())
    try:
        yield made
    finally:
        await made.close()


async def changes(asked: ClusterClient, within_s: float = 0.05) -> None:
    """Hear of changes for a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            async for _ in asked.changes("1"):
                pass


def status(code: int, message: str) -> bytes:
    return json.dumps({"kind": "Status", "code": code, "message": message}).encode()


async def test_the_token_and_the_labels_are_sent(server: LyingServer) -> None:
    server.body = b'{"items": [], "metadata": {"resourceVersion": "7"}}'
    async with client(server.there()) as asked:
        assert await asked.pods() == ({}, "7")
    (head,) = server.heard
    assert f"Bearer {TOKEN}" in head
    assert head.startswith("GET /api/v1/namespaces/umbel/pods?")
    assert "labelSelector=a%3Db" in head


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (401, "Unauthorized", ClusterDenied),
        (403, 'pods is forbidden: User "x" cannot list', ClusterDenied),
        (403, "exceeded quota: few, requested: pods=1", MachineFull),
        (422, 'Pod "x" is invalid: spec.containers[0].image', CannotRun),
        (409, 'pods "x" already exists', ClusterFailed),
        (500, "etcdserver: request timed out", ClusterFailed),
    ],
)
async def test_a_refusal_has_its_reason(
    server: LyingServer, code: int, message: str, error: type[UmbelError]
) -> None:
    server.status, server.body = code, status(code, message)
    async with client(server.there()) as asked:
        with pytest.raises(error) as refused:
            await asked.pods()
    assert refused.value.message.startswith("town: ")
    assert code == 401 or message in refused.value.message
    assert TOKEN not in str(refused.value)


async def test_what_answers_no_api_is_named(server: LyingServer) -> None:
    server.status, server.body, server.content_type = 502, b"<html>", "text/html"
    async with client(server.there()) as asked:
        with pytest.raises(ClusterFailed, match="answered 502"):
            await asked.pods()


async def test_one_that_is_silent_is_not_waited_for(server: LyingServer) -> None:
    server.is_silent = True
    async with client(server.there(), within_s=0.3) as asked:
        with pytest.raises(ClusterUnreachable, match="cannot be reached"):
            await asked.pods()


async def test_one_that_is_not_there_is_named(server: LyingServer) -> None:
    async with client(server.there(server="https://127.0.0.1:1")) as asked:
        with pytest.raises(ClusterUnreachable, match="town cannot be reached"):
            await asked.pods()


async def test_a_server_of_another_authority_is_not_trusted(server: LyingServer) -> None:
    async with client(server.there(authority=Authority().pem)) as asked:
        with pytest.raises(ClusterUnreachable, match="certificate verify failed"):
            await asked.pods()
    assert server.heard == []


async def test_without_a_service_account_it_says_so(server: LyingServer) -> None:
    with pytest.raises(ClusterDenied, match="no service account here"):
        ClusterClient(server.there(is_own=True), {}, 1.0, SystemClock())


async def test_a_service_account_signs_in_also_after_its_token_was_replaced(
    server: LyingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "token": "the-first",
        "namespace": "elsewhere",
        "ca.crt": server.authority.pem,
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(driver, "SERVICE_ACCOUNT", str(tmp_path))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    server.body = b'{"items": [], "metadata": {"resourceVersion": "7"}}'
    async with client(server.there(is_own=True)) as asked:
        await asked.pods()
        server.status, server.body = 401, status(401, "Unauthorized")
        (tmp_path / "token").write_text("the-second")
        with pytest.raises(ClusterDenied):
            await asked.pods()
    used = ["the-second" if "Bearer the-second" in head else "old" for head in server.heard]
    assert used == ["old", "old", "the-second"]
    assert all("/namespaces/umbel/pods" in head for head in server.heard)


async def test_a_watch_that_ends_at_once_is_asked_for_again_after_a_pause(
    server: LyingServer,
) -> None:
    server.body = b""
    async with client(server.there()) as asked:
        began = SystemClock().monotonic_s()
        hearing = asyncio.create_task(changes(asked, within_s=60))
        await until(lambda: len(server.heard) == 3, what="asked again")
        assert SystemClock().monotonic_s() - began > 2 * WATCH_EVERY_S
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


async def test_an_answer_is_not_read_without_end(
    server: LyingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MOST_BYTES", 1 << 20)
    server.body = b" " * ((1 << 20) + 1)
    async with client(server.there()) as asked:
        with pytest.raises(ClusterUnreachable, match="more than 1 MB"):
            await asked.pods()


def pod(**metadata: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": "a", "uid": "u", **metadata}}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=8), v, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(
    st.sampled_from(
        ["metadata", "spec", "status", "items", "kind", "code", "message", "type", "usage"]
    ),
    VALUES
    | st.dictionaries(
        st.sampled_from(
            ["annotations", "conditions", "containerStatuses", "uid", "phase", "allowed"]
        ),
        VALUES,
    ),
)
ANSWERS = st.binary(max_size=40) | FIELDS.map(lambda one: json.dumps(one).encode())


def test_whatever_it_says_the_errors_are_ours(tmp_path: Path) -> None:
    """An answer that does not fit the API is refused; nothing else comes out of the client."""
    made = LyingServer()

    async def ask() -> None:
        async with client(made.there()) as asked:
            for call in (
                asked.pods(),
                asked.pod("a"),
                asked.machine(),
                asked.machine_usage(),
                asked.pods_usage(),
                asked.may("get", "pods", "umbel"),
                asked.create_pod(pod()),
                asked.create_secret({"metadata": {"name": "a"}}),
                asked.delete_pod("a"),
                asked.delete_secrets(),
                changes(asked),
            ):
                try:
                    async with asyncio.timeout(60):
                        await call
                except UmbelError as error:
                    assert error.message

    @given(ANSWERS, st.sampled_from([200, 200, 404, 500]), st.booleans())
    def answer(body: bytes, code: int, has_type: bool) -> None:
        made.status, made.body = code, body
        made.content_type = "application/json" if has_type else ""
        runner.run(ask())

    with asyncio.Runner() as runner:
        up = listening(made, tmp_path)
        runner.run(up.__aenter__())
        answer()
        runner.run(up.__aexit__(None, None, None))
