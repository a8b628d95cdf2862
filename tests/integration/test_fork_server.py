"""A fork server's processes: children of the client, with nothing shared that must not be."""

import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from umbel.kit import fork_server
from umbel.kit.fork_server import Order, Streams

WITHIN_S = 60.0
Server = tuple[subprocess.Popen[bytes], socket.socket]
PROGRAM = """
import json, os, random, secrets, ssl, sys, uuid
from umbel.kit import fork_server
order = fork_server.serve()
if order is not None:
    drawn = [random.random(), secrets.token_hex(8), ssl.RAND_bytes(8).hex(), uuid.uuid4().hex]
    said = {
        "words": list(order.words),
        "environment": dict(os.environ),
        "input": sys.stdin.read(),
        "parent": os.getppid(),
        "random": drawn,
        "open": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
    }
    print(json.dumps(said))
    sys.exit(int(order.words[-1]))
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """One that waits for orders."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    env = {**os.environ, "ROOM": " " * 8192}
    command, stdin = [sys.executable, "-c", PROGRAM], theirs.fileno()
    with ours, subprocess.Popen(command, stdin=stdin, env=env) as process:
        theirs.close()
        ours.settimeout(WITHIN_S)
        assert ours.recv(16) == fork_server.READY
        yield process, ours
        process.kill()


def order(
    orders: socket.socket,
    out: Path,
    *words: str,
    variable: str = "here",
    within_s: float = WITHIN_S,
) -> int | None:
    wanted = Order(name="forked", words=("run", *words), environment={"WHERE": variable})
    with Path(os.devnull).open("rb") as nothing, out.open("wb") as said:
        streams = Streams(stdin=nothing.fileno(), stdout=said.fileno(), stderr=said.fileno())
        return fork_server.order(orders, wanted, streams, within_s)


def test_a_forked_process_is_the_clients_child_and_knows_its_order(
    server: Server, tmp_path: Path
) -> None:
    pid = order(server[1], tmp_path / "out", "7")
    assert pid is not None
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    said = json.loads((tmp_path / "out").read_bytes())
    assert said["words"] == ["run", "7"]
    assert said["environment"] == {"WHERE": "here"}
    assert said["input"] == ""
    assert said["parent"] == os.getpid()
    assert said["open"] == [0, 1, 2]


def test_forked_processes_share_no_random_state(server: Server, tmp_path: Path) -> None:
    drawn = []
    for name in ("one", "other"):
        pid = order(server[1], tmp_path / name, "0")
        assert pid is not None
        os.waitpid(pid, 0)
        drawn.append(json.loads((tmp_path / name).read_bytes())["random"])
    assert all(one != other for one, other in zip(*drawn, strict=True))


def test_it_shows_its_order_and_waits_for_its_client(server: Server, tmp_path: Path) -> None:
    """A client that dies right afterwards has a successor that looks for it by these."""
    gates = []
    pid = -1
    try:
        wanted = Order(name="forked", words=("run", "0"), environment={"WHERE": "here"})
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        gates.append(ours)
        ours.settimeout(WITHIN_S)
        with theirs, (tmp_path / "out").open("wb") as out:
            streams = Streams(stdin=out.fileno(), stdout=out.fileno(), stderr=out.fileno())
            fork_server._send(server[1], wanted, streams, theirs.fileno())
        pid = json.loads(server[1].recv(256))["pid"]
        assert ours.recv(1)
        of = Path(f"/proc/{pid}")
        assert (of / "environ").read_bytes().rstrip(b"\0") == b"WHERE=here"
        assert (of / "cmdline").read_bytes().rstrip(b"\0") == b"run\x000"
        assert os.getsid(pid) == pid
        # It does nothing before the client lets it go, and ends with a client that does not.
        pidfd = os.pidfd_open(pid)
        gates.pop().close()
        assert select.select([pidfd], [], [], WITHIN_S)[0]
        os.close(pidfd)
        assert (tmp_path / "out").read_bytes() == b""
    finally:
        for gate in gates:
            gate.close()


def test_a_server_that_does_not_answer_runs_nothing(server: Server, tmp_path: Path) -> None:
    process, orders = server
    process.send_signal(signal.SIGSTOP)
    assert order(orders, tmp_path / "out", "0", within_s=0.2) is None
    orders.close()
    process.send_signal(signal.SIGCONT)  # it reads the order now, and then that nobody waits
    assert process.wait(WITHIN_S) == 0
    assert (tmp_path / "out").read_bytes() == b""


def test_a_server_that_is_killed_is_lost(server: Server, tmp_path: Path) -> None:
    process, orders = server
    process.kill()
    process.wait()
    assert order(orders, tmp_path / "out", "0") is None


@pytest.mark.parametrize("size", [50_000, 1_000_000], ids=["no room to show it", "no message"])
def test_an_order_that_is_too_long_is_refused(server: Server, tmp_path: Path, size: int) -> None:
    with pytest.raises(OSError) as refused:
        order(server[1], tmp_path / "out", "0", variable="x" * size)
    assert refused.value.errno in {errno.E2BIG, errno.EMSGSIZE}
    pid = order(server[1], tmp_path / "out", "0")  # and the next one is not
    assert pid is not None
    os.waitpid(pid, 0)
