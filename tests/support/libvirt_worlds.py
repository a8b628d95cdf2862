"""The world in which functions run as guests: two real hypervisors, each with a libvirtd and QEMU
of its own, and the guest that `umbel image build relay` makes."""

import fcntl
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from support.libvirtd import RealHypervisor, hypervisor, segment
from support.vim_worlds import ended, made
from umbel.compute.drivers.libvirt.context import GuestContext, GuestLimits
from umbel.compute.drivers.libvirt.vim import LibvirtVim
from umbel.compute.health import Limits
from umbel.compute.hypervisors.model import HYPERVISORS_POOL, Hypervisor
from umbel.compute.images import build
from umbel.compute.images.folder import Images
from umbel.compute.images.model import NoSuchImage
from umbel.compute.machines import bundle
from umbel.compute.model import Function, Node, NodeKind
from umbel.delivery.loop import functions
from umbel.delivery.trees.view import Costs
from umbel.kit import tokens
from umbel.kit.clock import SystemClock

ROOT = Path(__file__).parents[2]
INSTALLATION = "0123456789abcdef"
PATIENT = GuestLimits(
    connect_s=75.0,
    wait_s=75.0,
    call_s=150.0,
    look_s=75.0,
    health=Limits(probe_every_s=0.5, probe_deadline_s=10.0, stop_within_s=15.0, sample_every_s=0.5),
)


def images_here() -> Images:
    """The folder of images as the code makes them now; kept from one run to the next. The relay's
    is there."""
    sources = sorted((ROOT / "src/umbel/compute/images").rglob("*"))
    files = [path for path in sources if path.is_file() and path.suffix != ".pyc"]
    code = b"".join(path.read_bytes() for path in files)
    images = Images(ROOT / "build" / "test-images" / sha256(code).hexdigest()[:16])
    with _building(images):
        if not (images.folder / "relay").exists():
            build.build("relay", images)
    return images


def media_image(images: Images) -> None:
    """Have the image of media servers there, as this control plane's packages are now."""
    here = bundle.collect().id
    with _building(images):
        try:
            if images.get("media").packages["umbel"] == here:
                return
        except NoSuchImage:
            pass
        build.build("media", images)


@contextmanager
def _building(images: Images) -> Iterator[None]:
    """One test process builds at a time, so that the others find what it made."""
    images.folder.parent.mkdir(parents=True, exist_ok=True)
    with (images.folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class HypervisorRows:
    """Hypervisors that stand in no database."""

    def __init__(self, *hypervisors: Hypervisor) -> None:
        self.hypervisors = {one.name: one for one in hypervisors}

    async def all(self) -> Mapping[str, Hypervisor]:
        return dict(self.hypervisors)


@dataclass(frozen=True)
class Ground:
    """Two hypervisors and the images, for several worlds one after the other."""

    a: RealHypervisor
    b: RealHypervisor
    images: Images


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """The hypervisors of the nodes pe1 and pe2."""
    with ExitStack() as stack:
        images = images_here()
        lan = stack.enter_context(segment())
        a, b = (stack.enter_context(hypervisor(name, folder, lan)) for name in ("pe1", "pe2"))
        yield Ground(a, b, images)


class LibvirtWorld:
    """Functions are guests; when it ends, nothing of them is left."""

    killed = "the guest's QEMU was killed or crashed"

    def __init__(self, below: Ground, limits: GuestLimits = PATIENT) -> None:
        self.ground, self._limits = below, limits
        for real in (below.a, below.b):
            real.disown(INSTALLATION)
        self.rows = HypervisorRows(below.a.hypervisor, below.b.hypervisor)
        self.pe1, self.pe2 = (node_of(one.hypervisor) for one in (below.a, below.b))
        self.key = below.a.folder / "key.pem"
        self.key.write_bytes(tokens.Signer(tokens.new_private_key()).public_key)
        described = functions.described(self.key, Costs())
        self.media = made(described["forwarder"], self.pe2.name)
        self.edge, self.acquirer = (
            in_a_guest(made(described[role], real.hypervisor.name), real.host_address)
            for role, real in (("edge", below.b), ("acquirer", below.a))
        )
        self.vims: list[LibvirtVim] = []
        self.vim = self.open()

    def open(self, limits: GuestLimits | None = None) -> LibvirtVim:
        """Another control plane's VIM over the same hypervisors."""
        around = GuestContext(
            installation=INSTALLATION,
            images=self.ground.images,
            clock=SystemClock(),
            limits=limits or self._limits,
            files=(self.key,),
        )
        vim = LibvirtVim(HYPERVISORS_POOL, self.rows, around)
        self.vims.append(vim)
        return vim

    async def reopen(self) -> LibvirtVim:
        await self.vim.close()
        return self.open()

    def kill(self, function_id: str) -> None:
        for real in (self.ground.a, self.ground.b):
            if real.has(function_id):
                os.kill(real.pid(function_id), 9)

    async def end(self) -> None:
        await ended([*self.vims], self.open)
        for real in (self.ground.a, self.ground.b):
            assert real.devices() == []
            assert real.guest_files() == []


def node_of(one: Hypervisor) -> Node:
    """The node of a hypervisor with one guest."""
    address = one.network.first
    return Node(name=one.name, kind=NodeKind.PROVIDER_EDGE, address=address, pool=one.pool)


def in_a_guest(function: Function, sender: str) -> Function:
    """The same function out of the relay's image: it sends back what comes from `sender`."""
    described = replace(function.description, image="relay", command=())
    environment = {**function.environment, "UMBEL_SENDERS": sender}
    return replace(function, description=described, environment=environment)


@asynccontextmanager
async def libvirt_world(below: Ground) -> AsyncIterator[LibvirtWorld]:
    """A world on these hypervisors."""
    world = LibvirtWorld(below)
    try:
        yield world
    finally:
        await world.end()
