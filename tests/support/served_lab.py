"""What `umbel serve` is made of, over a testbed; hosts with curl; web sites of nodes.

In: a testbed that is up. Out: a control plane with its front end in the management network, which
hosts reach as an operator's clients do.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.http import PASSWORD, serving
from support.testbed import Host, Testbed
from support.waiting import until
from umbel import bootstrap
from umbel.bootstrap import System
from umbel.catalogue.model import UserRole
from umbel.kit import netns
from umbel.kit.config import Settings

NET = "/api/v1/network"


@dataclass
class Platform:
    """A control plane over the testbed, and its operator's client."""

    front: str
    operator: httpx.AsyncClient
    system: System

    async def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = await self.operator.request(method, NET + path, **body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@asynccontextmanager
async def platform(bed: Testbed, folder: Path, **changes: Any) -> AsyncIterator[Platform]:
    """What `umbel serve` is made of, over the testbed's sites file; `changes` are other settings
    than usual."""
    usual: dict[str, Any] = {"network_file": bed.sites_file, "openflow_port": 0}
    settings = Settings(data_dir=folder, **{**usual, **changes})
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(bootstrap.opened(settings))
        bordering = asyncio.create_task(system.network.edge.run())
        stack.push_async_callback(_cancelled, bordering)
        if not await system.catalogue.users():
            await system.catalogue.add_user("operator", PASSWORD, UserRole.OPERATOR)
            await system.catalogue.add_user("ann", PASSWORD, UserRole.VIEWER)
        _, front = await stack.enter_async_context(serving(system.app(), bed.controller))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=front, timeout=30))
        form = {"grant_type": "password", "username": "operator", "password": PASSWORD}
        token = (await client.post("/oauth/token", data=form)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        made = Platform(front, client, system)

        async def is_there() -> bool:
            # A tunnel is down until both its ends heard from each other.
            links = await made.ask("GET", "/links")
            switches = await made.ask("GET", "/switches")
            return all(one["connected"] for one in switches) and not any(
                one["state"] == "down" for one in links
            )

        await until(is_there, within_s=30)
        yield made


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def site(bed: Testbed, node: str, port: int) -> AsyncIterator[str]:
    """A web server of a node, far from the front end; says who asked."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):  # also of a client that never asked anything
            await reader.readuntil(b"\r\n\r\n")
            body = f"{node} saw {writer.get_extra_info('peername')[0]}"
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
            await writer.drain()

    address = bed.nodes[node].management
    bound = netns.inside(bed.nodes[node].namespace, lambda: socket.create_server((address, port)))
    async with await asyncio.start_server(answer, sock=bound):
        yield address


async def curl(host: Host, *words: str, within_s: float = 10) -> str:
    """What a host's curl prints; empty when it gets nothing."""
    command = ["ip", "netns", "exec", host.namespace, "curl", "-s", "-m", str(within_s), *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return said.decode()
