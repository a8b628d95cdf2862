"""What the demo has in memory, and how soon what it loses is back: its seven nodes with a viewer's
edge at each of five, over one acquirer and an encoder.

In: nothing. Out: JSON lines on stdout, a table for people on stderr. Memory is PSS: what a process
has for itself, and its share of what it shares. The peer is Python that does nothing.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from support.family import family, pss_mib
from support.figures import Figure, emit

ACCESS = ("pe1", "pe2", "pe3", "pe4", "pe5")
WITHIN_S = 120.0
REST_S = 10.0
"""After the last edge is ready: what starts has ended."""
PEER = "python -c pause"
GROUPS = (
    ("demo", "umbel demo "),
    ("control-plane", "umbel serve "),
    ("fork-server", "umbel.media.fork_server"),
    ("fork-server", "umbel.media.workers.inside.fork_server"),
    ("prepared", "umbel.media.prepared"),
    ("worker", "umbel.media.workers.inside.main"),
    ("function", "umbel.media "),
    ("encoder", "ffmpeg"),
)


def command_of(pid: int) -> str:
    """Its words."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


@contextmanager
def idle_python() -> Iterator[int]:
    """A Python that does nothing."""
    program = "import signal; print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until it answers true."""
    deadline_s = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"not within {WITHIN_S:g} s: {what}")
        time.sleep(0.002)


def ready_pid(report: Path) -> int:
    """The process that has reported that it is ready; 0 for none."""
    try:
        return int(json.loads(report.read_bytes())["pid"])
    except (OSError, ValueError):
        return 0


def first_edge_ms(url: str, event: str, node: str) -> float:
    """How long a viewer waits for its session where there is no edge yet, until that answers."""
    began_s = time.monotonic()
    answer = httpx.post(
        f"{url}/api/v1/events/{event}/sessions", json={"access_node": node}, timeout=WITHIN_S
    )
    answer.raise_for_status()
    whep = answer.json()["whep"]
    wait_for(lambda: answers(whep), f"an edge at {node}")
    return (time.monotonic() - began_s) * 1000


def answers(url: str) -> bool:
    """Whether somebody answers there, whatever it is."""
    try:
        httpx.get(url, timeout=WITHIN_S)
    except httpx.TransportError:
        return False
    return True


def replaced_ms(report: Path) -> float:
    """From kill -9 of an edge until its successor is ready. Once for each edge: what dies again
    waits for longer."""
    pid = ready_pid(report)
    began_s = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: ready_pid(report) not in {0, pid}, "the edge is replaced")
    return (time.monotonic() - began_s) * 1000


def group_of(pid: int) -> str:
    """What kind of process it is."""
    words = command_of(pid)
    return next((group for group, part in GROUPS if part in words), "other")


@contextmanager
def demo(folder: Path) -> Iterator[tuple[int, str, str]]:
    """The demo's process, its URL and its event."""
    said = folder / "said"
    command = [sys.executable, "-m", "umbel", "demo", "--data-dir", str(folder)]
    with said.open("wb") as out, subprocess.Popen(command, stdout=out) as process:
        try:
            wait_for(lambda: "live: " in said.read_text(), "the demo")
            shown = said.read_text().partition("live: ")[2].split()[0]
            url, _, event = shown.partition("/watch/")
            yield process.pid, url, event
        finally:
            process.terminate()


def main() -> None:
    with tempfile.TemporaryDirectory() as name, idle_python() as idle:
        folder = Path(name)
        with demo(folder) as (pid, url, event):
            first_ms = [first_edge_ms(url, event, node) for node in ACCESS]
            time.sleep(REST_S)
            groups: dict[str, float] = {}
            for one in list(family(pid)):
                groups[group_of(one)] = groups.get(group_of(one), 0.0) + pss_mib(one)
            idle_mib = pss_mib(idle)
            edges = sorted((folder / "ready").glob("edge-*.json"))
            kills_ms = [replaced_ms(report) for report in edges]
    for group, mib in {**groups, "all": sum(groups.values())}.items():
        report(group, mib, "MiB", 1, (PEER, idle_mib))
    report("edge-first-viewer", statistics.median(first_ms), "ms", len(first_ms))
    report("edge-killed-ready", statistics.median(kills_ms), "ms", len(kills_ms))


def report(
    case: str, value: float, unit: str, n: int, peer: tuple[str, float] | None = None
) -> None:
    """Say one figure."""
    name, peer_value = peer or (None, None)
    emit(
        Figure(
            bench="memory",
            case=case,
            value=value,
            unit=unit,
            n=n,
            peer=name,
            peer_value=peer_value,
        )
    )


if __name__ == "__main__":
    main()
