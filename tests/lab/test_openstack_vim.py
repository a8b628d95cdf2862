"""Functions as servers: what the contract does not say, with a real OpenStack and real guests."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from support.openstack_cloud import ABSENT
from support.openstack_worlds import (
    INSTALLATION,
    PATIENT,
    CloudRows,
    OpenStackGround,
    OpenStackWorld,
    openstack_world,
)
from support.vim_worlds import OWNER, until, until_state
from umbel.compute.clouds import clouds_file
from umbel.compute.clouds.model import (
    CloudDenied,
    CloudNodeInUse,
    CloudNodeUnfit,
    CloudUnreachable,
)
from umbel.compute.drivers.openstack.access import OpenStackAccess
from umbel.compute.drivers.openstack.context import CloudContext
from umbel.compute.drivers.openstack.vim import OpenStackVim
from umbel.compute.images.folder import Images
from umbel.compute.images.model import NoSuchImage
from umbel.compute.model import Function, FunctionState
from umbel.compute.ports import CannotRun, MachineFull
from umbel.kit.clock import SystemClock

pytestmark = [
    pytest.mark.clouds,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]


@pytest.fixture
async def world(two_computes: OpenStackGround) -> AsyncIterator[OpenStackWorld]:
    async with openstack_world(two_computes) as made:
        yield made


@contextmanager
def without(ground: OpenStackGround, service: str) -> Iterator[None]:
    """One of the cloud's services is away for a while."""
    ground.cloud.stop(service)
    try:
        yield
    finally:
        ground.cloud.start(service)


def access(ground: OpenStackGround, images: Images | None = None) -> OpenStackAccess:
    around = CloudContext(
        installation=INSTALLATION,
        images=images or ground.images,
        clock=SystemClock(),
        limits=PATIENT,
    )
    return OpenStackAccess(around)


def elsewhere(world: OpenStackWorld, **changes: object) -> OpenStackVim:
    """A VIM whose node pe2 is another place in the cloud."""
    there = replace(world.rows.nodes["pe2"], **changes)  # type: ignore[arg-type]
    world.rows = CloudRows(there)
    return world.open()


def with_environment(function: Function, **environment: str) -> Function:
    return replace(function, environment={**function.environment, **environment})


async def active(world: OpenStackWorld) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)


async def test_a_function_that_ends_says_why_on_its_console(world: OpenStackWorld) -> None:
    function = with_environment(world.edge, UMBEL_NEXT_HOPS="nowhere:9")
    await world.vim.start(OWNER, function, world.pe2)
    failed = await until_state(world.vim, function.id, FunctionState.FAILED)
    assert failed.reason == "ended with status 2"
    assert "umbel: the function ended with status 2" in await world.vim.console(function.id)


async def test_only_the_ports_of_its_node_are_reached(world: OpenStackWorld) -> None:
    await active(world)
    seen = (await world.vim.running())[world.edge.id]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(seen.address, 20098)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3):
            await asyncio.open_connection(seen.address, 20100)
    echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    echo.settimeout(30)
    with echo:
        echo.sendto(b"to and fro", (seen.address, seen.ports["udp"]))
        assert echo.recv(100) == b"to and fro"


@pytest.mark.parametrize("service", ["keystone", "nova"])
async def test_a_cloud_that_is_away_is_lost_and_its_functions_go_on(
    world: OpenStackWorld, service: str
) -> None:
    await active(world)
    pid = world.pid(world.edge.id)
    told: list[str] = []
    world.vim.watch(told.append)

    async def is_lost(*names: str) -> bool:
        seen = await world.vim.running()
        assert seen[world.edge.id].state is FunctionState.ACTIVE
        return world.vim.lost_nodes == set(names)

    with without(world.ground, service):
        if service == "nova":
            await until(lambda: is_lost("pe1", "pe2"), what="lost")
            with pytest.raises(CloudUnreachable):
                await world.vim.start(OWNER, world.acquirer, world.pe1)
        else:  # who has signed in needs it no more, and others do
            other = world.open()
            assert await other.running() == {}
            assert other.lost_nodes == {"pe1", "pe2"}
    await until(is_lost, what="there again")
    if service == "nova":
        assert world.edge.id in told
    assert world.pid(world.edge.id) == pid


async def test_a_token_that_is_revoked_is_replaced(world: OpenStackWorld) -> None:
    await active(world)
    world.ground.cloud.revoke_tokens()
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    assert world.vim.lost_nodes == frozenset()


async def test_credentials_that_are_gone_are_denied(world: OpenStackWorld) -> None:
    url = world.ground.cloud.url
    text = world.ground.cloud.clouds_file(
        application_credential_id="0" * 32, application_credential_secret="x"
    )
    vim = elsewhere(world, credentials=clouds_file.parse(text))
    assert await vim.running() == {}
    assert vim.lost_nodes == {"pe2"}
    with pytest.raises(CloudDenied, match="does not know these credentials"):
        await vim.start(OWNER, world.edge, world.pe2)
    with pytest.raises(CloudDenied):
        await access(world.ground).look_over(world.rows.nodes["pe2"])
    assert url


async def test_a_quota_that_is_used_up_is_no_fault_of_the_function(world: OpenStackWorld) -> None:
    await active(world)
    with world.ground.cloud.quota(instances=1), pytest.raises(MachineFull, match="uota"):
        await world.vim.start(OWNER, world.acquirer, world.pe1)
    await world.vim.start(OWNER, world.acquirer, world.pe1)


async def test_a_cloud_without_room_says_it(world: OpenStackWorld) -> None:
    vim = elsewhere(world, flavor="huge")
    await vim.start(OWNER, world.edge, world.pe2)
    failed = await until_state(vim, world.edge.id, FunctionState.FAILED)
    assert failed.reason.startswith("its cloud has no room for it: No valid host")
    await vim.stop(world.edge.id)


async def test_what_cannot_run_there_is_refused_and_leaves_nothing(world: OpenStackWorld) -> None:
    unknown = replace(world.edge.description, image="nothing", command=())
    with pytest.raises(NoSuchImage, match="nothing"):
        await world.vim.start(OWNER, replace(world.edge, description=unknown), world.pe2)
    with pytest.raises(CannotRun, match="the flavour has 1 and 64"):
        vim = elsewhere(world, flavor="tiny")
        await vim.start(OWNER, world.edge, world.pe2)
    with pytest.raises(CannotRun, match="no flavour none"):
        vim = elsewhere(world, flavor="none")
        await vim.start(OWNER, world.edge, world.pe2)
    assert world.ground.cloud.servers() == []


async def test_a_second_server_of_a_function_does_not_count_and_goes(
    world: OpenStackWorld,
) -> None:
    """Two control planes that start it at once."""
    other = world.open()
    await asyncio.gather(
        world.vim.start(OWNER, world.edge, world.pe2),
        other.start(OWNER, world.edge, world.pe2),
        return_exceptions=True,
    )
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    assert len(await world.vim.running()) == 1
    await world.vim.stop(world.edge.id)
    assert world.ground.cloud.servers() == []


# -- nodes ----------------------------------------------------------------------------------


async def test_a_project_is_looked_over_and_cleared(world: OpenStackWorld) -> None:
    ground, cloud = world.ground, world.ground.cloud
    there = replace(ground.node(ground.b), name="town")
    facts = await access(ground).look_over(there)
    assert facts.address.startswith(f"{cloud.network}.")
    assert facts.version == "2.93"
    assert (facts.cores, facts.memory_mb) == (10, 2560)
    assert len(cloud.left()) == 1
    await access(ground).clear(there)
    assert cloud.left() == []
    assert "umbel-" not in str([one.name for one in cloud.user.network.security_groups()])


async def test_all_that_is_missing_is_said_at_once(world: OpenStackWorld) -> None:
    ground = world.ground
    there = replace(ground.node(ground.a), flavor="none", network="nowhere", zone="mars")
    no_images = Images(ground.cloud.folder / "no-images")
    with ground.cloud.quota(instances=0), pytest.raises(CloudNodeUnfit) as refused:
        await access(ground, no_images).look_over(there)
    said = str(refused.value)
    for problem in (
        "no flavour none; there are ",
        "no network nowhere; there are lan",
        "no zone mars",
        "used its quota of servers",
        "umbel image build",
    ):
        assert problem in said
    assert ground.cloud.left() == []


async def test_a_node_with_functions_is_not_cleared(world: OpenStackWorld) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    with pytest.raises(CloudNodeInUse, match=world.edge.id):
        await access(world.ground).clear(world.ground.node(world.ground.b))
