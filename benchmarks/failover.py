"""Packets lost when a link of a stream's tree is cut, at 1000 packets a second; root only.

In: nothing. Out: JSON lines on stdout, a table for people on stderr. A testbed of five real Open
vSwitch nodes; BFD tells every 20 ms that a tunnel lives, and three in a row must be missing. In
`bfd20-ff` the switch above the loss has a spare link and takes it by itself; in `bfd20-reroute` the
controller lays another tree. The link is cut at one end, which takes both ends' carrier away.
"""

import asyncio
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.figures import Figure, emit  # noqa: E402

from support import overlay_lab, overlay_traffic, testbed  # noqa: E402 -- the labs' network
from support.overlay_lab import Lab  # noqa: E402
from support.overlay_traffic import Taker  # noqa: E402
from support.testbed import Testbed  # noqa: E402
from support.waiting import until  # noqa: E402
from umbel.kit import log  # noqa: E402

ROUNDS = 9
RATE = 1000
CASES = {"bfd20-ff": (("a", "b"), "c", 60.0), "bfd20-reroute": (("r", "e"), "e", 100.0)}


async def took(taker: Taker, more: int) -> Counter[int]:
    """What came until so many came one after another."""
    found: Counter[int] = Counter()

    async def steady() -> bool:
        found.update(taker.took())
        last = max(found, default=0)
        return last > more and all(number in found for number in range(last - more, last))

    await until(steady, within_s=30)
    return found


async def lost(lab: Lab, link: tuple[str, str], leaf: str) -> int:
    """Packets that never came to the leaf."""
    bed = lab.bed
    with overlay_traffic.taking(bed, "c", "e") as takers:
        to = await lab.carry("ev1", "r", *takers)
        await lab.alive()
        (taker,) = (one for one in takers if one.end.node == leaf)
        with overlay_traffic.sending(bed, "r", to, rate=RATE) as sender:
            sender.begin()
            found = await took(taker, 300)
            begun = max(found)
            with overlay_lab.cut(bed, link):
                await lab.when(lambda: lab.fabric.overlay.link_state.dead)
                found += await took(taker, 500)
            await sender.stop()
        last = max(found)
        return sum(number not in found for number in range(begun, last))


async def rounds(bed: Testbed) -> dict[str, list[int]]:
    """By case; a new controller each time knows of no cut before, and gives the same tree."""
    found: dict[str, list[int]] = {case: [] for case in CASES}
    given = overlay_lab.terms(bed.controller, bfd_ms=20)
    for number in range(ROUNDS + 1):
        for case, (link, leaf, _) in CASES.items():
            async with overlay_lab.controlled(bed, overlay_lab.DRAWING, given) as lab:
                count = await lost(lab, link, leaf)
                if number:
                    found[case].append(count)
    return found


def main() -> None:
    log.configure(level="error")
    if testbed.ABSENT:
        print(f"failover left out: {testbed.ABSENT}", file=sys.stderr)
        return
    with (
        tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder,
        overlay_lab.five(Path(folder)) as bed,
    ):
        found = asyncio.run(rounds(bed))
    for case, (_, _, limit) in CASES.items():
        emit(
            Figure(
                bench="failover",
                case=case,
                value=statistics.median(found[case]),
                unit="packets lost",
                n=ROUNDS,
                peer="to reach",
                peer_value=limit,
            )
        )


if __name__ == "__main__":
    main()
