"""WireGuard on links into other domains, for nodes that are namespaces of this machine.

In: sites with crossings. Out: for each end a namespace next to the node's, joined to the switch by
the link's cable: what the switch sends into the cable leaves the node encrypted, as the tunnel's
own socket stays in the node's namespace. By the kernel's WireGuard, or `wireguard-go` where it has
none. A switch in user space sees an ordinary cable, and the function in the tunnel sees nothing.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import structlog

from umbel.kit import netns
from umbel.kit.errors import Unavailable
from umbel.network.switching.port_map import PortMap
from umbel.network.switching.ports import Bridges
from umbel.network.topology import crossings
from umbel.network.topology.crossings import Crossing
from umbel.network.topology.sites import NamespaceOf, Site, Wiring, device_name

MTU = 1500
"""Of the tunnel: a frame of an access network (1400) with GRE around it fits. Encrypted packets are
up to 60 bytes longer."""

_UP = "up0"
_WAIT_S, _LOOK_S = 10.0, 2.0
_ASK_AGAIN_S, _MOST_ASKED = 0.05, 100
log = structlog.get_logger(__name__)


class CrossingFailed(Unavailable):
    """Umbel could not set up the encrypted tunnel to another domain."""

    code = "umbel.crossing_failed"


class CrossedBridges:
    """Bridges whose cables into other domains are encrypted: made before the switch takes them."""

    def __init__(
        self,
        bridges: Bridges,
        sites: Mapping[str, Site],
        namespace_of: NamespaceOf,
        master: bytes,
    ) -> None:
        self._bridges, self._sites = bridges, sites
        self.namespace_of, self._master = namespace_of, master
        self._made: dict[tuple[str, str], Crossing] = {}
        self._repairs: asyncio.Task[None] | None = None

    async def check(self, site: Site) -> None:
        await self._bridges.check(site)

    async def ensure(self, site: Site, wiring: Wiring) -> PortMap:
        """See the Protocol. Also raises CrossingFailed."""
        wanted = {one.neighbour: one for one in crossings.of(site, self._sites)}
        for neighbour, crossing in wanted.items():
            await self.cross(crossing)
            self._made[site.node, neighbour] = crossing
        if self._made and self._repairs is None:
            self._repairs = asyncio.create_task(self._repair(), name="crossings")
        port_map = await self._bridges.ensure(site, wiring)
        for node, neighbour in tuple(self._made):
            if node == site.node and neighbour not in wanted:
                await self._end(node, neighbour)
        return port_map

    async def remove(self, site: Site) -> None:
        await self._bridges.remove(site)
        for neighbour in site.crossings:
            await self._end(site.node, neighbour)

    async def _end(self, node: str, neighbour: str) -> None:
        self._made.pop((node, neighbour), None)
        # Its devices go with it, and the program with its device.
        await _run("ip", "netns", "delete", self._beyond(node, neighbour))

    async def close(self) -> None:
        """Keep them no longer; they go on."""
        if self._repairs is not None:
            self._repairs.cancel()
            await asyncio.gather(self._repairs, return_exceptions=True)
            self._repairs = None

    async def _repair(self) -> None:
        """Make again what is gone: a program that died took its device with it."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for crossing in tuple(self._made.values()):
                if not await _is_there(
                    self._beyond(crossing.node, crossing.neighbour), self.tunnel(crossing)
                ):
                    log.warning("crossing lost", node=crossing.node, neighbour=crossing.neighbour)
                    with contextlib.suppress(CrossingFailed):
                        await self.cross(crossing)

    async def cross(self, crossing: Crossing) -> None:
        """Make one end, or make it right. Raises CrossingFailed."""
        here, beyond = (
            self._namespace(crossing.node),
            self._beyond(crossing.node, crossing.neighbour),
        )
        tunnel = self.tunnel(crossing)
        if beyond not in netns.named(beyond):
            await _must_run(crossing.node, "ip", "netns", "add", beyond)
        if not await _is_there(here, crossing.device):
            await _must_run(
                crossing.node,
                *("ip", "-n", here, "link", "add", crossing.device, "mtu", str(MTU + 100)),
                *("type", "veth", "peer", "name", _UP, "mtu", str(MTU + 100), "netns", beyond),
            )
            await _must_run(crossing.node, "ip", "-n", here, "link", "set", crossing.device, "up")
        if not await _is_there(beyond, tunnel):
            await _make(crossing.node, here, tunnel)
            await _must_run(crossing.node, "ip", "-n", here, "link", "set", tunnel, "netns", beyond)
        await _must_run(
            crossing.node,
            *("ip", "netns", "exec", beyond, "wg", "syncconf", tunnel, "/dev/stdin"),
            text=crossings.configuration(crossing, self._master),
        )
        lines = (
            "link set lo up",  # a namespace without any address takes all for broadcast
            f"link set {_UP} up",
            f"link set {tunnel} mtu {MTU} up",
            f"route replace {crossing.inner}/32 dev {_UP}",
            f"route replace {crossing.far}/32 dev {tunnel}",
        )
        await asyncio.to_thread(netns.inside, beyond, _forward)
        await _must_run(
            crossing.node, "ip", "-n", beyond, "-batch", "-", text="".join(f"{x}\n" for x in lines)
        )

    def tunnel(self, crossing: Crossing) -> str:
        """The WireGuard device, whose name is the machine's only one."""
        return device_name("w", self._namespace(crossing.node), crossing.neighbour)

    def _beyond(self, node: str, neighbour: str) -> str:
        return f"{self._namespace(node)}-{device_name('x', neighbour)}"

    def _namespace(self, node: str) -> str:
        """Raises CrossingFailed."""
        name = self.namespace_of(node)
        if name is None:
            raise CrossingFailed(
                f"{node}: only namespaces of this machine have crossings", node=node
            )
        return name


def _forward() -> None:
    """The cable's end answers for the far address, so that both ends seem to be on one wire."""
    folder = Path("/proc/sys/net/ipv4")
    (folder / "ip_forward").write_text("1")
    for name in ("all", "default", _UP):
        (folder / "conf" / name / "rp_filter").write_text("0")
    (folder / "conf" / _UP / "proxy_arp").write_text("1")


async def _make(node: str, here: str, tunnel: str) -> None:
    added, said = await _run("ip", "-n", here, "link", "add", tunnel, "type", "wireguard")
    if added:
        return
    if shutil.which("wireguard-go") is None:
        why = f"the kernel has no WireGuard ({said}), and wireguard-go is not installed"
        raise CrossingFailed(f"{node}: {why}", node=node)
    await _must_run(node, "ip", "netns", "exec", here, "wireguard-go", tunnel)
    # It goes on in the background: moved before it has found its device, it would lose it.
    for _ in range(_MOST_ASKED):
        answers, said = await _run("ip", "netns", "exec", here, "wg", "show", tunnel)
        if answers:
            return
        await asyncio.sleep(_ASK_AGAIN_S)
    raise CrossingFailed(f"{node}: wireguard-go does not answer: {said}", node=node)


async def _is_there(namespace: str, device: str) -> bool:
    return (await _run("ip", "-n", namespace, "link", "show", "dev", device))[0]


async def _must_run(node: str, *command: str, text: str = "") -> None:
    """Raises CrossingFailed."""
    done, said = await _run(*command, text=text)
    if not done:
        raise CrossingFailed(f"{node}: {command[0]}: {said}", node=node)


async def _run(*command: str, text: str = "") -> tuple[bool, str]:
    """Whether it went well, and what it complained of."""
    # Told to log, wireguard-go would go on with our end of its stderr.
    env = {name: value for name, value in os.environ.items() if name != "LOG_LEVEL"}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=env,
        )
    except OSError as error:
        return False, str(error)
    try:
        async with asyncio.timeout(_WAIT_S):
            _, said = await process.communicate(text.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        return False, "does not end"
    return process.returncode == 0, " ".join(said.decode(errors="replace").split())
