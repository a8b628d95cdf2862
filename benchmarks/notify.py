"""From an event to the POST that tells of it: the whole service over SQLite and real HTTP.

In: nothing. Out: JSON lines on stdout, a table for people on stderr. Receivers run in a process of
their own and note when a POST is complete; both read the machine's one monotonic clock. `idle` is
an event now and then, `fan-10` the same to ten subscribers, `flood` up to 200 events a second.
"""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.figures import Figure, emit  # noqa: E402

from umbel import migrations  # noqa: E402
from umbel.kit import log  # noqa: E402
from umbel.kit.clock import SystemClock  # noqa: E402
from umbel.kit.db import Database  # noqa: E402
from umbel.kit.journal import Journal  # noqa: E402
from umbel.kit.sealing import Sealer  # noqa: E402
from umbel.notify.drivers.http import HttpCourier  # noqa: E402
from umbel.notify.model import Kind  # noqa: E402
from umbel.notify.service import Notifier  # noqa: E402
from umbel.notify.store import NotifyStore  # noqa: E402

ROUNDS = 5
TO_REACH_MS = 30.0
DEADLINE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """How many subscribers, how many events, and the time between two of them."""

    name: str
    subscribers: int
    events: int
    every_s: float


CASES = (
    Case(name="idle", subscribers=1, events=60, every_s=0.05),
    Case(name="fan-10", subscribers=10, events=40, every_s=0.1),
    Case(name="flood", subscribers=1, events=400, every_s=0.005),
)


# -- the receivers' process -------------------------------------------------------------------


async def receive() -> None:
    """Answer 204 to every POST; say on stdout which number came when."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                at_s = time.monotonic()
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                print(json.loads(body)["body"]["number"], at_s, flush=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass
class Receivers:
    """The other process: its URL, and when each POST came."""

    url: str = ""
    came: list[tuple[int, float]] = field(default_factory=list)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.came) < count:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def receivers() -> AsyncIterator[Receivers]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--receive", stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    made = Receivers(url=f"http://127.0.0.1:{port}/hook")

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            number, at_s = line.split()
            made.came.append((int(number), float(at_s)))

    reading = asyncio.create_task(read())
    try:
        yield made
    finally:
        process.terminate()
        await process.wait()
        await reading


# -- the service ------------------------------------------------------------------------------


async def latencies_ms(case: Case) -> list[float]:
    """One round: how long each POST came after its event."""
    with tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder:
        database = Database(f"sqlite:///{folder}/umbel.db")
        await migrations.upgrade(database)
        notifier = Notifier(
            store=NotifyStore(database),
            journal=Journal(database),
            courier=HttpCourier(),
            sealer=Sealer(b"bench", "notices"),
            clock=SystemClock(),
            owner="bench",
        )
        running = asyncio.create_task(notifier.run())
        try:
            async with receivers() as there:
                return await measured(case, notifier, there)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await notifier.close()
            await database.close()


async def measured(case: Case, notifier: Notifier, there: Receivers) -> list[float]:
    for _ in range(case.subscribers):
        await notifier.register(there.url, [Kind.LINK_DOWN])
    notifier.publish(Kind.LINK_DOWN, "warm-up", {"number": -1})
    await there.until(case.subscribers)
    there.came.clear()
    began: list[float] = []
    for number in range(case.events):
        began.append(time.monotonic())
        notifier.publish(Kind.LINK_DOWN, "a-b", {"number": number})
        await asyncio.sleep(case.every_s)
    await there.until(case.events * case.subscribers)
    return [(at_s - began[number]) * 1000 for number, at_s in there.came]


def main() -> None:
    """Every case."""
    log.configure(level="error")
    for case in CASES:
        rounds = [asyncio.run(latencies_ms(case)) for _ in range(ROUNDS)]
        quantiles = [statistics.quantiles(took_ms, n=20, method="inclusive") for took_ms in rounds]
        p50_ms = statistics.median(statistics.median(took_ms) for took_ms in rounds)
        p95_ms = statistics.median(one[18] for one in quantiles)
        emit(Figure(bench="notify", case=f"{case.name}-p50", value=p50_ms, unit="ms", n=ROUNDS))
        emit(
            Figure(
                bench="notify",
                case=f"{case.name}-p95",
                value=p95_ms,
                unit="ms",
                n=ROUNDS,
                peer="to reach",
                peer_value=TO_REACH_MS,
            )
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--receive"]:
        asyncio.run(receive())
    else:
        main()
