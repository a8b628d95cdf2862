"""A project of an OpenStack cloud becomes a node by `umbel node add --openstack`; its server
carries a live event, outlives the control plane and Nova, and goes without a trace. Real media."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.grown_platform import session, state, two_nodes
from support.libvirt_worlds import media_image
from support.openstack_cloud import ABSENT, OpenStackCloud
from support.openstack_lab import more_address
from support.openstack_worlds import OpenStackGround
from support.platform import Platform
from support.umbel_node import begun, node
from support.viewers import goes_on, watching
from support.waiting import until
from support.webrtc_peer import Watcher
from umbel.catalogue.model import UserRole

pytestmark = [
    pytest.mark.clouds,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]


@pytest.fixture
async def made(tmp_path: Path, two_computes: OpenStackGround) -> AsyncIterator[Platform]:
    """A platform whose nodes pe1 and pe2 are processes here, where servers reach them."""
    cloud, images = two_computes.cloud, two_computes.images
    await asyncio.to_thread(media_image, images)
    (tmp_path / "images").symlink_to(images.folder)
    with more_address(cloud) as other:
        async with two_nodes(tmp_path, cloud.host_address, other) as running:
            yield running


async def in_town(made: Platform) -> set[str]:
    return {one["id"] for one in await made.get("functions") if one["node"] == "town"}


async def kill_control_plane(made: Platform, staying: Watcher) -> None:
    """Another one takes over, under a viewer who stays."""
    await made.kill_control_plane()
    await goes_on(staying)
    await made.restart()
    await made.sign_in(UserRole.OPERATOR)


async def lose_nova(made: Platform, cloud: OpenStackCloud, staying: Watcher) -> None:
    """Nova is away for a while, under a viewer who stays."""
    cloud.stop("nova")
    await goes_on(staying)
    await until(lambda: state(made, "town"), lambda now: now == "lost", within_s=60)
    await asyncio.to_thread(cloud.start, "nova")
    await until(lambda: state(made, "town"), lambda now: now == "ready", within_s=60)
    await goes_on(staying)


async def test_a_server_carries_an_event_and_goes_without_a_trace(
    made: Platform, two_computes: OpenStackGround, tmp_path: Path
) -> None:
    cloud, real = two_computes.cloud, two_computes.b
    file = tmp_path / "clouds.yaml"
    file.write_text(cloud.clouds_file())
    secret = json.loads(file.read_text())["clouds"]["lab"]["auth"]["application_credential_secret"]
    event, _ = await made.live()
    where = ("--openstack", str(file), "--flavor", "media", "--network", "lan")
    links = ("--link", "pe1", "--link", "pe2,1000,0.2")
    place = ("--zone", real.zone, "--ports", "21000,21099")
    said = await node(made, "add", "town", *where, *place, *links)
    assert said.endswith("added town")

    old = await made.session(event, "pe2")
    # Else a busy machine's measured load decides between the two.
    await node(made, "cordon", "pe1")
    async with watching(old, cloud.host_address):
        draining = await begun(made, "drain", "pe2")
        await until(lambda: state(made, "pe2"), lambda now: now == "draining", within_s=60)
        new = await session(made, event)
        assert new["edge"] == "town"
        async with watching(new, cloud.host_address) as staying:
            (function,) = await in_town(made)
            (server,) = cloud.servers(function)
            pid = real.pid(server.id)
            assert pid

            await kill_control_plane(made, staying)
            await until(lambda: in_town(made), lambda ids: ids == {function}, within_s=60)
            await lose_nova(made, cloud, staying)
            assert real.pid(server.id) == pid
    await draining.process.wait()

    refused = await node(made, "remove", "town", status=2)
    assert "umbel.node_in_use" in refused
    await node(made, "drain", "town", "--force")
    assert (await node(made, "remove", "town")).endswith("removed town")
    assert await made.get("cloud-nodes") == []
    assert cloud.left() == []
    for log in tmp_path.rglob("*.log"):
        assert secret not in log.read_text(errors="replace")
