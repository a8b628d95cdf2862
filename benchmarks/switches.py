"""How long it takes to meet 100 switches, and to make a stream's tree of 100 nodes on them.

In: nothing. Out: JSON lines on stdout, a table for people on stderr; root only. The switches are
100 bridges of one real Open vSwitch. `handshake-100` counts from when they learn their controller's
address until all are known with their ports; `tree-100` from asking the fabric for a stream with
50 leaves until all switches have said that they hold their rules; `adopt-100` is what a controller
that starts again takes, once they are connected, to read them all and find nothing to change.
"""

import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.figures import Figure, emit  # noqa: E402

from support import ovs, switchboard  # noqa: E402 -- the tests' own switches
from support.ovs import Ovs  # noqa: E402
from umbel.kit import log  # noqa: E402
from umbel.kit.clock import SystemClock  # noqa: E402
from umbel.network.drivers.openflow.controller import Controller  # noqa: E402
from umbel.network.drivers.openflow.fabric import OpenFlowFabric  # noqa: E402
from umbel.network.drivers.openflow.settings import OpenFlowSettings  # noqa: E402
from umbel.network.model import Hop  # noqa: E402
from umbel.network.overlay.spanning import Drawing, Role  # noqa: E402
from umbel.network.switching.port_map import PortMap  # noqa: E402
from umbel.network.switching.program import Change  # noqa: E402
from umbel.network.switching.signals import Admit, Home, OnSwitchEvent  # noqa: E402
from umbel.network.topology.sites import Site, Wiring  # noqa: E402

SWITCHES = 100
ROUNDS = 5
TO_REACH_MS = 1000.0
DEADLINE_S = 60.0
_NUMBERS = itertools.count()

# A binary tree: node n hangs from n // 2. The lower half are leaves.
NAMES = tuple(f"n{number}" for number in range(1, SWITCHES + 1))
LINKS = tuple((f"n{number // 2}", f"n{number}") for number in range(2, SWITCHES + 1))
LEAVES = NAMES[SWITCHES // 2 :]
DRAWING = Drawing(
    roles={name: Role.LEAF if name in LEAVES else Role.RELAY for name in NAMES}, links=LINKS
)
SITES = switchboard.sites(NAMES, LINKS)


class Board(Controller):
    """A controller that counts the changes it makes, and listens where the bridges look for it."""

    made = 0
    path = Path()

    async def listen(self, host: str, port: int) -> int:
        await self.listen_unix(self.path)
        return port

    async def apply(self, dpid: int, changes: Sequence[Change]) -> None:
        self.made += len(changes)
        await super().apply(dpid, changes)


class Wired:
    """Bridges that are there already; a tunnel's port is where its neighbour stands in the list."""

    async def check(self, site: Site) -> None:
        """They answer."""

    async def ensure(self, site: Site, wiring: Wiring) -> PortMap:
        near = {other: number for number, other in enumerate(sorted(site.underlay), start=1)}
        tunnel_ports = {tunnel.neighbour: near[tunnel.neighbour] for tunnel in wiring.tunnels}
        return PortMap(
            tunnel_ports=tunnel_ports, patch_port=100, local_port=60, local_mac="02:00:00:00:00:60"
        )

    async def remove(self, site: Site) -> None:
        """Nothing is to be done."""


def make(switch: Ovs) -> None:
    """The bridges, without a controller."""
    words: list[str] = []
    for name, site in SITES.items():
        words += ["--", "add-br", name, "--", "set", "bridge", name, "datapath_type=netdev"]
        words += ["fail_mode=secure", "protocols=OpenFlow14"]
        words += [f"other_config:datapath-id={site.datapath_id:016x}"]
        words += ["other_config:disable-in-band=true"]
    switch.vsctl(*words[1:])


async def each(switch: Ovs, *words: str) -> None:
    """Do it for all bridges in one transaction; `*` stands for the bridge."""
    whole = [word.replace("*", name) for name in NAMES for word in ("--", *words)]
    await asyncio.to_thread(switch.vsctl, "--no-wait", *whole[1:])


def fresh(switch: Ovs) -> Path:
    """Where no controller listened before: a bridge that gets another address tries it at once,
    where after a loss it would wait for up to 8 s."""
    return switch.folder / f"{next(_NUMBERS)}.sock"


async def until_all(controller: Controller) -> None:
    """All switches are connected."""
    async with asyncio.timeout(DEADLINE_S):
        while len(controller.switches) < SWITCHES:
            await asyncio.sleep(0.002)


async def handshake(switch: Ovs) -> float:
    """Seconds."""
    controller, path = Controller(lambda signal: None), fresh(switch)
    try:
        await controller.listen_unix(path)
        begin = time.perf_counter()
        await each(switch, "set-controller", "*", f"unix:{path}")
        await until_all(controller)
        return time.perf_counter() - begin
    finally:
        await each(switch, "del-controller", "*")
        await controller.close()


@asynccontextmanager
async def fabric(switch: Ovs, adopt_s: float) -> AsyncIterator[tuple[OpenFlowFabric, Board]]:
    """One that runs over the switches, which are connected."""
    boards: list[Board] = []

    def board(on_switch_event: OnSwitchEvent, *, admit: Admit, home: Home) -> Board:
        boards.append(Board(on_switch_event, admit=admit, home=home))
        boards[0].path = fresh(switch)
        return boards[0]

    terms = OpenFlowSettings(host="", settle_s=DEADLINE_S, adopt_s=adopt_s)
    made = OpenFlowFabric(SITES, DRAWING, Wired(), board, terms, SystemClock())
    await made.start()
    try:
        # The row stays: with another one the switch would forget its rules.
        target = f'target="unix:{boards[0].path}"'
        await each(switch, "set", "controller", "*", target)
        await until_all(boards[0])
        yield made, boards[0]
    finally:
        await made.close()


async def tree(switch: Ovs) -> tuple[float, float]:
    """Seconds until a new tree is there, and until a new controller knows that it is."""
    hops = [
        Hop(source_node="n1", target=switchboard.function(SITES, leaf, 7000)) for leaf in LEAVES
    ]
    async with fabric(switch, 0.0) as (first, board):
        await first.install_extra_rules("", None)  # it has read them all when it has had a look
        board.made = 0
        begin = time.perf_counter()
        await first.ensure("ev1", hops)
        made_s = time.perf_counter() - begin
        assert board.made >= 2 * SWITCHES, "too few rules were installed"
        assert not first.problems
    async with fabric(switch, DEADLINE_S) as (second, board):
        begin = time.perf_counter()
        await second.ensure("ev1", hops)
        found_s = time.perf_counter() - begin
        assert board.made == 0, "rules that were there were sent again"
    async with fabric(switch, 0.0) as (last, _):
        await last.install_extra_rules("", None)  # which takes the stream away
    return made_s, found_s


async def rounds(folder: Path) -> dict[str, list[float]]:
    """Seconds by case."""
    with ovs.switches(folder, {"all": "OpenFlow14"}, bare=True) as switches:
        switch = switches["all"]
        make(switch)
        on_path = [await handshake(switch) for _ in range(ROUNDS + 1)]
        await each(switch, "set-controller", "*", f"unix:{fresh(switch)}")
        trees = [await tree(switch) for _ in range(ROUNDS + 1)]
    return {
        "handshake-100": on_path[1:],
        "tree-100": [made for made, _ in trees[1:]],
        "adopt-100": [found for _, found in trees[1:]],
    }


def main() -> None:
    log.configure(level="error")
    if reason := ovs.absent():
        print(f"switches left out: {reason}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder:
        found = asyncio.run(rounds(Path(folder)))
    for case, seconds in found.items():
        emit(
            Figure(
                bench="switches",
                case=case,
                value=statistics.median(seconds) * 1000,
                unit="ms",
                n=ROUNDS,
                peer="to reach" if case == "handshake-100" else None,
                peer_value=TO_REACH_MS if case == "handshake-100" else None,
            )
        )


if __name__ == "__main__":
    main()
