"""Worlds in which one contract holds: a VIM plus the hand of fate that kills its functions."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from support.leftovers import Leftover, noted
from support.testbed import Testbed
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.drivers.process import (
    ForkServerProgram,
    HostExecutor,
    NamespaceExecutor,
    ProcessVim,
    procfs,
)
from umbel.compute.drivers.process.executors import Executor
from umbel.compute.drivers.process.records import Records
from umbel.compute.health import Limits
from umbel.compute.model import Description, Function, FunctionState, Instance, Node, NodeKind
from umbel.compute.ports import Vim
from umbel.delivery.loop import functions
from umbel.delivery.trees.view import Costs
from umbel.kit import tokens
from umbel.kit.clock import LoopClock, SystemClock

STAND_IN = str(Path(__file__).with_name("media_stand_in.py"))
PE1 = Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="127.0.1.1")
PE2 = Node(name="pe2", kind=NodeKind.PROVIDER_EDGE, address="127.0.2.1")
HURRIED = Limits(
    probe_every_s=0.1,
    probe_deadline_s=0.3,
    stop_within_s=2.0,
    sample_every_s=0.1,
)


OWNER = "delivery"
KILLED = "killed by signal 9"
NOWHERE = Path("/nowhere.pem")


def made(description: Description, node: str) -> Function:
    """A function of that description, with a secret of its own."""
    id_ = f"{description.name}-{node}-1"
    environment = {"UMBEL_MEDIA_SECRET": f"secret of {id_}"}
    return Function(id=id_, node=node, description=description, environment=environment)


class World(Protocol):
    pe1: Node
    pe2: Node
    edge: Function
    acquirer: Function

    @property
    def killed(self) -> str | tuple[str, ...]:
        """The reason that is seen then, or those of which one is."""

    @property
    def vim(self) -> Vim: ...

    async def reopen(self) -> Vim:
        """The control plane is gone; another one over the same functions."""

    def kill(self, function_id: str) -> None:
        """As kill -9."""


class FakeWorld:
    pe1, pe2 = PE1, PE2
    killed = KILLED

    def __init__(self) -> None:
        self.vim = FakeVim(LoopClock(), boot_s=0.05)
        described = functions.described(NOWHERE, Costs())
        self.edge, self.acquirer = (
            made(described["edge"], "pe2"),
            made(described["acquirer"], "pe1"),
        )

    async def reopen(self) -> FakeVim:
        await self.vim.close()
        return self.vim

    def kill(self, function_id: str) -> None:
        self.vim.kill(function_id)


class ProcessWorld:
    """Real processes; every one of them is dead when the world ends. In a testbed they run in its
    nodes a and b."""

    killed = KILLED

    def __init__(
        self,
        folder: Path,
        command: Sequence[str] = (),
        testbed: Testbed | None = None,
        forks: ForkServerProgram | None = None,
    ) -> None:
        self._forks = forks
        self._executor: Executor = HostExecutor()
        self.pe1, self.pe2 = PE1, PE2
        if testbed is not None:
            self._executor = NamespaceExecutor(testbed.name)
            self.pe1, self.pe2 = (testbed.nodes[name].plan.node for name in ("a", "b"))
        self.state_dir = folder / "state"
        self.records = Records(self.state_dir)
        self._key = folder / "key.pem"
        self._key.write_bytes(tokens.Signer(tokens.new_private_key()).public_key)
        self._command = tuple(command) or (sys.executable, STAND_IN)
        self._limits = Limits() if command else HURRIED
        self.vims: list[ProcessVim] = []
        self.vim = self.open()
        self.edge, self.acquirer = self.described("edge", "pe2"), self.described("acquirer", "pe1")

    def described(self, role: str, node: str, *manner: str) -> Function:
        """A function of the role, of a stand-in with that manner."""
        words = ("--manner", *manner) if manner else ()
        described = functions.described(self._key, Costs(), (*self._command, *words))
        return made(described[role], node)

    def open(
        self, *, limits: Limits | None = None, forks: ForkServerProgram | None = None
    ) -> ProcessVim:
        """Another control plane's VIM over the same functions."""
        vim = ProcessVim(
            self.state_dir,
            SystemClock(),
            limits=limits or self._limits,
            executor=self._executor,
            forks=forks or self._forks,
        )
        self.vims.append(vim)
        return vim

    async def reopen(self) -> ProcessVim:
        await self.vim.close()
        return self.open()

    def pid(self, function_id: str) -> int:
        record = self.records.get(function_id)
        assert record is not None
        assert record.pid
        return record.pid

    def kill(self, function_id: str) -> None:
        os.kill(self.pid(function_id), 9)

    async def end(self) -> None:
        for vim in self.vims:
            await vim.close()
        last = self.open()
        for function_id in self.records.ids():
            await last.stop(function_id)
        await last.close()
        left = [p.pid for p in procfs.scan() if self._is_ours(p.pid)]
        assert not left, f"processes left: {left}"

    def _is_ours(self, pid: int) -> bool:
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return str(self.state_dir).encode() in line


@asynccontextmanager
async def process_world(
    folder: Path,
    command: Sequence[str] = (),
    testbed: Testbed | None = None,
    forks: ForkServerProgram | None = None,
) -> AsyncIterator[ProcessWorld]:
    """A world of stand-ins, or of what the command starts, afresh or by a fork server; on this
    machine or in a testbed."""
    with noted(Leftover(folder=str(folder))):
        world = ProcessWorld(folder, command, testbed, forks)
        try:
            yield world
        finally:
            await world.end()


async def ended(vims: Iterable[Vim], open_: Callable[[], Vim]) -> None:
    """These control planes' VIMs are closed, and another one ends all functions."""
    for vim in vims:
        await vim.close()
    last = open_()
    for function_id in await last.running():
        await last.stop(function_id)
    assert await last.running() == {}
    await last.close()


async def until(
    condition: Callable[[], bool | Awaitable[bool]], *, within_s: float = 100.0, what: str = ""
) -> None:
    """Wait for a condition. Fails, naming it, when it does not come true in time."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                holds = condition()
                if holds if isinstance(holds, bool) else await holds:
                    return
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what or condition}") from None


async def until_state(
    vim: Vim, function_id: str, state: FunctionState, *, within_s: float = 100.0
) -> Instance:
    """Wait until the VIM shows the function in that state."""

    async def is_in_state() -> bool:
        instance = (await vim.running()).get(function_id)
        return instance is not None and instance.state is state

    await until(is_in_state, what=f"{function_id} {state.value}", within_s=within_s)
    return (await vim.running())[function_id]


def settled(instance: Instance) -> Instance:
    """The instance without what is measured: two looks at one function compare equal."""
    return replace(instance, cpu_cores=0.0, rss_mb=0.0)
