"""The demo's processes: the platform and the encoder, started and ended by pid.

The demo is a client of the platform like any other: everything after `start` goes over REST.
"""

import asyncio
import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from umbel.catalogue.model import UserRole
from umbel.demo.model import Account
from umbel.kit.clock import SystemClock, to_rfc3339
from umbel.kit.errors import Unavailable

_START_S = 60.0
_USUAL_PORT = 8000
_STOP_S = 15.0
_EVENT_S = 12 * 3600.0
_PR_SET_PDEATHSIG = 1


class DemoFailed(Unavailable):
    """The demo could not be set up."""

    code = "umbel.demo_failed"


@dataclass(frozen=True, kw_only=True)
class Child:
    """A process of ours; it dies with us."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def tail(self) -> str:
        """The last lines it said."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-5:])

    def failure(self, what: str) -> DemoFailed:
        """What went wrong, where its log is, and how that ends."""
        return DemoFailed(f"{what}; {self.log} ends with:\n{self.tail()}")

    async def stop(self) -> None:
        """End it gently, then firmly."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def start(
    name: str, command: Sequence[str], log: Path, settings: Mapping[str, str] | None = None
) -> Child:
    """Start a child in a session of its own, so that Ctrl-C reaches only us. `settings` go into
    its environment."""
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(settings or {})},
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    return Child(name=name, process=process, log=log)


async def start_platform(
    data_dir: Path,
    *,
    port: int = 0,
    options: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> tuple[Child, str]:
    """`umbel serve` on a port (0: a free one) with more options, and its URL. Raises DemoFailed."""
    ready = data_dir / "url"
    ready.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "umbel", "serve", "--data-dir", str(data_dir)),
        *("--port", str(port), "--ready-file", str(ready), "--stop-functions-on-exit"),
        *options,
    ]
    platform = await start("platform", command, data_dir / "serve.log", settings)
    try:
        async with asyncio.timeout(_START_S):
            while not (ready.exists() and ready.read_text()):
                if platform.process.returncode is not None:
                    raise platform.failure("the platform ended")
                await asyncio.sleep(0.05)
    except TimeoutError:
        await platform.stop()
        raise platform.failure(f"the platform did not start in {_START_S:g} s") from None
    return platform, ready.read_text()


def usual_port() -> int:
    """The platform's usual port if nobody listens on it, else 0: any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", _USUAL_PORT))
        except OSError:
            return 0
    return _USUAL_PORT


async def prepare(data_dir: Path, policy: str, built_in: str = "sls") -> tuple[list[Account], Path]:
    """The accounts, and the network file of a built-in network. Raises DemoFailed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "umbel.demo.preparation", str(data_dir), policy, built_in),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )
    said, problems = await process.communicate()
    if process.returncode != 0:
        raise DemoFailed(f"the demo's accounts cannot be made: {problems.decode().strip()}")
    made = [Account(**{**one, "role": UserRole(one["role"])}) for one in json.loads(said)]
    return made, data_dir / "network.yaml"


@dataclass(frozen=True, kw_only=True)
class LiveEvent:
    """The demo's event and where its encoder pushes."""

    id: str
    ingest: Mapping[str, Any]
    stream_key: str


async def sign_in(api: httpx.AsyncClient, account: Account) -> None:
    """Ask as this account from now on."""
    form = {"grant_type": "password", "username": account.username, "password": account.password}
    token = (await done(api.post("/oauth/token", data=form))).json()["access_token"]
    api.headers["Authorization"] = f"Bearer {token}"


async def open_event(api: httpx.AsyncClient) -> LiveEvent:
    """As a provider: end what an earlier demo left, open an event and its ingest."""
    for old in (await done(api.get("/api/v1/events", params={"state": "open,live"}))).json():
        await done(api.post(f"/api/v1/events/{old['id']}/end"))
    about = "A moving pattern with a burnt-in clock and a tone, pushed over RTMP."
    event = await schedule(api, "Test pattern, live from the Town Hall", description=about)
    return await open_ingest(api, event)


async def schedule(
    api: httpx.AsyncClient, title: str, *, description: str = "", begins_in_s: float = 0.0
) -> str:
    """As a provider: an event that begins then; its id."""
    me = (await done(api.get("/api/v1/me"))).json()
    starts_s = SystemClock().now_s() + begins_in_s
    draft = {
        "provider_id": me["provider_id"],
        "title": title,
        "description": description,
        "starts_at": to_rfc3339(starts_s),
        "ends_at": to_rfc3339(starts_s + _EVENT_S),
    }
    event: str = (await done(api.post("/api/v1/events", json=draft))).json()["id"]
    return event


async def open_ingest(api: httpx.AsyncClient, event: str) -> LiveEvent:
    """As a provider: open the event for its encoder."""
    ingest = (await done(api.post(f"/api/v1/events/{event}/ingest"))).json()
    return LiveEvent(id=event, ingest=ingest, stream_key=ingest["stream_key"])


async def until_live(api: httpx.AsyncClient, event: str, encoder: Child) -> None:
    """Wait until the platform says that the event is live. Raises DemoFailed."""
    try:
        async with asyncio.timeout(_START_S):
            while (await done(api.get(f"/api/v1/events/{event}"))).json()["state"] != "live":
                if encoder.process.returncode is not None:
                    raise encoder.failure("the encoder ended")
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise encoder.failure(f"the event was not live after {_START_S:g} s") from None


async def done(asking: Awaitable[httpx.Response]) -> httpx.Response:
    """The answer. Raises DemoFailed where it is an error."""
    response = await asking
    if response.is_error:
        raise DemoFailed(f"{response.request.method} {response.request.url}: {response.text}")
    return response


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        os._exit(1)
