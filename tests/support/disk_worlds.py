"""Worlds in which guests have disks of volumes, and what is on those disks."""

import asyncio
import base64
import json
import subprocess
from pathlib import Path
from typing import Protocol

from support.libvirt_worlds import LibvirtWorld
from support.libvirtd import RealHypervisor
from support.vim_worlds import OWNER, FakeWorld, until, until_state
from umbel.compute.drivers.fake import FakeGuestVim
from umbel.compute.drivers.libvirt import disk_xml
from umbel.compute.drivers.libvirt.guest import domain_name
from umbel.compute.model import Function, FunctionState, Node
from umbel.compute.ports import GuestControl, KeepsSnapshots, Vim
from umbel.compute.volumes.ports import KeepsDisks
from umbel.kit.clock import LoopClock

BLOCK = 512


class DiskVim(Vim, GuestControl, KeepsSnapshots, KeepsDisks, Protocol):
    """A VIM whose guests have volumes."""


class DiskWorld(Protocol):
    """`guest` runs at `node`, once it is started."""

    guest: Function
    node: Node

    @property
    def vim(self) -> DiskVim: ...

    async def write(self, disk: str, letter: str) -> None:
        """Fill the first block of the disk; as the guest does it, where that has the disk."""

    async def read(self, disk: str) -> str:
        """The letter that the first block is full of; empty where it is empty."""

    async def read_inside(self, disk: str) -> str:
        """The same, as the guest sees it."""

    def disks(self) -> list[str]:
        """Those that are at the node."""


async def started(world: DiskWorld) -> None:
    """The guest runs."""
    await world.vim.start(OWNER, world.guest, world.node)
    await until_state(world.vim, world.guest.id, FunctionState.ACTIVE)


class FakeDiskWorld:
    """Guests in memory."""

    def __init__(self) -> None:
        apart = FakeWorld()
        self.guest, self.node = apart.edge, apart.pe2
        self.vim = FakeGuestVim(LoopClock(), boot_s=0.05)

    async def write(self, disk: str, letter: str) -> None:
        self.vim.disks.write(self.node.name, disk, letter.encode())

    async def read(self, disk: str) -> str:
        return self.vim.disks.read(self.node.name, disk).decode()

    async def read_inside(self, disk: str) -> str:
        assert disk in self.vim.disks.of(self.guest.id)
        return await self.read(disk)

    def disks(self) -> list[str]:
        return self.vim.disks.names(self.node.name)


class GuestDiskWorld:
    """Real guests: what they write goes through QEMU."""

    def __init__(self, below: LibvirtWorld, real: RealHypervisor) -> None:
        self.guest, self.node = below.edge, below.pe2
        self.vim = below.vim
        self._real = real

    async def write(self, disk: str, letter: str) -> None:
        if disk not in await self.vim.disks.attached(self.node.name):
            with self._file(disk).open("r+b") as file:
                file.write(letter.encode() * BLOCK)
            return
        target = await asyncio.to_thread(self._target, disk)
        number = disk_xml.TARGETS.index(target) + 2
        device = f"/machine/peripheral/virtio-disk{number}/virtio-backend"
        command = f'qemu-io -d {device} "write -P {ord(letter)} 0 {BLOCK}"'
        said = await asyncio.to_thread(self._virsh, "qemu-monitor-command", "--hmp", command)
        assert "error" not in said.lower(), said

    async def read(self, disk: str) -> str:
        return _letter(self._file(disk).read_bytes()[:BLOCK])

    async def read_inside(self, disk: str) -> str:
        """By the guest's agent, once the guest has found the disk."""
        device = f"/dev/{await asyncio.to_thread(self._target, disk)}"
        found: list[str] = []

        async def is_read() -> bool:
            opened = await asyncio.to_thread(self._agent, "guest-file-open", path=device)
            if not isinstance(opened, int):
                return False
            handle = {"handle": opened}
            read = await asyncio.to_thread(self._agent, "guest-file-read", count=BLOCK, **handle)
            await asyncio.to_thread(self._agent, "guest-file-close", **handle)
            assert isinstance(read, dict)
            found.append(read["buf-b64"])
            return True

        await until(is_read, what=f"{device} is read in the guest")
        return _letter(base64.b64decode(found[0]))

    def disks(self) -> list[str]:
        return sorted(filter(None, map(disk_xml.disk_of, self._names())))

    def _names(self) -> list[str]:
        return [path.name for path in Path(self._real.hypervisor.folder).glob("volume.*")]

    def _file(self, disk: str) -> Path:
        return Path(self._real.hypervisor.folder) / disk_xml.file_name(disk)

    def _target(self, disk: str) -> str:
        return disk_xml.target(disk_xml.devices(self._virsh("dumpxml"))[disk])

    def _agent(self, execute: str, **arguments: object) -> object:
        request = json.dumps({"execute": execute, "arguments": arguments})
        said = self._virsh("qemu-agent-command", request, is_checked=False)
        return json.loads(said)["return"] if said else None

    def _virsh(self, command: str, *words: str, is_checked: bool = True) -> str:
        named = [command, domain_name(self.guest.id), *words]
        done = subprocess.run(
            ["virsh", "-q", "-c", self._real.hypervisor.uri, *named],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0 or not is_checked, f"{named}: {done.stderr}"
        return done.stdout.strip() if done.returncode == 0 else ""


def _letter(block: bytes) -> str:
    if not block.strip(b"\0"):
        return ""
    assert block == block[:1] * BLOCK
    return block[:1].decode()
