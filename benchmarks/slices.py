"""What a GOLD stream gets of a congested link, over the least it was promised; root only.

In: nothing. Out: JSON lines on stdout, lines for people on stderr. A testbed of two nodes with
a link of 20 Mbit/s, on which three streams want 40; tunnels, meters, marks and queues are put there
by the control plane's own code. For comparison the same with no slices.
"""

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.figures import Figure, emit  # noqa: E402

from support import congestion, testbed  # noqa: E402 -- the lab test's own network
from support.congestion import OFFER, OFFERED_MBPS, STREAMS  # noqa: E402
from umbel import migrations  # noqa: E402
from umbel.kit import log  # noqa: E402
from umbel.kit.db import Database  # noqa: E402
from umbel.network.slices.admission import Grade, SliceRequest  # noqa: E402

ROUNDS = 5
ROUND_S = 5.0
GOLD = 1


async def rounds(folder: Path) -> tuple[list[float], list[float]]:
    """GOLD's rate in Mbit/s without slices, and with them, by round."""
    database = Database(f"sqlite:///{folder / 'umbel.db'}")
    try:
        await migrations.upgrade(database)
        with congestion.link(folder) as bed:
            async with congestion.kept(bed, database) as here:

                async def gold_mbps(lasting_s: float = ROUND_S) -> float:
                    came = await here.measure(OFFERED_MBPS, lasting_s)
                    return came[GOLD].mbps

                await gold_mbps(1.0)
                without = [await gold_mbps()]
                for stream, grade in zip(STREAMS, Grade, strict=False):
                    await here.slices.open(SliceRequest(grade=grade, stream=stream))
                return without, [await gold_mbps() for _ in range(ROUNDS)]
    finally:
        await database.close()


def main() -> None:
    """Both cases."""
    log.configure(level="error")
    if reason := testbed.ABSENT:
        print(f"slices left out: {reason}", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder:
        without, sliced = asyncio.run(rounds(Path(folder)))
    least = OFFER.terms[Grade.GOLD].min_mbps
    for case, found in (("gold", sliced), ("gold-unsliced", without)):
        emit(
            Figure(
                bench="slices",
                case=case,
                value=statistics.median(found),
                unit="Mbit/s",
                n=len(found),
                peer="its minimum",
                peer_value=least,
            )
        )


if __name__ == "__main__":
    main()
