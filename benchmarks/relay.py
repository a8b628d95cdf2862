"""What a forwarder costs: CPU per packet sent, next to the plain C relay, in the same run.

In: optionally how many rounds, and seconds a round. Out: JSON lines on stdout, a table for people
on stderr. Both relays get the same paced bursts and send to the same destinations; their CPU time
is read from the kernel, and what they sent is counted by the sink. Rounds alternate, so that a
noisy machine disturbs both alike.
"""

import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvloop
from support.figures import Figure, emit

from umbel.media.wire.receiver import UdpReceiver
from umbel.media.wire.sender import UdpSender

HERE = Path(__file__).parent
ROUNDS = 5
SECONDS = 3.0
# A relay that a busy machine held up may still send what it took.
SETTLE_S = 0.5
# copies of each packet: streams of 2.1 Mbit/s (30 frames a second, 8.5 packets each)
CASES = {1: 64, 10: 16, 100: 2}


async def forward(port: int, streams: int, copies: int) -> None:
    """The forwarder under test, in a process of its own."""
    # All bound before the first sender takes a port of the kernel's choice.
    receivers = [await UdpReceiver.open("127.0.0.1", port + stream) for stream in range(streams)]
    for receiver in receivers:
        sender = UdpSender(on_feedback=receiver.feedback)
        sender.set_hops((f"127.77.0.{n}", port + streams) for n in range(1, copies + 1))
        receiver.attach(sender)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process that said it is ready, ended whatever happens."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready", command
            yield process
        finally:
            process.kill()


def free_ports(count: int) -> int:
    """The first of so many neighbouring ports that nobody has."""
    while True:
        with ExitStack() as stack:
            made = [
                stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(count)
            ]
            made[0].bind(("", 0))
            first: int = made[0].getsockname()[1]
            try:
                for offset, one in enumerate(made[1:], start=1):
                    one.bind(("", first + offset))
            except (OSError, OverflowError):
                continue
            return first


def measure(
    tools: Path, relay: tuple[str, ...], copies: int, seconds: float
) -> tuple[float, float]:
    """One round: microseconds per packet sent, and the share that arrived."""
    streams, traffic = CASES[copies], str(tools / "traffic")
    port = free_ports(streams + 1)
    with ExitStack() as stack:
        sink = stack.enter_context(running(traffic, "sink", str(port + streams)))
        process = stack.enter_context(running(*relay, str(port), str(streams), str(copies)))
        before_s = cpu_s(process.pid)
        source = (traffic, "source", "127.0.0.1", str(port), str(streams), str(seconds))
        sent = int(subprocess.run(source, check=True, capture_output=True).stdout)
        time.sleep(SETTLE_S)
        used_s = cpu_s(process.pid) - before_s
        arrived = int(sink.communicate()[0])
    return used_s * 1e6 / arrived, arrived / (sent * copies)


def main(count: int = ROUNDS, seconds: float = SECONDS) -> None:
    """Every case, so many rounds each."""
    with tempfile.TemporaryDirectory() as folder:
        tools = Path(folder)
        for name in ("relay", "traffic"):
            source = str(HERE / "c" / f"{name}.c")
            subprocess.run(("gcc", "-O2", "-Wall", "-o", str(tools / name), source), check=True)
        ours = (sys.executable, __file__, "forward")
        peer = (str(tools / "relay"), "127.0.0.1")
        for copies in CASES:
            rounds = [
                (
                    measure(tools, ours, copies, seconds),
                    measure(tools, peer, copies, seconds),
                )
                for _ in range(count)
            ]
            report(copies, rounds)


def report(copies: int, rounds: list[tuple[tuple[float, float], tuple[float, float]]]) -> None:
    """Print one case."""
    value = statistics.median(ours[0] for ours, _ in rounds)
    peer_value = statistics.median(peer[0] for _, peer in rounds)
    emit(
        Figure(
            bench="relay",
            case=f"relay-{copies}",
            value=value,
            unit="us/packet",
            n=len(rounds),
            peer="sendmmsg in C",
            peer_value=peer_value,
        )
    )
    shares = "/".join(f"{100 * min(r[who][1] for r in rounds):.1f} %" for who in (0, 1))
    print(f"relay-{copies}: arrived, ours and the peer's: {shares}", file=sys.stderr)


if __name__ == "__main__":
    if sys.argv[1:2] == ["forward"]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(forward(*map(int, sys.argv[2:])))
    else:
        main(*map(int, sys.argv[1:2]), *map(float, sys.argv[2:3]))
