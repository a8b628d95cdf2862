"""Functions as pods, as values: what is asked of a cluster, and what is read of what it shows."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute.clusters.model import BadCluster, ClusterNode, Credentials, check
from umbel.compute.drivers.kubernetes import observed, pods
from umbel.compute.drivers.kubernetes.context import ClusterLimits
from umbel.compute.drivers.kubernetes.pods import PodOrder
from umbel.compute.drivers.kubernetes.usage import Amounts, of_pod, quantity
from umbel.compute.model import (
    Function,
    FunctionState,
    HealthCheck,
    Node,
    NodeKind,
    Port,
    Readiness,
    Reservation,
    Resources,
    Transport,
)
from umbel.compute.ports import CannotRun
from umbel.delivery.loop import functions
from umbel.delivery.trees.view import Costs

KEY = Path("/srv/umbel/keys/public.pem")
THERE = ClusterNode(
    name="town",
    machine="worker-1",
    image="registry.example/umbel:1",
    credentials=Credentials(server="https://192.0.2.11:6443", token="t0ken"),
)
NODE = Node(
    name="town",
    kind=NodeKind.PROVIDER_EDGE,
    address="192.0.2.21",
    cores=4,
    memory_mb=8000,
    ports=(30000, 30015),
    pool="kubernetes",
)
PORTS = (Port(name="control"), Port(name="http"), Port(name="udp", transport=Transport.UDP))
_DESCRIBED = functions.described(KEY, Costs())["edge"]
_LEFT_OUT = {"--tls-port", "{ports[tls]}"}
EDGE = replace(
    _DESCRIBED,
    ports=PORTS,
    command=tuple(word for word in _DESCRIBED.command if word not in _LEFT_OUT),
)
"""A media server, with three ports."""
FUNCTION = Function(
    id="edge-town-1", node="town", description=EDGE, environment={"UMBEL_MEDIA_SECRET": "s3cret"}
)
ORDER = PodOrder(owner="delivery", function=FUNCTION, node=NODE, there=THERE, now_s=1000.0)
RECORD = pods.made(ORDER, {}, ())


def pod(order: PodOrder = ORDER, had: Mapping[str, int] | None = None) -> dict[str, Any]:
    record = pods.made(order, had or {}, ())
    return pods.pod(order, record, "00ff", {str(KEY): "file-0"}, ClusterLimits())


def order(**changes: Any) -> PodOrder:
    function = replace(FUNCTION, description=replace(EDGE, **changes))
    return replace(ORDER, function=function)


def container(made: Mapping[str, Any]) -> dict[str, Any]:
    (one,) = made["spec"]["containers"]
    assert isinstance(one, dict)
    return one


def test_a_pod_has_its_machines_network_and_nothing_of_the_clusters_before_it() -> None:
    spec = pod()["spec"]
    assert spec["hostNetwork"] is True
    assert spec["restartPolicy"] == "Never"
    assert spec["automountServiceAccountToken"] is False
    assert "worker-1" in json.dumps(spec["affinity"])
    words = container(pod())["command"]
    assert words[:3] == [pods.PYTHON, "-m", "umbel.media"]
    assert words[words.index("--address") + 1] == "192.0.2.21"
    assert words[words.index("--public-key") + 1] == f"{pods.FILES}/file-0"


def test_ports_are_the_nodes_and_those_that_were_had_stay() -> None:
    record = pods.made(ORDER, {}, {30000, 30002})
    assert record.ports == {"control": 30001, "http": 30003, "udp": 30004}
    assert pods.made(ORDER, {"udp": 30009}, {30000}).ports["udp"] == 30009
    declared = {(one["containerPort"], one["protocol"]) for one in container(pod())["ports"]}
    assert declared == {(30000, "TCP"), (30001, "TCP"), (30002, "UDP")}
    with pytest.raises(CannotRun, match="no port left"):
        pods.made(ORDER, {}, set(range(30000, 30014)))


def test_no_secret_is_in_a_pod() -> None:
    text = json.dumps(pod())
    assert "s3cret" not in text
    assert "t0ken" not in text
    record = pods.made(ORDER, {}, ())
    secret = pods.secret(ORDER, record, "00ff", {"file-0": "key"})
    assert secret["stringData"]["UMBEL_MEDIA_SECRET"] == "s3cret"
    assert secret["stringData"]["file-0"] == "key"
    names = {one["name"] for one in container(pod())["env"]}
    assert names == secret["stringData"].keys() - {"file-0"}


def test_the_kubelet_probes_the_functions_own_loop() -> None:
    probed = container(pod())
    assert probed["startupProbe"]["exec"]["command"] == ["test", "-s", pods.READY_FILE]
    target = probed["livenessProbe"]["httpGet"]
    assert target == {"host": "192.0.2.21", "port": 30000, "path": "/healthz"}
    bare = container(pod(order(readiness=Readiness.PROBED, health=None)))
    assert not {"startupProbe", "livenessProbe", "readinessProbe"} & bare.keys()
    tcp = order(readiness=Readiness.PROBED, health=HealthCheck(port="http"))
    assert container(pod(tcp))["startupProbe"]["tcpSocket"]["port"] == 30001


def test_what_is_promised_is_requested_and_an_estimate_limits_nothing() -> None:
    resources = Resources(cores=0.25, memory_mb=100)
    estimated = container(pod(order(resources=resources)))["resources"]
    assert estimated == {
        "requests": {"cpu": "250m", "memory": "100Mi"},
        "limits": {"cpu": "4000m", "memory": "8000Mi"},
    }
    promised = order(resources=resources, reservation=Reservation.ALWAYS)
    assert container(pod(promised))["resources"]["limits"] == estimated["requests"]


def test_programs_of_ours_have_no_rights() -> None:
    rights = container(pod())["securityContext"]
    assert rights["runAsNonRoot"] is True
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["capabilities"] == {"drop": ["ALL"]}


def test_a_description_may_name_an_image() -> None:
    named = order(image="registry.example/cache:2", command=())
    assert container(pod(named))["image"] == "registry.example/cache:2"
    assert "command" not in container(pod(named))
    for wrong in (order(command=("/bin/true",)), order(image="Relay Image", command=())):
        with pytest.raises(CannotRun, match="no image and no program of ours"):
            pod(wrong)


def test_a_dollar_stays_what_it_is() -> None:
    made = pod(order(command=(sys.executable, "-c", "print('$(HOME)')")))
    assert container(made)["command"][2] == "print('$$(HOME)')"


@pytest.mark.parametrize("name", ["", "a b", "1A", "A=B", "Ä"])
def test_what_is_no_variable_is_refused(name: str) -> None:
    with pytest.raises(CannotRun, match="no variable"):
        pod(order(environment={name: "x"}))


@given(st.text(max_size=80))
def test_a_pods_name_is_a_label_of_dns(function_id: str) -> None:
    name = pods.pod_name("0f", function_id)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)
    assert name != pods.pod_name("0f", f"{function_id}.")
    assert name != pods.pod_name("1f", function_id)


@given(st.sampled_from(sorted(asdict(RECORD))), st.none() | st.lists(st.text()), st.text())
def test_a_record_comes_back_and_what_is_none_is_refused(
    key: str, wrong: object, text: str
) -> None:
    written = pod()["metadata"]["annotations"][pods.RECORD]
    assert pods.parse(written) == RECORD
    assert pods.parse(json.dumps(json.loads(written) | {key: wrong})) is None
    assert pods.parse(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2),
        ("1900m", 1.9),
        ("4Gi", 2**32),
        ("16384Ki", 2**24),
        ("", 0),
        ("4x", 0),
        ("1.2.3", 0),
    ],
)
def test_quantities(text: str, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


def test_what_all_containers_of_a_pod_use_is_added() -> None:
    one = {"name": "a", "usage": {"cpu": "250m", "memory": "64Mi"}}
    two = {"name": "b", "usage": {"cpu": "1", "memory": None}}
    assert of_pod({"containers": [one, two, 3]}) == Amounts(cores=1.25, memory_mb=64)
    assert of_pod({"containers": "x"}) is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"namespace": "Umbel"}, "no namespace's name"),
        ({"machine": "worker_1"}, "no name of a cluster's node"),
        ({"machine": "a" * 254}, "no name of a cluster's node"),
        ({"image": "Umbel 1"}, "no container image"),
    ],
)
def test_what_is_no_clusters_node_is_refused(changes: dict[str, Any], problem: str) -> None:
    check(THERE)
    with pytest.raises(BadCluster, match=problem):
        check(replace(THERE, **changes))


# -- what a cluster shows -------------------------------------------------------------------


def shown(status: dict[str, Any], **metadata: Any) -> observed.SeenPod:
    core = pytest.importorskip("lightkube.resources.core_v1", reason="lightkube is not installed")
    made = pod()
    made["metadata"] |= {"uid": "u1", **metadata}
    made["spec"]["nodeName"] = "worker-1"
    seen = observed.seen(core.Pod.from_dict(made | {"status": status}))
    assert seen is not None
    return seen


def state(*, is_ready: bool = False, **one: Any) -> dict[str, Any]:
    about = {"name": "function", "image": "i", "imageID": "", "ready": is_ready, "restartCount": 0}
    return {"phase": "Failed", "containerStatuses": [about | {"state": one}]}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    return state(waiting={"reason": reason, "message": message}) | {"phase": "Pending"}


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return state(terminated={"exitCode": code, "reason": reason, "message": message})


READY = state(is_ready=True, running={}) | {
    "conditions": [{"type": "Ready", "status": "True"}],
    "phase": "Running",
}
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient memory.",
}


def test_a_pod_boots_and_is_active() -> None:
    assert shown({"phase": "Pending"}).state is FunctionState.BOOTING
    assert shown(READY).state is FunctionState.ACTIVE
    assert shown(READY).record.owner == "delivery"
    assert shown(READY).requested.cores == pytest.approx(EDGE.resources.cores, abs=0.001)


def test_a_pod_whose_machine_is_not_heard_of_is_as_it_was() -> None:
    seen = shown(READY | {"conditions": [{"type": "Ready", "status": "False"}]})
    assert (seen.state, seen.is_silent) == (FunctionState.ACTIVE, True)
    assert not shown(READY).is_silent


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (ended(137), "killed by signal 9"),
        (ended(137, "OOMKilled"), "it used more memory than it may"),
        (ended(1, message="a\nport 30000 is taken\n"), "ended with status 1: port 30000 is taken"),
        (
            ended(0, "Completed"),
            "ended with status 0: its cluster ended it, or its health probes were missed",
        ),
        (
            waits("ImagePullBackOff", "no such host"),
            "its image cannot be pulled: no such host",
        ),
        (
            {"phase": "Failed", "reason": "OutOfcpu", "message": "Pod was rejected"},
            "OutOfcpu: Pod was rejected",
        ),
        (
            {"phase": "Pending", "conditions": [UNSCHEDULABLE]},
            "its cluster has no room for it: 0/1 nodes are available: 1 Insufficient memory.",
        ),
    ],
)
def test_a_failure_has_one_reason(status: dict[str, Any], reason: str) -> None:
    seen = shown(status)
    assert (seen.state, seen.reason) == (FunctionState.FAILED, reason)


def test_a_pod_that_is_deleted_in_its_cluster_has_failed() -> None:
    seen = shown(READY, deletionTimestamp="2026-11-30T01:02:22Z")
    assert (seen.state, seen.reason) == (
        FunctionState.FAILED,
        "its pod was deleted in its cluster",
    )


def test_a_container_that_is_being_made_has_not_failed() -> None:
    assert shown(waits("ContainerCreating")).state is FunctionState.BOOTING
