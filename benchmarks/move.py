"""Packets lost when a stream's leaf moves from one edge to another, at 1000 packets a second.

In: nothing. Out: JSON lines on stdout, a table for people on stderr; root only. A testbed of five
real Open vSwitch nodes. `leaf` is what neither edge got of all that was sent, in the worst of the
moves; `leaf-doubled` what both got, from the first clone until the last packet of the old way.
"""

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.figures import Figure, emit  # noqa: E402

from support import overlay_lab, overlay_traffic, testbed  # noqa: E402 -- the labs' network
from support.testbed import Testbed  # noqa: E402
from support.waiting import until  # noqa: E402
from umbel.kit import log  # noqa: E402
from umbel.network.operator import moves  # noqa: E402
from umbel.network.overlay import streams  # noqa: E402

ROUNDS = 9
RATE = 1000
PACKETS = 1500


async def moved(bed: Testbed) -> tuple[int, int]:
    """Packets lost, and packets that came twice."""
    given = overlay_lab.terms(bed.controller, bfd_ms=100)
    async with overlay_lab.controlled(bed, overlay_lab.DRAWING, given) as lab:
        with overlay_traffic.taking(bed, "c", "e") as (at_c, at_e):
            to = await lab.carry("ev1", "r", at_c)
            await lab.alive()
            with overlay_traffic.sending(bed, "r", to, rate=RATE, most=PACKETS) as sender:
                sender.begin()
                old, new = at_c.took(), at_e.took()
                while max(old, default=0) < PACKETS // 3:
                    await asyncio.sleep(0.02)
                    old += at_c.took()
                leaving, coming = (
                    streams.Path(leaf=taker.end.node, receiver=streams.local_receiver(taker.end))
                    for taker in (at_c, at_e)
                )
                await moves.prepare(lab.fabric, "ev1", leaving, coming)
                await moves.commit(lab.fabric, "ev1")
                count = await sender.end()

            async def all_there() -> bool:
                new.update(at_e.took())
                return max(new, default=0) == count - 1

            await until(all_there)
            old += at_c.took()
            lost = count - len(old.keys() | new.keys())
            return lost, len(old.keys() & new.keys())


async def rounds(bed: Testbed) -> list[tuple[int, int]]:
    """As many moves, each under a controller of its own."""
    return [await moved(bed) for _ in range(ROUNDS + 1)][1:]


def main() -> None:
    log.configure(level="error")
    if testbed.ABSENT:
        print(f"move left out: {testbed.ABSENT}", file=sys.stderr)
        return
    with (
        tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder,
        overlay_lab.five(Path(folder)) as bed,
    ):
        found = asyncio.run(rounds(bed))
    for case, counts, limit in (
        ("leaf", [max(lost for lost, _ in found)], "to reach"),
        ("leaf-doubled", [doubled for _, doubled in found], None),
    ):
        emit(
            Figure(
                bench="move",
                case=case,
                value=statistics.median(counts),
                unit="packets",
                n=ROUNDS,
                peer=limit,
                peer_value=0.0 if limit else None,
            )
        )


if __name__ == "__main__":
    main()
