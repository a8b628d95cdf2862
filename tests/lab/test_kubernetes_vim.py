"""Functions as pods: what the contract does not say, with a real API server and real kubelets."""

import json
import os
import urllib.error
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from support.kube_api import ABSENT, account
from support.kube_worlds import INSTALLATION, RIGHTS, KubeGround, KubeWorld, kube_world
from support.vim_worlds import OWNER, until, until_state
from umbel.compute.clusters import kubeconfig
from umbel.compute.clusters.model import (
    ClusterDenied,
    ClusterFacts,
    ClusterFailed,
    ClusterNode,
    ClusterNodeInUse,
    ClusterNodeUnfit,
    ClusterUnreachable,
)
from umbel.compute.drivers.kubernetes import pods
from umbel.compute.drivers.kubernetes.access import KubernetesAccess
from umbel.compute.drivers.kubernetes.context import ClusterContext, ClusterLimits
from umbel.compute.drivers.kubernetes.vim import KubernetesVim
from umbel.compute.model import Function, FunctionState, Resources
from umbel.kit.clock import SystemClock

pytestmark = [
    pytest.mark.clouds,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]

PODS = "/api/v1/namespaces/umbel/pods"


@pytest.fixture
async def world(two_kubelets: KubeGround, tmp_path: Path) -> AsyncIterator[KubeWorld]:
    async with kube_world(two_kubelets, tmp_path) as made:
        yield made


@contextmanager
def without_api(ground: KubeGround) -> Iterator[None]:
    """The API server is away for a while."""
    ground.cluster.stop()
    try:
        yield
    finally:
        ground.cluster.start()


@contextmanager
def without_kubelet(ground: KubeGround) -> Iterator[None]:
    """pe2's kubelet is away for a while."""
    ground.b.stop()
    try:
        yield
    finally:
        ground.b.start()


async def failed(world: KubeWorld, function: Function) -> str:
    """Why the function fails when it is started at pe2."""
    await world.vim.start(OWNER, function, world.pe2)
    seen = await until_state(world.vim, function.id, FunctionState.FAILED)
    assert dict(seen.ports) == {}
    return seen.reason


async def is_lost(vim: KubernetesVim, *names: str) -> bool:
    await vim.running()
    return vim.lost_nodes == set(names)


async def test_functions_live_on_while_the_api_server_is_away(
    world: KubeWorld, two_kubelets: KubeGround
) -> None:
    told: list[str] = []
    await world.vim.start(OWNER, world.edge, world.pe2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    pid = world.pid(world.edge.id)
    world.vim.watch(told.append)
    with without_api(two_kubelets):
        await until(lambda: world.edge.id in told, what="told of the loss")
        assert (await world.vim.running())[world.edge.id].state is FunctionState.ACTIVE
        assert world.vim.lost_nodes == {"pe1", "pe2"}
        with pytest.raises(ClusterUnreachable, match="pe1 cannot be reached"):
            await world.vim.start(OWNER, world.acquirer, world.pe1)
        with pytest.raises(ClusterUnreachable):
            await world.vim.stop(world.edge.id)
        told.clear()
    await until(lambda: world.edge.id in told, what="told of the return")
    await until(lambda: is_lost(world.vim), what="all there again")
    assert world.pid(world.edge.id) == pid


async def test_who_died_while_the_api_server_was_away_is_told(
    world: KubeWorld, two_kubelets: KubeGround
) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    with without_api(two_kubelets):
        world.kill(world.edge.id)
    seen = await until_state(world.vim, world.edge.id, FunctionState.FAILED)
    assert seen.reason == world.killed


async def test_a_machine_whose_kubelet_is_away_is_lost_and_nothing_runs_twice(
    world: KubeWorld, two_kubelets: KubeGround
) -> None:
    vim = world.open(ClusterLimits(call_s=60.0, stop_s=3.0))
    await vim.start(OWNER, world.edge, world.pe2)
    await until_state(vim, world.edge.id, FunctionState.ACTIVE)
    pid = world.pid(world.edge.id)
    told: list[str] = []
    vim.watch(told.append)
    with without_kubelet(two_kubelets):
        await until(lambda: world.edge.id in told, what="told of the loss")
        assert await is_lost(vim, "pe2")
        lost = (await vim.running())[world.edge.id]
        assert lost.state is FunctionState.ACTIVE
        assert lost.ports
        with pytest.raises(ClusterUnreachable, match="did not end edge-pe2-1 within 3 s"):
            await vim.stop(world.edge.id)
        assert world.pid(world.edge.id) == pid
    await vim.stop(world.edge.id)
    assert world.pid(world.edge.id) == 0


async def test_a_machine_without_room_is_a_reason(world: KubeWorld) -> None:
    large = replace(world.edge.description, resources=Resources(cores=500, memory_mb=1))
    reason = await failed(world, replace(world.edge, description=large))
    assert "no room for it: 0/2 nodes are available" in reason
    assert "Insufficient cpu" in reason


async def test_an_image_that_cannot_be_pulled_is_a_reason(world: KubeWorld) -> None:
    absent = replace(world.edge.description, image="127.0.0.1:1/absent:1", command=())
    reason = await failed(world, replace(world.edge, description=absent))
    assert reason.startswith("its image cannot be pulled: ")
    await world.vim.stop(world.edge.id)
    assert await world.vim.running() == {}


async def test_a_program_that_ends_is_a_reason(world: KubeWorld) -> None:
    assert await failed(world, world.described("edge", "pe2", "dies")) == "ended with status 7"


async def test_a_function_that_misses_its_probes_is_ended(world: KubeWorld) -> None:
    sick = world.described("edge", "pe2", "sick")
    reason = await failed(world, sick)
    assert reason.endswith("its cluster ended it, or its health probes were missed")
    assert world.pid(sick.id) == 0


async def test_a_pod_that_is_deleted_in_its_cluster_is_told(
    world: KubeWorld, two_kubelets: KubeGround
) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    told: list[str] = []
    world.vim.watch(told.append)
    two_kubelets.cluster.call("DELETE", f"{PODS}/{pods.pod_name(INSTALLATION, world.edge.id)}")
    await until(lambda: bool(told), what="told")
    await world.vim.start(OWNER, world.edge, world.pe2)
    assert (await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)).reason == ""


async def test_ports_of_others_are_left_alone(world: KubeWorld, two_kubelets: KubeGround) -> None:
    """Another installation has the first port of the range: the scheduler refuses the pod, and the
    next start takes others."""
    other = {
        "metadata": {"name": "other"},
        "spec": {
            "hostNetwork": True,
            "nodeSelector": {"kubernetes.io/hostname": "pe2"},
            "containers": [
                {"name": "a", "image": "umbel.invalid/pause:1", "ports": [{"containerPort": 20000}]}
            ],
        },
    }
    two_kubelets.cluster.call("POST", PODS, other)
    try:
        await until(lambda: is_placed(two_kubelets, "other"), what="the other pod placed")
        assert "free ports" in await failed(world, world.edge)
        await world.vim.start(OWNER, world.edge, world.pe2)
        seen = await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
        assert 20000 not in seen.ports.values()
    finally:
        two_kubelets.cluster.call("DELETE", f"{PODS}/other?gracePeriodSeconds=0")


def is_placed(ground: KubeGround, name: str) -> bool:
    found = ground.cluster.call("GET", f"{PODS}/{name}")
    return bool(found["spec"].get("nodeName"))


METRICS = "/apis/metrics.k8s.io/v1beta1"


def measure(ground: KubeGround) -> None:
    """Have the API server keep what metrics-server would answer: it is not here."""
    for plural, kind, scope in (
        ("pods", "PodMetrics", "Namespaced"),
        ("nodes", "NodeMetrics", "Cluster"),
    ):
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1beta1", "served": True, "storage": True}
        approved = {"api-approved.kubernetes.io": "unapproved, of a test"}
        definition = {
            "metadata": {"name": f"{plural}.metrics.k8s.io", "annotations": approved},
            "spec": {
                "group": "metrics.k8s.io",
                "names": {"plural": plural, "kind": kind},
                "scope": scope,
                "versions": [version | {"schema": {"openAPIV3Schema": schema}}],
            },
        }
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        ground.cluster.call("POST", path, definition)


def is_served(ground: KubeGround) -> bool:
    try:
        ground.cluster.call("GET", f"{METRICS}/nodes")
        ground.cluster.call("GET", f"{METRICS}/namespaces/umbel/pods")
    except urllib.error.HTTPError:
        return False
    return True


async def test_a_function_counts_with_what_it_uses_or_was_promised(
    world: KubeWorld, two_kubelets: KubeGround
) -> None:
    vim = world.open(ClusterLimits(call_s=60.0, sample_every_s=0.0))
    await vim.start(OWNER, world.edge, world.pe2)
    seen = await until_state(vim, world.edge.id, FunctionState.ACTIVE)
    promised = world.edge.description.resources
    assert seen.cpu_cores == pytest.approx(promised.cores, abs=0.001)
    assert seen.rss_mb == pytest.approx(promised.memory_mb, abs=1)
    assert await vim.hosts([world.pe2]) == {}

    measure(two_kubelets)
    await until(lambda: is_served(two_kubelets), what="the metrics API served")
    name, labels = pods.pod_name(INSTALLATION, world.edge.id), pods.labels(INSTALLATION, "pe2")
    used = {"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics"} | {
        "metadata": {"name": name, "labels": labels},
        "containers": [{"name": "function", "usage": {"cpu": "125m", "memory": "40Mi"}}],
    }
    two_kubelets.cluster.call("POST", f"{METRICS}/namespaces/umbel/pods", used)
    usage = {"cpu": "500m", "memory": "1Gi"}
    machine = {"apiVersion": "metrics.k8s.io/v1beta1", "kind": "NodeMetrics", "usage": usage}
    two_kubelets.cluster.call("POST", f"{METRICS}/nodes", machine | {"metadata": {"name": "pe2"}})

    async def is_measured() -> bool:
        return (await vim.running())[world.edge.id].rss_mb == 40

    await until(is_measured, what="measured")
    assert (await vim.running())[world.edge.id].cpu_cores == pytest.approx(0.125)
    host = (await vim.hosts([world.pe2]))["pe2"]
    assert (host.host, host.cores, host.cores_used) == ("pe2", os.cpu_count(), 0.5)
    assert (host.memory_used_mb, host.memory_mb > 1024) == (1024, True)


async def test_the_functions_secrets_are_in_no_pod_and_not_everyones(world: KubeWorld) -> None:
    await world.vim.start(OWNER, world.edge, world.pe2)
    await until_state(world.vim, world.edge.id, FunctionState.ACTIVE)
    text = json.dumps(world.ground.cluster.call("GET", PODS))
    (secret,) = world.edge.environment.values()
    assert secret not in text
    pid = world.pid(world.edge.id)
    assert secret in Path(f"/proc/{pid}/environ").read_text()
    status = Path(f"/proc/{pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert os.stat(f"/proc/{pid}").st_uid == 65532  # noqa: PTH116


async def test_a_pod_of_that_name_that_is_not_ours_is_left_alone(
    world: KubeWorld, two_kubelets: KubeGround
) -> None:
    name = pods.pod_name(INSTALLATION, world.edge.id)
    container = {"name": "a", "image": "umbel.invalid/pause:1"}
    strange = {"metadata": {"name": name}, "spec": {"containers": [container]}}
    two_kubelets.cluster.call("POST", PODS, strange)
    try:
        with pytest.raises(ClusterFailed, match="already exists"):
            await world.vim.start(OWNER, world.edge, world.pe2)
        await world.vim.stop(world.edge.id)
        assert two_kubelets.cluster.call("GET", f"{PODS}/{name}")
    finally:
        two_kubelets.cluster.call("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")


# -- what is looked at before a node is added -----------------------------------------------


def access() -> KubernetesAccess:
    return KubernetesAccess(ClusterContext(installation=INSTALLATION, clock=SystemClock()))


def with_token(ground: KubeGround, token: str) -> ClusterNode:
    credentials, _ = kubeconfig.parse(ground.cluster.kubeconfig(token))
    return replace(ground.node(ground.b), credentials=credentials)


async def test_a_good_node_is_looked_over_and_nothing_is_made(two_kubelets: KubeGround) -> None:
    facts = await access().look_over(two_kubelets.node(two_kubelets.b))
    assert facts == ClusterFacts(
        version="v1.34.1",
        addresses=(two_kubelets.b.address,),
        cores=os.cpu_count() or 0,
        memory_mb=facts.memory_mb,
    )
    assert facts.memory_mb > 500
    assert two_kubelets.cluster.call("GET", PODS)["items"] == []


async def test_a_client_certificate_signs_in(two_kubelets: KubeGround) -> None:
    there = two_kubelets.node(two_kubelets.b)
    certificate, key = two_kubelets.cluster.authority.client("umbel", "system:masters")
    signed = replace(there.credentials, token="", certificate=certificate, key=key)
    assert await access().look_over(replace(there, credentials=signed))


async def test_all_missing_rights_are_named_at_once(two_kubelets: KubeGround) -> None:
    few: dict[str, list[dict[str, object]]] = {
        "Role": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    }
    there = with_token(two_kubelets, account(two_kubelets.cluster, "guest", few))
    with pytest.raises(ClusterNodeUnfit) as refused:
        await access().look_over(there)
    assert refused.value.details["problems"] == [
        "the credentials may not create, delete pods in umbel",
        "the credentials may not list, create, delete secrets in umbel",
        "the credentials may not get nodes",
    ]


async def test_a_token_that_is_not_known_is_named(two_kubelets: KubeGround) -> None:
    with pytest.raises(ClusterDenied, match="does not know these credentials"):
        await access().look_over(with_token(two_kubelets, "a.b.c"))


async def test_a_machine_that_is_not_there_is_named(two_kubelets: KubeGround) -> None:
    there = replace(two_kubelets.node(two_kubelets.b), machine="nowhere")
    with pytest.raises(ClusterFailed, match='nodes "nowhere" not found'):
        await access().look_over(there)


async def test_a_namespace_without_the_machines_network_is_named(
    two_kubelets: KubeGround,
) -> None:
    cluster = two_kubelets.cluster
    strict = {"pod-security.kubernetes.io/enforce": "baseline"}
    try:
        cluster.call(
            "POST", "/api/v1/namespaces", {"metadata": {"name": "strict", "labels": strict}}
        )
        path = "/api/v1/namespaces/strict/serviceaccounts"
        cluster.call("POST", path, {"metadata": {"name": "default"}})
    except urllib.error.HTTPError as error:
        assert error.code == 409
    there = with_token(two_kubelets, cluster.admin_token)
    with pytest.raises(ClusterNodeUnfit, match="violates PodSecurity") as refused:
        await access().look_over(replace(there, namespace="strict"))
    assert "host namespaces" in refused.value.message


async def test_a_node_with_functions_is_not_cleared(world: KubeWorld) -> None:
    there = world.rows.nodes["pe2"]
    await world.vim.start(OWNER, world.edge, world.pe2)
    with pytest.raises(ClusterNodeInUse, match="still has functions: edge-pe2-1"):
        await access().clear(there)
    await world.vim.stop(world.edge.id)
    await access().clear(there)


def test_the_how_to_gives_the_rights_that_are_tested() -> None:
    text = (Path(__file__).parents[2] / "docs/howto/kubernetes.md").read_text()
    given = [rule for rules in RIGHTS.values() for rule in rules]
    found = [line.removeprefix("  - ") for line in text.splitlines() if "apiGroups:" in line]
    assert [yaml.safe_load(line) for line in found] == given
