"""The real platform as a test's own: `umbel serve`, real functions, a real encoder.

Everything is started in tmp_path on ports from the kernel and ended by pid, also on failure.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from support.leftovers import Leftover, noted
from umbel.catalogue.model import UserRole
from umbel.demo import encoder, stage
from umbel.demo.model import Account
from umbel.demo.preparation import make_accounts
from umbel.demo.stage import Child, LiveEvent


@dataclass(kw_only=True)
class Platform:
    """A running platform and what was started around it."""

    folder: Path
    accounts: list[Account]
    serve: Child
    url: str
    api: httpx.AsyncClient
    options: Sequence[str] = ()
    children: list[Child] = field(default_factory=list)

    async def event(self) -> LiveEvent:
        """An open event whose acquirer waits for an encoder."""
        await self.sign_in(UserRole.PROVIDER)
        event = await stage.open_event(self.api)
        await self.sign_in(UserRole.OPERATOR)
        return event

    async def sign_in(self, role: UserRole) -> None:
        await stage.sign_in(self.api, next(a for a in self.accounts if a.role is role))

    async def live(self, protocol: str = "rtmp") -> tuple[LiveEvent, Child]:
        """A live event and its encoder."""
        event = await self.event()
        pusher = await self.push(event, protocol)
        await stage.until_live(self.api, event.id, pusher)
        return event, pusher

    async def change(self, event: LiveEvent, **fields: object) -> None:
        """Change fields of the event."""
        version = (await self.get(f"events/{event.id}"))["version"]
        answer = await self.api.patch(
            f"/api/v1/events/{event.id}", json={"version": version, **fields}
        )
        assert answer.status_code == 200, answer.text

    async def push(self, event: LiveEvent, protocol: str = "rtmp") -> Child:
        """The demo's encoder."""
        command = encoder.push_command(event.ingest, event.stream_key, protocol=protocol)
        return await self.run("encoder", command)

    async def run(self, name: str, command: Sequence[str]) -> Child:
        """Any program, ended with the test."""
        log = self.folder / f"{name}-{len(self.children)}.log"
        child = await stage.start(name, command, log)
        self.children.append(child)
        return child

    async def kill_control_plane(self) -> None:
        """kill -9; functions go on."""
        self.serve.process.kill()
        await self.serve.process.wait()

    async def restart(self) -> None:
        """A new control plane over the same data, on the same port."""
        port = httpx.URL(self.url).port or 0
        self.serve, self.url = await stage.start_platform(
            self.folder, port=port, options=self.options
        )

    async def get(self, path: str) -> Any:
        answer = await self.api.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def session(self, event: LiveEvent, node: str) -> dict[str, Any]:
        answer = await self.api.post(
            f"/api/v1/events/{event.id}/sessions", json={"access_node": node}
        )
        assert answer.status_code == 201, answer.text
        return answer.json()

    def records(self) -> dict[str, dict[str, Any]]:
        """What the process VIM wrote of each function."""
        folder = self.folder / "functions"
        found = {}
        for path in folder.glob("*.json"):
            with suppress(FileNotFoundError, json.JSONDecodeError):
                found[path.stem] = json.loads(path.read_text())
        return found

    def kill(self, function: str) -> None:
        """kill -9 of a function."""
        os.kill(self.records()[function]["pid"], signal.SIGKILL)


@asynccontextmanager
async def platform(folder: Path, options: Sequence[str] = ()) -> AsyncIterator[Platform]:
    """A platform on its embedded defaults, and with more options of `umbel serve`."""
    with noted(Leftover(folder=str(folder))):
        accounts = await make_accounts(folder)
        serve, url = await stage.start_platform(folder, options=options)
        async with httpx.AsyncClient(base_url=url, timeout=30) as api:
            made = Platform(
                folder=folder, accounts=accounts, serve=serve, url=url, api=api, options=options
            )
            try:
                yield made
                is_up = made.serve.process.returncode is None
            finally:
                for child in reversed(made.children):
                    await child.stop()
                await made.serve.stop()
                await _end_functions(made)
            ended = made.serve.process.returncode  # of one that was not killed, and ended in time
            assert not is_up or ended in (0, -signal.SIGKILL), made.serve.tail()


async def _end_functions(made: Platform) -> None:
    """What a killed control plane left."""
    for record in made.records().values():
        with suppress(ProcessLookupError, KeyError):
            os.kill(record["pid"], signal.SIGKILL)
    await asyncio.sleep(0)
