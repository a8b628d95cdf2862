"""Worlds in which functions run on machines over SSH: real sshd, one a machine, each with files of
its own. A machine's bundle is this repository's environment, so nothing is copied."""

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from support.leftovers import Leftover, noted
from support.sshd import Sshd, sshd
from support.testbed import Testbed
from support.vim_worlds import KILLED, PE1, PE2, STAND_IN, made
from umbel.compute.drivers.process import procfs
from umbel.compute.drivers.process.records import Records
from umbel.compute.drivers.ssh import keys
from umbel.compute.drivers.ssh.surroundings import LinkLimits, SshLimits, Surroundings
from umbel.compute.drivers.ssh.vim import SshVim
from umbel.compute.machines.model import HOSTS_POOL, Machine
from umbel.compute.model import Function, Node
from umbel.delivery.loop import functions
from umbel.delivery.trees.view import Costs
from umbel.kit import tokens
from umbel.kit.clock import SystemClock

KEY = keys.derive(b"the master key of these tests")
BUNDLE = "here"
ROOT = Path(__file__).parents[2]
PATIENT = LinkLimits(ssh=SshLimits(connect_s=60.0), wait_s=60.0, call_s=60.0)


class Rows:
    """Machines that stand in no database."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}

    async def all(self) -> Mapping[str, Machine]:
        return dict(self.machines)


def bundle_here(prefix: Path) -> None:
    """Install a bundle that is this environment."""
    python = prefix / "bundles" / BUNDLE / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT}/src exec {sys.executable} "$@"\n')
    python.chmod(0o755)


class SshWorld:
    """Two machines with an sshd each; every process is dead when the world ends."""

    killed = KILLED

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        command: Sequence[str] = (),
        testbed: Testbed | None = None,
    ) -> None:
        self.folder = folder
        self._command = tuple(command) or (sys.executable, STAND_IN)
        self._key = folder / "key.pem"
        self._key.write_bytes(tokens.Signer(tokens.new_private_key()).public_key)
        self.rows = Rows()
        self.servers: dict[str, Sshd] = {}
        self.pe1, self.pe2 = self._nodes(testbed)
        for node in (self.pe1, self.pe2):
            self._add(node, stack, testbed)
        described = functions.described(self._key, Costs(), self._command)
        self.edge = made(described["edge"], self.pe2.name)
        self.acquirer = made(described["acquirer"], self.pe1.name)
        self.vims: list[SshVim] = []
        self.vim = self.open()

    def _nodes(self, testbed: Testbed | None) -> tuple[Node, Node]:
        if testbed is None:
            return replace(PE1, pool=HOSTS_POOL), replace(PE2, pool=HOSTS_POOL)
        a, b = (testbed.nodes[name].plan.node for name in ("a", "b"))
        return replace(a, pool=HOSTS_POOL), replace(b, pool=HOSTS_POOL)

    def _add(self, node: Node, stack: ExitStack, testbed: Testbed | None) -> None:
        prefix = self.folder / node.name
        bundle_here(prefix)
        server = stack.enter_context(
            sshd(
                prefix / "sshd",
                authorized=KEY.public,
                address=node.address if testbed else "127.0.0.1",
                namespace=testbed.nodes[node.name].namespace if testbed else "",
            )
        )
        self.servers[node.name] = server
        self.rows.machines[node.name] = Machine(
            name=node.name,
            pool=HOSTS_POOL,
            target=server.target,
            host_key=server.host_key,
            bundle=BUNDLE,
            prefix=str(prefix),
            run_as="",
        )

    def open(self, limits: LinkLimits = PATIENT) -> SshVim:
        """Another control plane's VIM over the same machines."""
        around = Surroundings(key=KEY, clock=SystemClock(), limits=limits, files=(self._key,))
        vim = SshVim(HOSTS_POOL, self.rows, around)
        self.vims.append(vim)
        return vim

    async def reopen(self) -> SshVim:
        await self.vim.close()
        return self.open()

    def described(self, node: Node, command: Sequence[str]) -> Function:
        """An edge of that command."""
        described = functions.described(self._key, Costs(), tuple(command))
        return made(described["edge"], node.name)

    def records(self, node: str) -> Records:
        """What the machine remembers of its functions."""
        return Records(self.folder / node / "state")

    def pid(self, function_id: str) -> int:
        found = (self.records(name).get(function_id) for name in self.servers)
        record = next(one for one in found if one is not None)
        assert record.pid
        return record.pid

    def kill(self, function_id: str) -> None:
        os.kill(self.pid(function_id), 9)

    async def end(self) -> None:
        for vim in self.vims:
            await vim.close()
        last = self.open()
        for name in self.servers:
            for function_id in self.records(name).ids():
                await last.stop(function_id)
        await last.close()
        left = [p.pid for p in procfs.scan() if self._is_a_functions(p.pid)]
        assert not left, f"processes left: {left}"

    def _is_a_functions(self, pid: int) -> bool:
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return any(f"{self.folder}/{name}/state/ready".encode() in line for name in self.servers)


@asynccontextmanager
async def ssh_world(
    folder: Path, command: Sequence[str] = (), testbed: Testbed | None = None
) -> AsyncIterator[SshWorld]:
    """A world of stand-ins, or of what the command starts; on this machine or in a testbed."""
    with noted(Leftover(folder=str(folder))), ExitStack() as stack:
        world = SshWorld(folder, stack, command, testbed)
        try:
            yield world
        finally:
            await world.end()
