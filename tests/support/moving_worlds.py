"""Worlds in which functions move between nodes while they run, and the hand of fate there."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from support.libvirt_worlds import INSTALLATION, PATIENT, Ground, LibvirtWorld
from support.libvirtd import RealHypervisor
from support.vim_worlds import FakeWorld
from umbel.compute.drivers.fake import FakeVim
from umbel.compute.drivers.libvirt.access import LibvirtAccess
from umbel.compute.drivers.libvirt.context import GuestContext
from umbel.compute.drivers.libvirt.vim import LibvirtVim
from umbel.compute.model import Function, Node
from umbel.kit.clock import SystemClock

STALLED_S = 15.0


class MovingWorld(Protocol):
    """`edge` runs at `pe2`, and moves to `pe1`."""

    pe1: Node
    pe2: Node
    edge: Function

    @property
    def vim(self) -> FakeVim | LibvirtVim: ...

    def kill(self, function_id: str) -> None:
        """As kill -9."""

    async def reopen(self) -> FakeVim | LibvirtVim:
        """The control plane is gone; another one over the same functions."""

    def slow_copies(self, *, is_slow: bool = True) -> None:
        """A copy takes some seconds from now on, or as long as it must."""

    def refuse(self, node: str) -> None:
        """The node takes no functions."""

    def lose(self, node: str) -> None:
        """The machine is gone with all that ran there."""

    def regain(self, node: str) -> None:
        """The machine is there again."""

    def cut(self, *, is_cut: bool = True) -> None:
        """Nothing gets from one node to the other."""

    def running_at(self, function_id: str) -> list[str]:
        """The nodes where it runs, as the machines themselves show it."""

    def left(self, node: str) -> Collection[str]:
        """What of functions is on a node: files, devices."""


class MovingFakes(FakeWorld):
    """Functions in memory."""

    def slow_copies(self, *, is_slow: bool = True) -> None:
        self.vim.copy_s = 3.0 if is_slow else None

    def refuse(self, node: str) -> None:
        self.vim.refuse(node)

    def lose(self, node: str) -> None:
        self.vim.lose_node(node)

    def regain(self, node: str) -> None:
        self.vim.accept(node)

    def cut(self, *, is_cut: bool = True) -> None:
        self.vim.is_cut = is_cut

    def running_at(self, function_id: str) -> list[str]:
        return self.vim.at(function_id)

    def left(self, node: str) -> Collection[str]:
        return ()


class MovingGuests(LibvirtWorld):
    """Guests of hypervisors, whose storage may be one folder."""

    def __init__(self, below: Ground) -> None:
        super().__init__(below, replace(PATIENT, stalled_s=STALLED_S))
        self._real = {one.hypervisor.name: one for one in (below.a, below.b)}

    def slow_copies(self, *, is_slow: bool = True) -> None:
        for one in self._real.values():
            one.limit_copies(50 if is_slow else 0)

    def refuse(self, node: str) -> None:
        folder = Path(self.rows.hypervisors[node].folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"umbel.{INSTALLATION}.owner").unlink(missing_ok=True)
        (folder / "umbel.ffff.owner").touch()  # another installation has it

    def lose(self, node: str) -> None:
        self._real[node].lose()

    def regain(self, node: str) -> None:
        self._real[node].start()

    def cut(self, *, is_cut: bool = True) -> None:
        self._real[self.pe2.name].cut_copies(is_cut=is_cut)

    def running_at(self, function_id: str) -> list[str]:
        return [name for name, one in self._real.items() if one.runs(function_id)]

    def left(self, node: str) -> Collection[str]:
        one = self._real[node]
        return [*one.guest_files(), *one.devices()]

    async def clear(self, *nodes: str) -> None:
        """Nothing is on the hypervisors, or on those of these nodes: no image, no storage pool."""
        images = self.ground.images
        around = GuestContext(
            installation=INSTALLATION, images=images, clock=SystemClock(), limits=PATIENT
        )
        for node in nodes or self.rows.hypervisors:
            await LibvirtAccess(around).clear(self.rows.hypervisors[node])

    async def end(self) -> None:
        for one in self._real.values():
            one.cut_copies(is_cut=False)
            one.limit_copies(0)
            one.disown(INSTALLATION)
        await super().end()


def _storing(real: RealHypervisor, storage: Path) -> RealHypervisor:
    return replace(real, hypervisor=replace(real.hypervisor, folder=str(storage / "guests")))


@asynccontextmanager
async def moving_guests(below: Ground, storage: Path | None = None) -> AsyncIterator[MovingGuests]:
    """A world on these hypervisors; with `storage` as the one folder of both."""
    if storage is not None:
        await MovingGuests(below).clear()  # a pool has one folder
        below = replace(below, a=_storing(below.a, storage), b=_storing(below.b, storage))
    world = MovingGuests(below)
    try:
        await world.clear()
        yield world
    finally:
        await world.end()
        await world.clear()
