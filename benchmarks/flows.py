"""How fast rules come to a switch: one atomic bundle of ours next to `ovs-ofctl --bundle`.

In: nothing. Out: JSON lines on stdout, a table for people on stderr; root only. Both put the same
rules, those of streams at a branch, into the same real Open vSwitch over a local socket, from the
decision to do so until the switch has said that all are there; in between it is emptied.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.figures import Figure, emit  # noqa: E402

from support import ovs  # noqa: E402 -- the lab tests' own switches
from support.ovs import Ovs  # noqa: E402
from umbel.network.drivers.openflow.controller import Controller  # noqa: E402
from umbel.network.switching.program import Field, Output, Program, Put, Rule  # noqa: E402
from umbel.network.switching.tables import Table, misses  # noqa: E402

ROUNDS = 9
STREAMS = 2500
DPID = 0xA


def rules() -> list[Rule]:
    """Two rules for each of so many streams."""
    found = []
    for stream in range(1, STREAMS + 1):
        address = f"10.203.{stream >> 8}.{stream & 0xFF}"
        asked = (
            *((Field.IN_PORT, 1), (Field.ETH_TYPE, 0x0800), (Field.IP_PROTO, 17)),
            *((Field.IPV4_DST, address), (Field.UDP_DST, 16_384 + stream)),
        )
        at = ((Field.IN_PORT, 1), (Field.METADATA, stream))
        out = (Output(port=2), Output(port=3))
        found += [
            Rule(table=Table.CLASSIFIER, priority=100, match=asked, metadata=stream, goto=1),
            Rule(table=Table.PATH, priority=100, match=at, actions=out),
        ]
    return found


def text(rule: Rule) -> str:
    """A rule as `ovs-ofctl` reads it."""
    match = dict(rule.match)
    if rule.table == Table.CLASSIFIER:
        asked = f"udp,in_port=1,nw_dst={match[Field.IPV4_DST]},tp_dst={match[Field.UDP_DST]}"
        does = f"write_metadata:{rule.metadata:#x},goto_table:1"
    else:
        asked, does = f"metadata={match[Field.METADATA]:#x},in_port=1", "output:2,output:3"
    return f"table={rule.table},priority={rule.priority},{asked},actions={does}\n"


async def ours(controller: Controller, wanted: list[Rule]) -> float:
    """Installs a second."""
    await controller.ensure(DPID, Program(rules=frozenset(misses())))
    begin = time.perf_counter()
    await controller.apply(DPID, [Put(entry=rule) for rule in wanted])
    return len(wanted) / (time.perf_counter() - begin)


async def theirs(controller: Controller, switch: Ovs, wanted: list[Rule], file: Path) -> float:
    """The same by `ovs-ofctl`, in a process of its own."""
    file.write_text("".join(text(rule) for rule in wanted))
    await controller.ensure(DPID, Program(rules=frozenset(misses())))
    begin = time.perf_counter()
    management = f"unix:{switch.folder}/br1.mgmt"
    command = ("ovs-ofctl", "-O", switch.protocols, "--bundle", "add-flows", management, str(file))
    await asyncio.to_thread(ovs.run, *command)
    return len(wanted) / (time.perf_counter() - begin)


async def rounds(folder: Path) -> tuple[list[float], list[float]]:
    """Ours and theirs by round, turn about."""
    with ovs.switches(folder, {"one": "OpenFlow14"}) as switches:
        controller = Controller(lambda signal: None)
        switch, wanted = switches["one"], rules()
        try:
            await controller.listen_unix(switch.controller)
            switch.connect(DPID)
            async with asyncio.timeout(30):
                while not controller.switches:
                    await asyncio.sleep(0.05)
            found = []
            for _ in range(ROUNDS + 1):
                file = folder / "flows.txt"
                found.append(
                    (await ours(controller, wanted), await theirs(controller, switch, wanted, file))
                )
                held = await controller.held(DPID)
                assert held is not None
                assert held.rules == {*wanted, *misses()}, "the two did not put the same rules"
        finally:
            await controller.close()
    warm = found[1:]
    return [a for a, _ in warm], [b for _, b in warm]


def main() -> None:
    if reason := ovs.absent():
        print(f"flows left out: {reason}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder:
        mine, peer = asyncio.run(rounds(Path(folder)))
    emit(
        Figure(
            bench="flows",
            case="bundle",
            value=statistics.median(mine),
            unit="installs/s",
            n=ROUNDS,
            peer="ovs-ofctl --bundle",
            peer_value=statistics.median(peer),
        )
    )


if __name__ == "__main__":
    main()
