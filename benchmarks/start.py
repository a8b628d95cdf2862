"""What a start costs: CPU until `umbel --help` has answered, until a media server is ready, afresh
and by fork, until a media worker is ready, and until the fork servers can fork, next to Python
that does nothing.

In: nothing. Out: JSON lines on stdout, a table for people on stderr. CPU and not time, so that a
busy machine gives the same figures; each round measures every case once.
"""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from support.figures import Figure, emit

from umbel.bootstrap.drivers import FORKED_MEDIA
from umbel.compute.drivers.process import procfs
from umbel.kit import fork_server, log, tokens
from umbel.kit.clock import SystemClock
from umbel.kit.fork_server import Order, Streams
from umbel.media.model import WORKER_LIMITS
from umbel.media.workers.forks import WorkerForkServer
from umbel.media.workers.host import WorkerCallbacks, WorkerProcess

ROUNDS = 5
READY_S = 60.0
PEER = "python -c pass"
HELP = "from umbel.cli import app; app(['--help'])"
MEDIUM = {"ssrc": 1, "offset": 0}
OPTIONS = {"kind": "flv", "video": MEDIUM, "audio": MEDIUM, "limits": asdict(WORKER_LIMITS)}
ENVIRONMENT = {**os.environ, "UMBEL_MEDIA_SECRET": "start"}
CALLBACKS = WorkerCallbacks(on_packets=lambda _: None, on_message=lambda _: None)


def used_ms(pid: int) -> float:
    """The CPU that all threads of a process have used."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((one / "schedstat").read_text().split()[0]) for one in threads) / 1e6


def program_ms(program: str) -> float:
    """The CPU of a program from its beginning to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used * 1000


@contextlib.contextmanager
def media_server() -> Iterator[tuple[list[str], Path]]:
    """The words that start an edge, and where its ready file will be."""
    with tempfile.TemporaryDirectory() as folder:
        key, ready = Path(folder) / "key.pem", Path(folder) / "ready.json"
        key.write_bytes(tokens.Signer(tokens.new_private_key()).public_key)
        words = ["--id", "edge-1", "--role", "edge", "--address", "127.0.0.1"]
        words += ["--public-key", str(key), "--ready-file", str(ready), "--log-level", "error"]
        yield [sys.executable, "-m", "umbel.media", *words], ready


def until_ready_ms(pid: int, ready: Path) -> float:
    """The CPU of a media server until it has written its ready file."""
    deadline_s = time.monotonic() + READY_S
    while not ready.exists():
        if procfs.read(pid) is None or time.monotonic() > deadline_s:
            raise RuntimeError("the media server does not start")
        time.sleep(0.005)
    return used_ms(pid)


def media_ms() -> float:
    """The CPU of an edge that is started afresh until it is ready."""
    with media_server() as (words, ready), subprocess.Popen(words, env=ENVIRONMENT) as process:
        try:
            return until_ready_ms(process.pid, ready)
        finally:
            process.kill()


def forked_media_ms() -> tuple[float, float]:
    """The CPU of an edge's fork server until it can fork, and of the edge until it is ready."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [*FORKED_MEDIA.command, " " * 4096]
    stdin = theirs.fileno()
    with ours, theirs, subprocess.Popen(command, stdin=stdin, env=ENVIRONMENT) as server:
        try:
            ours.recv(len(fork_server.READY))
            server_ms = used_ms(server.pid)
            with media_server() as (words, ready):
                wanted = Order(name="edge-1", words=tuple(words), environment=ENVIRONMENT)
                streams = Streams(stdin=0, stdout=2, stderr=2)
                pid = fork_server.order(ours, wanted, streams, READY_S)
                assert pid is not None
                try:
                    return server_ms, until_ready_ms(pid, ready)
                finally:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        finally:
            server.kill()


async def worker_ms() -> tuple[float, float]:
    """The CPU of the workers' fork server until it can fork, and of a worker until it is ready."""
    server = await WorkerForkServer.start()
    try:
        server_ms = used_ms(server.pid)
        worker = await WorkerProcess.fork(server, SystemClock())
        try:
            async with asyncio.timeout(READY_S):
                await worker.begin(OPTIONS, CALLBACKS)
                await worker.until_ready()
            return server_ms, used_ms(worker.pid)
        finally:
            await worker.close()
    finally:
        await server.close()


def main() -> None:
    log.configure(level="error")
    plain: list[float] = []
    cases: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        plain.append(program_ms("pass"))
        workers_ms, worker_forked_ms = asyncio.run(worker_ms())
        server_ms, forked_ms = forked_media_ms()
        round_ms = {
            "help": program_ms(HELP),
            "media-ready": media_ms(),
            "fork-server-ready": server_ms,
            "forked-media-ready": forked_ms,
            "worker-fork-server-ready": workers_ms,
            "forked-worker-ready": worker_forked_ms,
        }
        for case, value in round_ms.items():
            cases.setdefault(case, []).append(value)
    for case, values in cases.items():
        emit(
            Figure(
                bench="start",
                case=case,
                value=statistics.median(values),
                unit="ms CPU",
                n=ROUNDS,
                peer=PEER,
                peer_value=statistics.median(plain),
            )
        )


if __name__ == "__main__":
    main()
