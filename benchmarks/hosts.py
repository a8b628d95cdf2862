"""What it costs to start functions over SSH: 50 of them on 10 machines, each a network namespace
with OpenSSH's own server, next to the process driver that starts 50 on this machine.

In: nothing; it needs root. Out: JSON lines on stdout, a table for people on stderr. Sessions are
open before the starts are measured; opening them is a case of its own.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.figures import Figure, emit

from support.ssh_worlds import BUNDLE, KEY, PATIENT, Rows, bundle_here
from support.sshd import sshd
from umbel.compute.drivers.process import ProcessVim
from umbel.compute.drivers.ssh.surroundings import Surroundings
from umbel.compute.drivers.ssh.vim import SshVim
from umbel.compute.machines.model import HOSTS_POOL, Machine
from umbel.compute.model import (
    Description,
    Function,
    FunctionState,
    Node,
    NodeKind,
    Port,
)
from umbel.compute.ports import Vim
from umbel.kit import log
from umbel.kit.clock import SystemClock

ROUNDS = 3
MACHINES, FUNCTIONS = 10, 50
ACTIVE_S = 120.0
PEER = "process driver"
SLEEP = Description(name="sleep", command=("sleep", "600"), ports=(Port(name="control"),))


@contextmanager
def namespaces() -> Iterator[dict[str, str]]:
    """The address in each namespace, by its name; this machine reaches all."""
    with ExitStack() as stack:
        found = {}
        for number in range(MACHINES):
            name, device = f"umbel-bench-{os.getpid()}-{number}", f"ubh{number}"
            run("ip", "netns", "add", name)
            stack.callback(run, "ip", "netns", "delete", name)
            run("ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", name)
            # With its namespace it would go later than the next round comes.
            stack.callback(run, "ip", "link", "delete", device)
            run("ip", "address", "add", f"10.213.{number}.1/24", "dev", device)
            run("ip", "link", "set", device, "up")
            for command in (
                f"address add 10.213.{number}.2/24 dev eth0",
                "link set eth0 up",
                "link set lo up",
            ):
                run("ip", "-n", name, *command.split())
            found[name] = f"10.213.{number}.2"
        yield found


def run(*words: str) -> None:
    subprocess.run(words, check=True)


def functions(nodes: list[Node]) -> list[tuple[Function, Node]]:
    """50 of them, on one node after the other."""
    places = (nodes[number % len(nodes)] for number in range(FUNCTIONS))
    return [
        (Function(id=f"sleep-{n}", node=node.name, description=SLEEP), node)
        for n, node in enumerate(places)
    ]


async def started_ms(vim: Vim, nodes: list[Node]) -> float:
    """From the first start until all are active; then they are stopped."""
    wanted = functions(nodes)
    began_s = time.perf_counter()
    await asyncio.gather(*(vim.start("bench", function, node) for function, node in wanted))
    async with asyncio.timeout(ACTIVE_S):
        while await active(vim) < FUNCTIONS:
            await asyncio.sleep(0.005)
    took_s = time.perf_counter() - began_s
    await asyncio.gather(*(vim.stop(function.id) for function, _ in wanted))
    return took_s * 1000


async def active(vim: Vim) -> int:
    seen = (await vim.running()).values()
    return sum(one.state is FunctionState.ACTIVE for one in seen)


async def over_ssh(folder: Path, places: dict[str, str]) -> tuple[float, float]:
    """Milliseconds until 10 sessions are open, and until 50 functions are active."""
    rows, nodes = Rows(), []
    with ExitStack() as stack:
        for name, address in places.items():
            prefix = folder / name
            bundle_here(prefix)
            server = stack.enter_context(
                sshd(prefix / "sshd", authorized=KEY.public, address=address, namespace=name)
            )
            rows.machines[name] = Machine(
                name=name,
                pool=HOSTS_POOL,
                target=server.target,
                host_key=server.host_key,
                bundle=BUNDLE,
                prefix=str(prefix),
                run_as="",
            )
            nodes.append(Node(name=name, kind=NodeKind.PROVIDER_EDGE, address=address))
        vim = SshVim(HOSTS_POOL, rows, Surroundings(key=KEY, clock=SystemClock(), limits=PATIENT))
        try:
            began_s = time.perf_counter()
            await vim.running()
            open_ms = (time.perf_counter() - began_s) * 1000
            return open_ms, await started_ms(vim, nodes)
        finally:
            await vim.close()


async def here(folder: Path) -> float:
    """The same functions by the process driver on this machine."""
    vim = ProcessVim(folder, SystemClock())
    node = Node(name="here", kind=NodeKind.PROVIDER_EDGE, address="127.0.0.1")
    try:
        return await started_ms(vim, [node])
    finally:
        await vim.close()


def main() -> None:
    log.configure(level="error")
    opened, started, peers = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder, namespaces() as places:
            peers.append(asyncio.run(here(Path(folder) / "here")))
            open_ms, start_ms = asyncio.run(over_ssh(Path(folder), places))
            opened.append(open_ms)
            started.append(start_ms)
    peer_ms = statistics.median(peers)
    emit(
        Figure(
            bench="hosts",
            case="open-10-sessions",
            value=statistics.median(opened),
            unit="ms",
            n=ROUNDS,
        )
    )
    emit(
        Figure(
            bench="hosts",
            case="start-50-on-10",
            value=statistics.median(started),
            unit="ms",
            n=ROUNDS,
            peer=PEER,
            peer_value=peer_ms,
        )
    )


if __name__ == "__main__":
    main()
