"""Functions as guests: what the contract does not say, with real hypervisors and guests."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.libvirt_worlds import (
    INSTALLATION,
    PATIENT,
    Ground,
    HypervisorRows,
    LibvirtWorld,
    libvirt_world,
    media_image,
)
from support.libvirtd import ABSENT
from support.vim_worlds import OWNER, settled, until, until_state
from umbel.compute import probe
from umbel.compute.drivers.libvirt.access import LibvirtAccess
from umbel.compute.drivers.libvirt.context import GuestContext
from umbel.compute.drivers.libvirt.vim import LibvirtVim
from umbel.compute.hypervisors.model import (
    Accelerator,
    Hypervisor,
    HypervisorFailed,
    HypervisorInUse,
    HypervisorUnreachable,
    NoGuestAddress,
    NoSuchGuest,
)
from umbel.compute.images.folder import Images
from umbel.compute.images.model import NoSuchImage
from umbel.compute.model import Function, FunctionState
from umbel.compute.ports import CannotRun, GuestControl
from umbel.kit.clock import SystemClock

if TYPE_CHECKING:
    from umbel.compute.drivers.libvirt.copies import SeenGuest
    from umbel.compute.drivers.libvirt.link import HypervisorLink

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]


HASTY = replace(
    PATIENT,
    agent_s=1,
    health=replace(PATIENT.health, probe_every_s=0.1, probe_deadline_s=0.3),
)


@pytest.fixture
async def world(two_hypervisors: Ground) -> AsyncIterator[LibvirtWorld]:
    async with libvirt_world(two_hypervisors) as made:
        yield made


def echoes(address: str, port: int, within_s: float = 0.5) -> bool:
    """Whether the relay in the guest sends a datagram back."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.settimeout(within_s)
        probe.sendto(b"there", (address, port))
        try:
            return probe.recv(100) == b"there"
        except TimeoutError:
            return False


def with_environment(function: Function, **environment: str) -> Function:
    return replace(function, environment={**function.environment, **environment})


async def test_guests_that_start_at_once_have_addresses_of_their_own(world: LibvirtWorld) -> None:
    one = world.ground.b.hypervisor
    last = str(ip_address(one.network.first) + 1)
    roomy = replace(one, network=replace(one.network, last=last))
    vim = of_hypervisors(world, HypervisorRows(roomy))
    both = (world.edge, replace(world.edge, id=f"{world.edge.id}-too"))
    await asyncio.gather(*(vim.start(OWNER, function, world.pe2) for function in both))
    seen = (await vim.running()).values()
    assert {instance.address for instance in seen} == {roomy.network.first, last}


async def test_a_look_that_answers_late_hides_no_guest(
    world: LibvirtWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    vim, held, answered = world.vim, asyncio.Event(), asyncio.Event()
    await vim.running()
    link = vim._links.now[world.pe2.name]

    on_time = link.seen

    async def late() -> "dict[str, SeenGuest]":
        monkeypatch.undo()
        found = await on_time()
        held.set()
        await answered.wait()
        return found

    monkeypatch.setattr(link, "seen", late)
    look = asyncio.create_task(vim.running())
    await held.wait()
    await vim.start(OWNER, world.edge, world.pe2)
    answered.set()
    assert set(await look) == {world.edge.id}
    with pytest.raises(NoGuestAddress):
        await vim.start(OWNER, replace(world.edge, id=f"{world.edge.id}-too"), world.pe2)


async def test_a_hypervisor_of_another_installation_is_refused(world: LibvirtWorld) -> None:
    one = world.ground.b.hypervisor
    image = world.ground.images.get("relay")
    async with link_to(one, around(world.ground.images)) as ours:
        await ours.probe(image, Accelerator.TCG)
        others = LibvirtAccess(replace(around(world.ground.images), installation="f" * 16))
        for refused in (others.look_over(one), others.clear(one)):
            with pytest.raises(HypervisorFailed, match=rf"umbel\.{INSTALLATION}\.owner is in its"):
                await refused
        assert INSTALLATION in str([*Path(one.folder).glob("umbel.*")])
        await ours.clear()
    async with link_to(one, replace(around(world.ground.images), installation="f" * 16)) as link:
        assert await link.probe(image, Accelerator.TCG) == ""
        await link.clear()


async def test_a_guest_is_suspended_and_reverted(world: LibvirtWorld) -> None:
    vim, edge = world.vim, world.edge
    assert isinstance(vim, GuestControl)
    await vim.start(OWNER, edge, world.pe2)
    active = await until_state(vim, edge.id, FunctionState.ACTIVE)
    where = (active.address, active.ports["udp"])
    await until(lambda: asyncio.to_thread(echoes, *where), what="packets pass the guest")
    await vim.snapshot(edge.id, "before")
    told: list[str] = []
    vim.watch(told.append)
    await vim.suspend(edge.id)
    suspended = replace(active, is_suspended=True)
    assert settled((await vim.running())[edge.id]) == settled(suspended)
    assert not await asyncio.to_thread(echoes, *where)
    # One that gives a guest up after some seconds without an answer leaves this one alone.
    hasty = world.open(HASTY)
    hasty.watch(told.append)
    for _ in range(20):
        assert (await hasty.running())[edge.id].state is FunctionState.ACTIVE
        assert not await asyncio.to_thread(echoes, *where)
    await hasty.close()
    assert told == []
    await vim.resume(edge.id)
    await until(lambda: asyncio.to_thread(echoes, *where), what="packets pass again")
    await vim.revert(edge.id, "before")
    await until(lambda: asyncio.to_thread(echoes, *where), what="packets pass the reverted guest")
    assert (await vim.running())[edge.id].state is FunctionState.ACTIVE


async def test_the_end_of_the_program_is_seen_with_its_reason(world: LibvirtWorld) -> None:
    told: list[str] = []
    world.vim.watch(told.append)
    function = with_environment(world.edge, UMBEL_NEXT_HOPS="nowhere:9")
    await world.vim.start(OWNER, function, world.pe2)
    failed = await until_state(world.vim, function.id, FunctionState.FAILED)
    assert failed.reason == "ended with status 2"
    await until(lambda: told == [function.id], what="told of the end")
    assert "relay: nowhere is no IPv4 address" in await world.vim.console(function.id)
    assert world.ground.b.devices() == []


async def test_a_media_server_runs_in_a_guest(world: LibvirtWorld) -> None:
    await asyncio.to_thread(media_image, world.ground.images)
    await world.vim.start(OWNER, world.media, world.pe2)
    active = await until_state(world.vim, world.media.id, FunctionState.ACTIVE, within_s=300)
    assert set(active.ports) == {"control", "tls", "http", "udp"}
    assert await probe.answers(active.address, active.ports["control"], "/healthz", 30.0)
    assert not await probe.answers(active.address, active.ports["control"], "/nothing", 30.0)
    await until(lambda: is_measured(world, active.id), what="what it uses was measured")


async def is_measured(world: LibvirtWorld, function_id: str) -> bool:
    seen = (await world.vim.running())[function_id]
    return seen.cpu_cores > 0 and seen.rss_mb > 50


async def test_a_hypervisor_that_is_away_hides_nothing_of_the_others(world: LibvirtWorld) -> None:
    await world.vim.start(OWNER, world.acquirer, world.pe1)
    await world.vim.start(OWNER, world.edge, world.pe2)
    acquirer = await until_state(world.vim, world.acquirer.id, FunctionState.ACTIVE)
    edge = await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    real, pid = world.ground.b, world.ground.b.pid(edge.id)
    real.stop()
    seen = await world.vim.running()
    assert world.vim.lost_nodes == {world.pe2.name}
    assert settled(seen[acquirer.id]) == settled(acquirer)
    assert settled(seen[edge.id]) == settled(edge)
    assert set(await world.vim.hosts([world.pe1, world.pe2])) == {world.pe1.name}
    with pytest.raises(HypervisorUnreachable):
        await world.vim.stop(edge.id)
    real.start()

    async def is_back() -> bool:
        await world.vim.running()
        return not world.vim.lost_nodes

    await until(is_back, what="the hypervisor is back")
    assert settled((await world.vim.running())[edge.id]) == settled(edge)
    assert real.pid(edge.id) == pid


async def test_what_a_hypervisor_cannot_start_is_refused(world: LibvirtWorld) -> None:
    vim, edge = world.vim, world.edge
    described = edge.description
    with pytest.raises(CannotRun, match="no image and no program"):
        command = replace(described, image="", command=("sleep", "1"))
        await vim.start(OWNER, replace(edge, description=command), world.pe2)
    with pytest.raises(NoSuchImage):
        unknown = replace(described, image="never-built")
        await vim.start(OWNER, replace(edge, description=unknown), world.pe2)
    with pytest.raises(CannotRun, match="no hypervisor"):
        await vim.start(OWNER, edge, replace(world.pe2, name="elsewhere"))
    with pytest.raises(NoSuchGuest):
        await vim.suspend(edge.id)
    await vim.start(OWNER, edge, world.pe2)
    with pytest.raises(NoGuestAddress):
        await vim.start(OWNER, replace(edge, id="edge-pe2-2"), world.pe2)


@pytest.mark.parametrize(
    "scheme", ["qemu+unix:///system?socket={}/none", "qemu+ssh://127.0.0.1:1/system"]
)
async def test_a_hypervisor_that_is_not_there_is_named(
    world: LibvirtWorld, scheme: str, tmp_path: Path
) -> None:
    uri = scheme.format(tmp_path)
    lost = replace(world.ground.b.hypervisor, uri=uri)
    vim = of_hypervisors(world, HypervisorRows(world.ground.a.hypervisor, lost))
    assert await vim.running() == {}
    assert vim.lost_nodes == {world.pe2.name}
    with pytest.raises(HypervisorUnreachable, match="pe2 cannot be reached by"):
        await vim.start(OWNER, world.edge, world.pe2)


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """The URI of a hypervisor that accepts connections and never answers."""
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        yield f"qemu+unix:///system?socket={tmp_path}/socket"


async def test_a_hypervisor_that_never_answers_is_not_waited_for(
    world: LibvirtWorld, silent: str
) -> None:
    mute = replace(world.ground.b.hypervisor, uri=silent)
    vim = of_hypervisors(world, HypervisorRows(mute), connect_s=0.5)
    async with asyncio.timeout(60):
        with pytest.raises(HypervisorUnreachable, match=r"did not answer within 0\.5 s"):
            await vim.start(OWNER, world.edge, world.pe2)


async def test_a_look_does_not_wait_until_a_hypervisor_is_given_up(
    world: LibvirtWorld, silent: str
) -> None:
    mute = replace(world.ground.b.hypervisor, uri=silent)
    rows = HypervisorRows(world.ground.a.hypervisor, mute)
    vim = of_hypervisors(world, rows, connect_s=3600.0, wait_s=0.1)
    for _ in range(3):
        async with asyncio.timeout(60):
            await vim.running()
        assert world.pe2.name in vim.lost_nodes
    with pytest.raises(HypervisorUnreachable, match="not reached yet"):
        await vim.start(OWNER, world.edge, world.pe2)

    async def is_seen() -> bool:
        await vim.running()
        return vim.lost_nodes == {world.pe2.name}

    await until(is_seen, what="the other hypervisor is reached")


async def test_what_fails_in_a_call_is_raised_at_once(world: LibvirtWorld) -> None:
    from umbel.compute.drivers.libvirt import connection  # noqa: PLC0415 -- it may be absent

    def fails(_: object) -> None:
        raise ValueError("the guest's own words")

    uri = world.ground.a.hypervisor.uri
    made = connection.LibvirtConnection("pe1", uri, lambda _: None, PATIENT)
    async with asyncio.timeout(PATIENT.call_s / 2):
        with pytest.raises(ValueError, match="own words"):
            await made.call(fails)
    await made.close()


async def test_an_accelerator_is_what_a_guest_boots_with(
    world: LibvirtWorld, tmp_path: Path
) -> None:
    images = world.ground.images
    image = images.get("relay")
    async with connected(world, images) as link:
        assert await link.probe(image, Accelerator.TCG) == ""
    made = tmp_path / "made"
    shutil.copytree(images.folder / image.id, made)
    kernel = bytes(1 << 20)
    (made / "kernel").write_bytes(kernel)
    hashes = {**image.hashes, "kernel": sha256(kernel).hexdigest()}
    others = Images(tmp_path / "images")
    broken = replace(image, name="broken", hashes=hashes)
    others.folder.mkdir()
    others.add(broken, made)
    async with connected(world, others) as link:
        assert await link.probe(broken, Accelerator.TCG) != ""


async def test_a_hypervisor_is_looked_over_and_cleared(world: LibvirtWorld) -> None:
    access, real = LibvirtAccess(around(world.ground.images)), world.ground.a
    accelerator, facts = await access.look_over(real.hypervisor)
    assert accelerator in Accelerator
    assert (facts.host_name, facts.cores) == (real.namespace, os.cpu_count())
    assert facts.memory_mb > 128
    network = replace(real.hypervisor.network, bridge="br77")
    with pytest.raises(HypervisorFailed, match=r"KVM: .*TCG: .*br77"):
        await access.look_over(replace(real.hypervisor, network=network))
    await world.vim.start(OWNER, world.acquirer, world.pe1)
    with pytest.raises(HypervisorInUse, match=world.acquirer.id):
        await access.clear(real.hypervisor)
    folder = Path(real.hypervisor.folder)
    (folder / f"guest.{world.acquirer.id}.console.0").touch()
    await world.vim.stop(world.acquirer.id)
    assert real.guest_files() == []
    others = folder / "web.disk"
    others.touch()
    await access.clear(real.hypervisor)
    assert [*folder.iterdir()] == [others]
    others.unlink()
    await access.look_over(real.hypervisor)
    await access.clear(real.hypervisor)
    assert not folder.exists()
    empty = Images(Path(real.hypervisor.folder))
    with pytest.raises(NoSuchImage, match="umbel image build"):
        await LibvirtAccess(around(empty)).look_over(real.hypervisor)


def around(
    images: Images, connect_s: float = PATIENT.connect_s, wait_s: float = PATIENT.wait_s
) -> GuestContext:
    limits = replace(PATIENT, connect_s=connect_s, wait_s=wait_s)
    return GuestContext(
        installation=INSTALLATION, images=images, clock=SystemClock(), limits=limits
    )


@asynccontextmanager
async def connected(world: LibvirtWorld, images: Images) -> AsyncIterator["HypervisorLink"]:
    """A link to the first hypervisor."""
    async with link_to(world.ground.a.hypervisor, around(images)) as made:
        yield made


def link_to(
    hypervisor: Hypervisor, context: GuestContext
) -> AbstractAsyncContextManager["HypervisorLink"]:
    """What speaks libvirt is loaded here: it may be absent."""
    from umbel.compute.drivers.libvirt import link  # noqa: PLC0415

    return link.connected(hypervisor, context)


def of_hypervisors(
    world: LibvirtWorld,
    rows: HypervisorRows,
    connect_s: float = PATIENT.connect_s,
    wait_s: float = PATIENT.wait_s,
) -> LibvirtVim:
    """Another VIM, closed when the world ends."""
    vim = LibvirtVim(world.pe2.pool, rows, around(world.ground.images, connect_s, wait_s))
    world.vims.append(vim)
    return vim
