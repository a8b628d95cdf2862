"""A hypervisor becomes a node by `umbel node add --hypervisor`; its guest carries a live event,
outlives the control plane, and goes without a trace. Real libvirtd, QEMU, media servers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.grown_platform import session, state, two_nodes
from support.libvirt_worlds import Ground, media_image
from support.libvirtd import ABSENT, more_address
from support.platform import Platform
from support.umbel_node import begun, node
from support.viewers import goes_on, watching
from support.waiting import until
from umbel.catalogue.model import UserRole

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]


@pytest.fixture
async def made(tmp_path: Path, two_hypervisors: Ground) -> AsyncIterator[Platform]:
    """A platform whose nodes pe1 and pe2 are processes here, where guests reach them."""
    real, images = two_hypervisors.b, two_hypervisors.images
    real.disown()
    await asyncio.to_thread(media_image, images)
    (tmp_path / "images").symlink_to(images.folder)
    with more_address(real) as other:
        async with two_nodes(tmp_path, real.host_address, other) as running:
            yield running


async def test_a_guest_carries_an_event_and_goes_without_a_trace(
    made: Platform, two_hypervisors: Ground
) -> None:
    real = two_hypervisors.b
    there, host = real.hypervisor, real.host_address
    event, _ = await made.live()
    where = ("--hypervisor", there.uri, "--install-to", there.folder)
    guests = ("--guests", f"{there.network.first}/24")
    said = await node(
        made, "add", "town", *where, *guests, "--link", "pe1", "--link", "pe2,1000,0.2"
    )
    assert "guests run with" in said
    assert said.endswith("added town")

    old = await made.session(event, "pe2")
    # Else a busy machine's measured load decides between the two.
    await node(made, "cordon", "pe1")
    async with watching(old, host):
        draining = await begun(made, "drain", "pe2")
        await until(lambda: state(made, "pe2"), lambda now: now == "draining", within_s=60)
        new = await session(made, event)
        assert new["edge"] == "town"
        async with watching(new, host) as staying:
            (guest,) = [one for one in await made.get("functions") if one["node"] == "town"]
            pid = real.pid(guest["id"])

            await made.kill_control_plane()
            await goes_on(staying)
            await made.restart()
            await made.sign_in(UserRole.OPERATOR)

            async def adopted() -> set[str]:
                return {one["id"] for one in await made.get("functions") if one["node"] == "town"}

            await until(adopted, lambda ids: ids == {guest["id"]}, within_s=60)
            await goes_on(staying)
            assert real.pid(guest["id"]) == pid
    await draining.process.wait()

    refused = await node(made, "remove", "town", status=2)
    assert "umbel.node_in_use" in refused
    await node(made, "drain", "town", "--force")
    assert (await node(made, "remove", "town")).endswith("removed town")
    assert await made.get("hypervisors") == []
    assert real.devices() == []
    assert not Path(there.folder).exists()
