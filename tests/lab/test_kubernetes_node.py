"""A machine of a Kubernetes cluster becomes a node by `umbel node add --kubernetes`; its pod
carries a live event, outlives the control plane, and goes without a trace. Real media."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support import kube_images
from support.grown_platform import session, state, two_nodes
from support.kube_api import ABSENT, more_address
from support.kube_worlds import KubeGround
from support.platform import Platform
from support.umbel_node import begun, node
from support.viewers import goes_on, watching
from support.waiting import until
from umbel.catalogue.model import UserRole

pytestmark = [
    pytest.mark.clouds,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]


@pytest.fixture
async def made(tmp_path: Path, two_kubelets: KubeGround) -> AsyncIterator[Platform]:
    """A platform whose nodes pe1 and pe2 are processes here, where pods reach them."""
    cluster = two_kubelets.cluster
    with more_address(cluster) as other:
        async with two_nodes(tmp_path, cluster.address, other) as running:
            yield running


async def in_town(made: Platform) -> set[str]:
    return {one["id"] for one in await made.get("functions") if one["node"] == "town"}


def left(ground: KubeGround) -> list[str]:
    """The pods and secrets in the namespace."""
    path = "/api/v1/namespaces/umbel"
    found = [ground.cluster.call("GET", f"{path}/{kind}") for kind in ("pods", "secrets")]
    return [one["metadata"]["name"] for answer in found for one in answer["items"]]


async def test_a_pod_carries_an_event_and_goes_without_a_trace(
    made: Platform, two_kubelets: KubeGround, tmp_path: Path
) -> None:
    real, cluster = two_kubelets.b, two_kubelets.cluster
    file = tmp_path / "kubeconfig"
    file.write_text(cluster.kubeconfig(two_kubelets.token))
    event, _ = await made.live()
    where = ("--kubernetes", str(file), "--machine", real.name, "--image", kube_images.FUNCTION)
    links = ("--link", "pe1", "--link", "pe2,1000,0.2")
    said = await node(made, "add", "town", *where, "--ports", "21000,21099", *links)
    assert f"Kubernetes v1.34.1 at {real.address}" in said
    assert said.endswith("added town")

    old = await made.session(event, "pe2")
    # Else a busy machine's measured load decides between the two.
    await node(made, "cordon", "pe1")
    async with watching(old, cluster.address):
        draining = await begun(made, "drain", "pe2")
        await until(lambda: state(made, "pe2"), lambda now: now == "draining", within_s=60)
        new = await session(made, event)
        assert new["edge"] == "town"
        async with watching(new, cluster.address) as staying:
            (function,) = await in_town(made)
            pid = real.pid(function)
            assert pid

            await made.kill_control_plane()
            await goes_on(staying)
            await made.restart()
            await made.sign_in(UserRole.OPERATOR)
            await until(lambda: in_town(made), lambda ids: ids == {function}, within_s=60)

            cluster.stop()
            await goes_on(staying)
            await until(lambda: state(made, "town"), lambda now: now == "lost", within_s=60)
            cluster.start()
            await until(lambda: state(made, "town"), lambda now: now == "ready", within_s=60)
            await goes_on(staying)
            assert real.pid(function) == pid
    await draining.process.wait()

    refused = await node(made, "remove", "town", status=2)
    assert "umbel.node_in_use" in refused
    await node(made, "drain", "town", "--force")
    assert (await node(made, "remove", "town")).endswith("removed town")
    assert await made.get("cluster-nodes") == []
    assert left(two_kubelets) == []
    for log in tmp_path.rglob("*.log"):
        assert two_kubelets.token not in log.read_text(errors="replace")
