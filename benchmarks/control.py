"""What the control plane bears: viewers' sessions opened per second, how long one takes, and what
CPU it costs; and what the platform costs at rest.

In: nothing. Out: JSON lines on stdout, a table for people on stderr. The real front end and loop
run over a real database in a process of their own, on the event loop that `umbel serve` runs on;
nodes, functions and media are shipped fakes. Clients keep a connection each and open the next
session as soon as they hold the last. The peer is FastAPI over plain sqlite3, in the same run.
"""

import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.figures import Figure, emit  # noqa: E402

from support import plain_sessions, postgres  # noqa: E402
from support.waiting import until  # noqa: E402
from umbel.bootstrap import Drivers, System, assemble  # noqa: E402
from umbel.catalogue.model import EventDraft, EventState  # noqa: E402
from umbel.compute.drivers.fake import FakeVim  # noqa: E402
from umbel.delivery.loop.timing import Timing  # noqa: E402
from umbel.kit import log  # noqa: E402
from umbel.kit.clock import SystemClock  # noqa: E402
from umbel.kit.config import Settings  # noqa: E402
from umbel.kit.listening import bind  # noqa: E402
from umbel.media.drivers.fake import FakeMedia  # noqa: E402
from umbel.network.drivers.loopback import LoopbackFabric  # noqa: E402
from umbel.network.service import NetworkDrivers  # noqa: E402
from umbel.portal.server import PortalServer  # noqa: E402

ROUNDS = 5
WARM_S = 0.5
ROUND_S = 2.0
CLIENTS = (1, 8, 64)
MANY_SESSIONS = 10_000
COSTED = 2_000
"""Sessions of one round that counts CPU time."""
REST_S = 20.0
PEER = "FastAPI, sqlite3"
START_S = 30.0
ACCESS = ("pe1", "pe2", "pe3", "pe4", "pe5")

# The built-in network's shape with room for everybody: placement is not what is measured here.
_NODES = "\n".join(
    f"  - {{name: {name}, kind: {kind}, address: 127.0.{n}.1, cores: 1000000, "
    "memory_mb: 1000000, mbps: 100000000}"
    for n, (name, kind) in enumerate(
        [*((name, "provider-edge") for name in ACCESS), ("c1", "core")], start=1
    )
)
_LINKS = "\n".join(f"  - {{a: {name}, b: c1, mbps: 100000000, delay_ms: 1}}" for name in ACCESS)
NETWORK = f"default_access: pe1\nnodes:\n{_NODES}\nlinks:\n{_LINKS}\n"


# -- the process under test -------------------------------------------------------------------


async def serve(folder: Path, database_url: str) -> None:
    """The front end and the loop with one live event, until SIGTERM."""
    log.configure(level="error")
    network = folder / "network.yaml"
    network.write_text(NETWORK)
    clock = SystemClock()
    media = FakeMedia()
    drivers = Drivers(
        vim=FakeVim(clock, boot_s=0.01),
        media=media,
        network=NetworkDrivers(fabric=LoopbackFabric()),
    )
    settings = Settings(
        data_dir=folder,
        database_url=database_url,
        network_file=network,
        log_level="error",
        sessions_per_address=10**9,
    )
    # Nobody really watches, and nobody is to be swept away for that while we count.
    timing = Timing(session_idle_s=3600.0, session_ttl_s=3600.0)
    system = await assemble(settings, drivers=drivers, clock=clock, timing=timing)
    loops = [asyncio.create_task(run(), name=name) for name, run in system.loops().items()]
    listening = bind("127.0.0.1", 0)
    server = PortalServer(system.app())
    try:
        event = await live_event(system, media)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.handle_exit, 15, None)
        # Not serve(): it would end this process by the signal before anything is closed.
        serving = asyncio.create_task(server._serve([listening]))

        async def started() -> bool:
            return server.started

        await until(started, within_s=START_S)
        print(json.dumps({"port": listening.getsockname()[1], "event": event}), flush=True)
        await serving
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await system.close()


async def live_event(system: System, media: FakeMedia) -> str:
    """An event somebody publishes to, with an edge at every access node."""
    now_s = system.clock.now_s()
    provider = await system.catalogue.add_provider("Bench", ACCESS[0])
    draft = EventDraft(
        provider_id=provider.id, title="Bench", starts_s=now_s, ends_s=now_s + 86_400
    )
    event = (await system.catalogue.add_event(draft)).id
    point = await system.delivery.open_ingest(event)
    media.publish(point.function, event)

    async def live() -> bool:
        return (await system.catalogue.event(event)).state is EventState.LIVE

    await until(live, within_s=START_S)
    for node in ACCESS:
        await system.delivery.open_session(event, node)
    return event


# -- the clients ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """The process under test."""

    pid: int
    port: int
    event: str

    def cpu_s(self) -> float:
        """The CPU time that its threads took so far, in user and system mode."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        """Its resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return int(kib) / 1024


@contextlib.contextmanager
def running(database_url: str | None) -> Iterator[Server]:
    """A fresh server over a fresh database, ended by its pid whatever happens; None is the peer."""
    with tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder:
        which = ["--peer", folder] if database_url is None else ["--serve", folder, database_url]
        command = [sys.executable, __file__, *which]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said, "the server did not start"
            told = json.loads(said)
            yield Server(process.pid, told["port"], told["event"])
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


async def sessions(server: Server, node: str) -> AsyncGenerator[float]:
    """Open one session after the other over one connection; yields how long each took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    body = json.dumps({"access_node": node}).encode()
    request = (
        f"POST /api/v1/events/{server.event}/sessions HTTP/1.1\r\nHost: umbel\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    try:
        while True:
            began_s = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
            took_s = time.perf_counter() - began_s
            assert head.startswith(b"HTTP/1.1 201"), head + answer
            yield took_s
    finally:
        writer.close()


async def load(server: Server, clients: int, goes_on: Callable[[list[float]], bool]) -> list[float]:
    """So many clients at once while `goes_on`; how long each session took."""
    took_s: list[float] = []

    async def client(number: int) -> None:
        async with contextlib.aclosing(sessions(server, ACCESS[number % len(ACCESS)])) as opened:
            async for one_s in opened:
                took_s.append(one_s)
                if not goes_on(took_s):
                    return

    await asyncio.gather(*(client(number) for number in range(clients)))
    return took_s


async def for_a_while(server: Server, clients: int, seconds: float) -> list[float]:
    """Load for so long."""
    end_s = time.perf_counter() + seconds
    return await load(server, clients, lambda _: time.perf_counter() < end_s)


async def until_open(server: Server, clients: int, count: int) -> None:
    """Load until so many sessions were opened."""
    await load(server, clients, lambda took_s: len(took_s) < count)


@dataclass(frozen=True)
class Round:
    """One round's outcome."""

    per_s: float
    p99_ms: float


def measure(fresh_url: Callable[[], str], clients: int) -> Round:
    """One round on a server of its own, so that no round meets another's rows."""
    with running(fresh_url()) as server:
        asyncio.run(for_a_while(server, clients, WARM_S))
        began_s = time.perf_counter()
        took_s = asyncio.run(for_a_while(server, clients, ROUND_S))
        lasted_s = time.perf_counter() - began_s
    percentiles = statistics.quantiles(took_s, n=100, method="inclusive")
    return Round(per_s=len(took_s) / lasted_s, p99_ms=percentiles[98] * 1000)


# -- the report -------------------------------------------------------------------------------


def bench(name: str, fresh_url: Callable[[], str]) -> None:
    """Every case of one database."""
    for clients in CLIENTS:
        rounds = [measure(fresh_url, clients) for _ in range(ROUNDS)]
        per_s = statistics.median(r.per_s for r in rounds)
        p99_ms = statistics.median(r.p99_ms for r in rounds)
        case = f"{name}-{clients}"
        emit(Figure(bench="control", case=case, value=per_s, unit="sessions/s", n=ROUNDS))
        emit(Figure(bench="control", case=f"{case}-p99", value=p99_ms, unit="ms", n=ROUNDS))


def cost_ms(server: Server, clients: int) -> float:
    """The server's CPU time for one session, in milliseconds."""
    asyncio.run(for_a_while(server, clients, WARM_S))
    began_s = server.cpu_s()
    opened = asyncio.run(load(server, clients, lambda took_s: len(took_s) < COSTED))
    return (server.cpu_s() - began_s) * 1000 / len(opened)


def bench_cpu(name: str, fresh_url: Callable[[], str]) -> None:
    """CPU time a session, in turns with the peer."""
    for clients in (1, 8):
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(ROUNDS):
            for url, found in ((fresh_url(), ours), (None, theirs)):
                with running(url) as server:
                    found.append(cost_ms(server, clients))
        emit(
            Figure(
                bench="control",
                case=f"{name}-{clients}-cpu",
                value=statistics.median(ours),
                unit="ms/session",
                n=ROUNDS,
                peer=PEER,
                peer_value=statistics.median(theirs),
            )
        )


def bench_rest(name: str, fresh_url: Callable[[], str]) -> None:
    """The share of a core that the platform takes while nothing happens, with an event on air."""
    shares = []
    for _ in range(3):
        with running(fresh_url()) as server:
            time.sleep(5.0)
            began_s, cpu_s = time.perf_counter(), server.cpu_s()
            time.sleep(REST_S)
            shares.append((server.cpu_s() - cpu_s) / (time.perf_counter() - began_s))
    share = 100 * statistics.median(shares)
    emit(Figure(bench="control", case=f"{name}-at-rest", value=share, unit="% of a core", n=3))


def bench_memory(name: str, fresh_url: Callable[[], str]) -> None:
    """Resident memory before and after many sessions are open at once."""
    with running(fresh_url()) as server:
        asyncio.run(for_a_while(server, 8, WARM_S))
        before_mib = server.rss_mib()
        asyncio.run(until_open(server, 8, MANY_SESSIONS))
        after_mib = server.rss_mib()
    emit(
        Figure(
            bench="control",
            case=f"{name}-memory",
            value=after_mib,
            unit="MiB",
            n=1,
            peer="before 10000 sessions",
            peer_value=before_mib,
        )
    )


def bench_all(name: str, fresh_url: Callable[[], str], only: set[str]) -> None:
    """The cases of one database, or those of them that are asked for."""
    parts = {"cpu": bench_cpu, "rest": bench_rest, "load": bench, "memory": bench_memory}
    for part, run in parts.items():
        if not only or part in only:
            run(name, fresh_url)


def main() -> None:
    """Every case, or those named (cpu, rest, load, memory); PostgreSQL where its programs are."""
    only = set(sys.argv[1:])
    bench_all("sqlite", lambda: "", only)
    if postgres.programs() is None:
        print(f"postgresql left out: {postgres.ABSENT}", file=sys.stderr)
        return
    with postgres.cluster(durable=True) as cluster:
        bench_all("postgresql", cluster.fresh, only)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        # As `umbel serve` runs.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(Path(sys.argv[2]), sys.argv[3]))
    elif sys.argv[1:2] == ["--peer"]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(plain_sessions.serve(Path(sys.argv[2]), ACCESS))
    else:
        main()
