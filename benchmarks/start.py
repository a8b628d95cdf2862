"""What a start costs: CPU until `umbel --help` has answered, until a media server is ready, until a
media worker is ready, and until a prepared one is, next to Python that does nothing.

In: nothing. Out: JSON lines on stdout, a table for people on stderr. CPU and not time, so that a
busy machine gives the same figures; each round measures every case once.
"""

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support.figures import Figure, emit

from umbel.kit import log, tokens
from umbel.kit.clock import SystemClock
from umbel.media.workers.host import WorkerCallbacks, WorkerProcess

ROUNDS = 5
READY_S = 60.0
PEER = "python -c pass"
HELP = "from umbel.cli import app; app(['--help'])"
MEDIUM = {"ssrc": 1, "offset": 0}
OPTIONS = {"kind": "flv", "video": MEDIUM, "audio": MEDIUM}
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


def media_ms() -> float:
    """The CPU of an edge until it has written its ready file."""
    with tempfile.TemporaryDirectory() as folder:
        key, ready = Path(folder) / "key.pem", Path(folder) / "ready.json"
        key.write_bytes(tokens.Signer(tokens.new_private_key()).public_key)
        words = ["--id", "edge-1", "--role", "edge", "--address", "127.0.0.1"]
        words += ["--public-key", str(key), "--ready-file", str(ready), "--log-level", "error"]
        with subprocess.Popen(
            [sys.executable, "-m", "umbel.media", *words],
            env={**os.environ, "UMBEL_MEDIA_SECRET": "start"},
        ) as process:
            try:
                deadline_s = time.monotonic() + READY_S
                while not ready.exists():
                    if process.poll() is not None or time.monotonic() > deadline_s:
                        raise RuntimeError("the media server does not start")
                    time.sleep(0.005)
                return used_ms(process.pid)
            finally:
                process.kill()


async def worker_ms() -> tuple[float, float]:
    """The CPU of a worker from its beginning until it is ready, and from its task until then."""
    worker = await WorkerProcess.spawn(SystemClock())
    try:
        async with asyncio.timeout(READY_S):
            await worker.prepared.wait()
            prepared_ms = used_ms(worker.pid)
            await worker.begin(OPTIONS, CALLBACKS)
            await worker.until_ready()
        ready_ms = used_ms(worker.pid)
    finally:
        await worker.close()
    return ready_ms, ready_ms - prepared_ms


def main() -> None:
    log.configure(level="error")
    plain: list[float] = []
    cases: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        plain.append(program_ms("pass"))
        whole_ms, rest_ms = asyncio.run(worker_ms())
        round_ms = {
            "help": program_ms(HELP),
            "media-ready": media_ms(),
            "worker-ready": whole_ms,
            "prepared-worker-ready": rest_ms,
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
