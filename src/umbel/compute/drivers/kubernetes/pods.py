"""What is asked of a cluster for a function: a pod, and a secret with all that it is started with.
Pure.

In: functions, nodes. Out: objects of the API as mappings. The pod has the machine's network and a
range of its ports; nothing of the cluster's is between it and its viewers. Its record is in an
annotation, and holds no environment: that may be secret.
"""

import hashlib
import math
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from umbel.compute import words
from umbel.compute.clusters.model import IMAGE, ClusterNode
from umbel.compute.drivers.kubernetes.context import ClusterLimits
from umbel.compute.model import Function, Node, Readiness, Reservation
from umbel.compute.ports import CannotRun

RECORD = "umbel.invalid/function"
INSTALLATION = "umbel.invalid/installation"
NODE = "umbel.invalid/node"
CONTAINER = "function"
PYTHON = "/usr/lib/umbel/bin/python"
"""The interpreter in images of ours (packaging/Containerfile)."""
FOLDER, FILES = "/run/umbel", "/run/umbel-files"
READY_FILE = f"{FOLDER}/ready.json"

_FIRST_PORT, _LAST_PORT = 20000, 29999
"""Where nodes' ports are not given: below those that the cluster's services and clients take."""
_USER = 65532
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROBE_EVERY_S, _PROBE_DEADLINE_S, _MOST_MISSES = 2, 3, 4


@dataclass(frozen=True, kw_only=True)
class PodRecord:
    """A function's pod, as it was started; `ports` are fixed then."""

    id: str
    owner: str
    description: str
    node: str
    address: str
    ports: Mapping[str, int] = field(default_factory=dict)
    started_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PodOrder:
    """Who wants which function on which node, and since when (seconds since the epoch). `there` is
    the node in its cluster."""

    owner: str
    function: Function
    node: Node
    there: ClusterNode
    now_s: float


_RECORD = TypeAdapter(PodRecord)


def parse(text: str) -> PodRecord | None:
    """The record out of its text; None where it is none."""
    try:
        return _RECORD.validate_json(text)
    except ValueError:
        return None


def pod_name(installation: str, function_id: str) -> str:
    """The name of the function's pod: always the same one, so that two of them cannot be made.
    Another installation's function of that id has another pod."""
    readable = re.sub(r"[^a-z0-9]+", "-", function_id.lower())[:40].strip("-")
    digest = hashlib.sha256(f"{installation}/{function_id}".encode()).hexdigest()[:10]
    return "-".join(["umbel", *([readable] if readable else []), digest])


def labels(installation: str, node: str) -> dict[str, str]:
    """What all pods and secrets of an installation at a node have."""
    digest = hashlib.sha256(node.encode()).hexdigest()[:16]
    return {"app.kubernetes.io/managed-by": "umbel", INSTALLATION: installation, NODE: digest}


def made(order: PodOrder, had: Mapping[str, int], taken: Collection[int]) -> PodRecord:
    """The record of a function that is started; on the ports that it `had`, else on those of its
    node that are not `taken`. Raises CannotRun."""
    return PodRecord(
        id=order.function.id,
        owner=order.owner,
        description=order.function.description.name,
        node=order.node.name,
        address=order.node.address,
        ports=_ports(order, had, taken),
        started_s=order.now_s,
    )


def _ports(order: PodOrder, had: Mapping[str, int], taken: Collection[int]) -> dict[str, int]:
    first, last = order.node.ports or (_FIRST_PORT, _LAST_PORT)
    wanted = order.function.description.ports
    found = {port.name: port.number or had.get(port.name, 0) for port in wanted}
    used = {*taken, *(number for number in found.values() if number)}
    unused = (number for number in range(first, last + 1) if number not in used)
    try:
        return {name: number or next(unused) for name, number in found.items()}
    except StopIteration:
        message = f"{order.node.name} has no port left for {order.function.description.name}"
        raise CannotRun(message, node=order.node.name) from None


def secret(
    order: PodOrder, record: PodRecord, installation: str, files: Mapping[str, str]
) -> dict[str, Any]:
    """The secret of the function's pod: its environment, and the files that it reads, by name.
    Raises CannotRun."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": pod_name(installation, record.id),
            "namespace": order.there.namespace,
            "labels": labels(installation, record.node),
        },
        "immutable": True,
        "stringData": {**environment(order.function, record), **files},
    }


def pod(
    order: PodOrder,
    record: PodRecord,
    installation: str,
    files: Mapping[str, str],
    limits: ClusterLimits,
) -> dict[str, Any]:
    """The function's pod. `files` are the names of files in its secret by their paths here. Raises
    CannotRun."""
    name = pod_name(installation, record.id)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": order.there.namespace,
            "labels": labels(installation, record.node),
            "annotations": {
                RECORD: _RECORD.dump_json(record).decode(),
                # Viewers are moved first: umbel node drain.
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            },
        },
        "spec": {
            "hostNetwork": True,
            "dnsPolicy": "Default",
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": limits.grace_s,
            "affinity": _only_at(order.there.machine),
            "tolerations": list(_tolerations()),
            "containers": [
                {
                    **_container(order, record, files, limits),
                    "env": [_variable(name, one) for one in environment(order.function, record)],
                }
            ],
            "volumes": [
                {"name": "run", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {}},
                {
                    "name": "files",
                    "secret": {
                        "secretName": name,
                        "items": [{"key": one, "path": one} for one in files.values()],
                    },
                },
            ],
        },
    }


def _only_at(machine: str) -> dict[str, Any]:
    """The machine, by way of the scheduler: it knows the ports and amounts that others have."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [machine]}]}
    required = {"nodeSelectorTerms": [term]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def _tolerations() -> Iterator[dict[str, str]]:
    """A machine that the cluster does not hear of still serves its viewers."""
    for reason in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{reason}"
        yield {"key": key, "operator": "Exists", "effect": "NoExecute"}


def _container(
    order: PodOrder, record: PodRecord, files: Mapping[str, str], limits: ClusterLimits
) -> dict[str, Any]:
    described = order.function.description
    return {
        "name": CONTAINER,
        "image": image_of(order.function, order.there),
        "imagePullPolicy": "IfNotPresent",
        **_command(order.function, record, files),
        "ports": [
            {"containerPort": record.ports[port.name], "protocol": port.transport.value.upper()}
            for port in described.ports
        ],
        "resources": _resources(order.function, order.node),
        **_probes(order.function, record, limits),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _rights(described.image == ""),
        "volumeMounts": [
            {"name": "run", "mountPath": FOLDER},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the container's own
            {"name": "files", "mountPath": FILES, "readOnly": True},
        ],
    }


def _variable(secret_name: str, name: str) -> dict[str, Any]:
    """A variable out of the pod's secret: the pod itself can be read by more people."""
    source = {"secretKeyRef": {"name": secret_name, "key": name}}
    return {"name": name, "valueFrom": source}


def image_of(function: Function, there: ClusterNode) -> str:
    """The container image of a function: the description's, or the node's for a command of our own
    Python. Raises CannotRun."""
    described = function.description
    if described.image and IMAGE.fullmatch(described.image):
        return described.image
    if not described.image and described.command[:1] == (sys.executable,):
        return there.image
    message = f"{described.name} is no image and no program of ours: a cluster starts no other"
    raise CannotRun(message, description=described.name)


def _command(
    function: Function, record: PodRecord, files: Mapping[str, str]
) -> dict[str, Sequence[str]]:
    there = {sys.executable: PYTHON, **{path: f"{FILES}/{name}" for path, name in files.items()}}
    named = [there.get(word, word) for word in function.description.command]
    filled = words.fill(named, words.values(record, READY_FILE), record.description)
    # The kubelet would expand $(NAME).
    return {"command": [word.replace("$(", "$$(") for word in filled]} if filled else {}


def environment(function: Function, record: PodRecord) -> dict[str, str]:
    """What the function's program is started with. Raises CannotRun."""
    folders = {"HOME": FOLDER, "XDG_CACHE_HOME": FOLDER}
    found = words.environment(function, record, READY_FILE) | folders
    for name, value in found.items():
        if _VARIABLE.fullmatch(name) is None or "\0" in value:
            raise CannotRun(f"{name[:60]!r} is no variable of an environment", function=record.id)
    return found


def _resources(function: Function, node: Node) -> dict[str, Any]:
    """What is promised is requested. What is promised until it is measured is an estimate: such a
    function may use the node's."""
    described = function.description
    promised = described.resources
    is_promise = described.reservation is Reservation.ALWAYS
    cores = (is_promise and promised.cores) or node.cores
    memory_mb = (is_promise and promised.memory_mb) or node.memory_mb
    return {
        "requests": _amounts(promised.cores, promised.memory_mb),
        "limits": _amounts(max(cores, promised.cores), max(memory_mb, promised.memory_mb)),
    }


def _amounts(cores: float, memory_mb: float) -> dict[str, str]:
    return {"cpu": f"{math.ceil(cores * 1000)}m", "memory": f"{math.ceil(memory_mb)}Mi"}


def _probes(function: Function, record: PodRecord, limits: ClusterLimits) -> dict[str, Any]:
    """The kubelet looks after the function: its own loop alone, never what many of them need."""
    described = function.description
    probes: dict[str, Any] = {}
    if described.readiness is Readiness.REPORTED:
        has_reported = {"exec": {"command": ["test", "-s", READY_FILE]}}
        probes["startupProbe"] = has_reported | _patience(1, limits.start_s)
    check = described.health
    if check is None:
        return probes
    target: dict[str, Any] = {"host": record.address, "port": record.ports[check.port]}
    how = {"httpGet": {**target, "path": check.path}} if check.path else {"tcpSocket": target}
    probes.setdefault("startupProbe", how | _patience(1, limits.start_s))
    return probes | {"livenessProbe": how | _patience(_PROBE_EVERY_S, _MOST_MISSES)}


def _patience(every_s: int, most_misses: int) -> dict[str, int]:
    return {
        "periodSeconds": every_s,
        "timeoutSeconds": _PROBE_DEADLINE_S,
        "failureThreshold": most_misses,
    }


def _rights(is_ours: bool) -> dict[str, Any]:
    """No rights that a media server does not need; as a user that nobody is."""
    rights: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if is_ours:
        rights |= {"runAsNonRoot": True, "runAsUser": _USER, "runAsGroup": _USER}
        rights["readOnlyRootFilesystem"] = True
    return rights
