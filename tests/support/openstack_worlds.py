"""The world in which functions run as servers: a real OpenStack with two hypervisors, each in an
availability zone of its own, and the guest that `umbel image build relay` makes."""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from support.libvirt_worlds import images_here, in_a_guest
from support.openstack_cloud import OpenStackCloud
from support.openstack_hypervisor import RealHypervisor, hypervisor
from support.openstack_lab import cloud
from support.vim_worlds import ended, made
from support.waiting import poll_until
from umbel.compute.clouds import clouds_file
from umbel.compute.clouds.model import CLOUDS_POOL, CloudNode
from umbel.compute.drivers.openstack.context import CloudContext, CloudLimits
from umbel.compute.drivers.openstack.observed import SWITCHED_OFF
from umbel.compute.drivers.openstack.servers import server_name
from umbel.compute.drivers.openstack.vim import OpenStackVim
from umbel.compute.health import Limits
from umbel.compute.images.folder import Images
from umbel.compute.model import Node, NodeKind
from umbel.delivery.loop import functions
from umbel.delivery.trees.view import Costs
from umbel.kit import tokens
from umbel.kit.clock import SystemClock

INSTALLATION = "0123456789abcdef"
PATIENT = CloudLimits(
    call_s=100.0,
    stop_s=150.0,
    health=Limits(probe_every_s=0.5, probe_deadline_s=10.0, sample_every_s=0.5),
)
_KILL_WITHIN_S = 90.0


@dataclass(frozen=True)
class OpenStackGround:
    """A cloud with two hypervisors and the images, for several worlds one after the other."""

    cloud: OpenStackCloud
    a: RealHypervisor
    b: RealHypervisor
    images: Images

    def node(self, real: RealHypervisor) -> CloudNode:
        """A node of the hypervisor's zone, as an operator adds it."""
        return CloudNode(
            name=real.name,
            flavor="small",
            network="lan",
            zone=real.zone,
            credentials=clouds_file.parse(self.cloud.clouds_file()),
        )

    def pid(self, server_id: str) -> int:
        """The QEMU of a server; 0 while there is none."""
        return self.a.pid(server_id) or self.b.pid(server_id)


@contextmanager
def openstack_ground(folder: Path) -> Iterator[OpenStackGround]:
    """The hypervisors of the nodes pe1 and pe2."""
    with ExitStack() as stack:
        images = images_here()
        running = stack.enter_context(cloud(folder / "cloud"))
        a, b = (
            stack.enter_context(hypervisor(running, name, 11 + number))
            for number, name in enumerate(("pe1", "pe2"))
        )
        for real in (a, b):  # both begin first: that takes the time
            real.join(running)
        yield OpenStackGround(running, a, b, images)


class CloudRows:
    """Clouds' nodes that stand in no database."""

    def __init__(self, *nodes: CloudNode) -> None:
        self.nodes = {one.name: one for one in nodes}

    async def all(self) -> Mapping[str, CloudNode]:
        return dict(self.nodes)


class OpenStackWorld:
    """Functions are servers; when it ends, nothing of them is left. For each node's first function
    its address is reserved: that function's address is the node's."""

    # Nova hears of it after 15 s; a function that was ready has missed its probes by then.
    killed = (SWITCHED_OFF, "5 health probes in a row missed")

    def __init__(self, below: OpenStackGround) -> None:
        self.ground = below
        self.rows = CloudRows(below.node(below.a), below.node(below.b))
        self.pe1, self.pe2 = (
            node_of(below.node(one), f"{below.cloud.network}.{number}")
            for number, one in ((201, below.a), (202, below.b))
        )
        self.key = below.cloud.folder / "key.pem"
        self.key.write_bytes(tokens.Signer(tokens.new_private_key()).public_key)
        described = functions.described(self.key, Costs())
        sender = below.cloud.host_address
        self.edge = in_a_guest(made(described["edge"], "pe2"), sender)
        self.acquirer = in_a_guest(made(described["acquirer"], "pe1"), sender)
        for function, node in ((self.edge, self.pe2), (self.acquirer, self.pe1)):
            below.cloud.reserve(server_name(INSTALLATION, function.id), node.address)
        self.vims: list[OpenStackVim] = []
        self.vim = self.open()

    def open(self, limits: CloudLimits = PATIENT) -> OpenStackVim:
        """Another control plane's VIM over the same cloud."""
        around = CloudContext(
            installation=INSTALLATION,
            images=self.ground.images,
            clock=SystemClock(),
            limits=limits,
            files=(self.key,),
        )
        vim = OpenStackVim(CLOUDS_POOL, self.rows, around)
        self.vims.append(vim)
        return vim

    async def reopen(self) -> OpenStackVim:
        await self.vim.close()
        return self.open()

    def kill(self, function_id: str) -> None:
        """As soon as its server runs."""
        said = f"{function_id} does not run"
        ask = partial(self.pid, function_id)
        os.kill(poll_until(ask, within_s=_KILL_WITHIN_S, said=lambda: said), 9)

    def pid(self, function_id: str) -> int:
        """The QEMU of the function's server; 0 while it does not run."""
        found = self.ground.cloud.servers(function_id)
        return self.ground.pid(found[0].id) if found and found[0].status == "ACTIVE" else 0

    async def end(self) -> None:
        await ended([*self.vims], self.open)
        self.ground.cloud.release()
        assert self.ground.cloud.left() == []
        for real in (self.ground.a, self.ground.b):
            assert real.devices() == []


def node_of(there: CloudNode, address: str) -> Node:
    """The node in a cloud."""
    return Node(
        name=there.name,
        kind=NodeKind.PROVIDER_EDGE,
        address=address,
        cores=4.0,
        pool=there.pool,
        ports=(20000, 20099),
    )


@asynccontextmanager
async def openstack_world(below: OpenStackGround) -> AsyncIterator[OpenStackWorld]:
    """A world on these hypervisors."""
    world = OpenStackWorld(below)
    try:
        yield world
    finally:
        await world.end()
