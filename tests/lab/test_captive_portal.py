"""A closed access network, whole: a testbed's switches, the front end, hosts with curl."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import ovs
from support.http import PASSWORD, serving
from support.testbed import Host, Testbed
from support.waiting import until
from umbel import bootstrap
from umbel.catalogue.model import UserRole
from umbel.kit import netns
from umbel.kit.clock import SystemClock
from umbel.kit.config import Settings
from umbel.network.border_service import Land
from umbel.network.drivers.hosts import NetnsHost
from umbel.network.spanning import Drawing, Role

pytest.importorskip("os_ken", reason="os-ken is not installed (umbel[sdn])")

from support import overlay_lab

ABSENT = ovs.absent("curl")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]
DRAWING = Drawing(roles=dict.fromkeys("abc", Role.NONE), links=())
NET = "/api/v1/network"


@dataclass
class Platform:
    """A control plane over the testbed, and its operator's client."""

    front: str
    operator: httpx.AsyncClient

    async def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = await self.operator.request(method, NET + path, **body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None


@asynccontextmanager
async def platform(bed: Testbed, folder: Path) -> AsyncIterator[Platform]:
    """As `umbel serve` over the testbed's sites file."""
    settings = Settings(data_dir=folder, network_file=bed.sites_file)
    host = NetnsHost({name: node.namespace for name, node in bed.nodes.items()})
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(
            overlay_lab.controlled(bed, DRAWING, overlay_lab.terms(bed.controller))
        )
        secrets, clock = bootstrap.load_secrets(folder / "keys"), SystemClock()
        drivers = replace(
            bootstrap.real_drivers(settings, None, secrets, clock),
            fabric=lab.fabric,
            switches=lab.fabric,
            land=Land(fabric=lab.fabric, ethernet=host.ethernet),
        )
        system = await bootstrap.assemble(settings, drivers=drivers, clock=clock)
        stack.push_async_callback(system.close)
        await system.borders.start()
        bordering = asyncio.create_task(system.borders.run())
        stack.push_async_callback(_cancelled, bordering)
        if not await system.catalogue.users():
            await system.catalogue.add_user("operator", PASSWORD, UserRole.OPERATOR)
            await system.catalogue.add_user("ann", PASSWORD, UserRole.VIEWER)
        _, front = await stack.enter_async_context(serving(system.app(), bed.controller))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=front))
        form = {"grant_type": "password", "username": "operator", "password": PASSWORD}
        token = (await client.post("/oauth/token", data=form)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield Platform(front, client)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def site(bed: Testbed, node: str, port: int) -> AsyncIterator[str]:
    """A web server of a node, far from the front end; says who asked."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = f"{node} saw {writer.get_extra_info('peername')[0]}"
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

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


async def close(umbel: Platform, *nodes: str) -> None:
    """These access networks have gates that lead to the front end."""
    door = httpx.URL(umbel.front)
    gate = {"front": {"address": door.host, "port": door.port}}
    for node in nodes:
        assert (await umbel.ask("PUT", f"/access/{node}", json=gate))["closed"]


@pytest.fixture
async def bed(three_nodes: Testbed) -> AsyncIterator[Testbed]:
    try:
        yield three_nodes
    finally:
        await overlay_lab.bare(three_nodes)


async def test_whoever_is_not_signed_in_is_sent_to_the_front_end_and_then_passes(
    bed: Testbed, tmp_path: Path
) -> None:
    ha, hb = bed.hosts["ha"], bed.hosts["hb"]
    address = _bare(ha.address)
    async with (
        site(bed, "c", 80) as web,
        site(bed, "c", 8443) as other,
        platform(bed, tmp_path) as umbel,
    ):
        assert await curl(ha, f"http://{web}/") == f"c saw {address}"
        await close(umbel, "a", "b")

        seen = await curl(ha, "-w", "%{http_code} %{redirect_url}", f"http://{web}/x?y=1")
        asked = f"next=http%3A%2F%2F{web}%2Fx%3Fy%3D1"
        assert seen == f"302 {umbel.front}/welcome?{asked}"
        assert "302" in await curl(ha, "-i", "-H", "Host: news.example", f"http://{web}/")
        assert await curl(ha, f"http://{other}:8443/", within_s=1) == ""
        assert 'action="/welcome?next=' in await curl(ha, "-L", f"http://{web}/x?y=1")

        words = ("-L", "-d", f"username=ann&password={PASSWORD.replace(' ', '+')}")
        done = await curl(ha, *words, f"{umbel.front}/welcome?{asked}")
        assert "Signed in as ann until" in done
        assert f'href="http://{web}/x?y=1"' in done
        assert await curl(ha, f"http://{web}/") == f"c saw {address}"
        assert await curl(ha, f"http://{other}:8443/") == f"c saw {address}"
        (client,) = await umbel.ask("GET", "/clients")
        told = tuple(client[key] for key in ("node", "address", "mac", "username"))
        assert told == ("a", address, ha.mac, "ann")

        assert "302" in await curl(hb, "-i", f"http://{web}/")
        second = address.rpartition(".")[0] + ".77"
        ha.run("ip", "address", "add", f"{second}/24", "dev", "eth0")
        try:
            assert "302" in await curl(ha, "--interface", second, "-i", f"http://{web}/")
        finally:
            ha.run("ip", "address", "delete", f"{second}/24", "dev", "eth0")


async def test_who_is_signed_in_stays_so_without_a_control_plane_and_with_the_next(
    bed: Testbed, tmp_path: Path
) -> None:
    ha, hb = bed.hosts["ha"], bed.hosts["hb"]
    address = _bare(ha.address)
    async with site(bed, "c", 80) as web:
        async with platform(bed, tmp_path) as umbel:
            await close(umbel, "a", "b")
            await umbel.ask("POST", "/clients", json={"address": address})
            assert await curl(ha, f"http://{web}/") == f"c saw {address}"
        assert await curl(ha, f"http://{web}/") == f"c saw {address}"
        assert await curl(hb, f"http://{web}/", within_s=1) == ""
        async with platform(bed, tmp_path) as umbel:
            assert await curl(ha, f"http://{web}/") == f"c saw {address}"
            await close(umbel, "a", "b")
            assert "302" in await curl(hb, "-i", f"http://{web}/")
            await umbel.ask("POST", "/clients", json={"address": address, "lifetime_s": 0.2})

            async def is_led() -> bool:
                return "302" in await curl(ha, "-i", f"http://{web}/")

            await until(is_led)
            assert await umbel.ask("GET", "/clients") == []


def _bare(address: str) -> str:
    return address.partition("/")[0]
