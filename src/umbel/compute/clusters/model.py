"""A node of a Kubernetes cluster as a value, and what can be wrong with it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from umbel.kit.errors import Conflict, Invalid, NotFound, Unavailable, Unprocessable

CLUSTERS_POOL = "kubernetes"
"""The pool of a cluster's node that names none."""

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_NODE = re.compile(rf"{_LABEL}(\.{_LABEL})*")
IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]{0,254}")
"""A reference of a container image, such as registry.example/umbel:1."""


class BadCluster(Invalid):
    """This describes no node of a Kubernetes cluster."""

    code = "umbel.bad_cluster"


class ClusterUnreachable(Unavailable):
    """The API server of the Kubernetes cluster, or the cluster's node, does not answer."""

    code = "umbel.cluster_unreachable"


class ClusterDenied(Unavailable):
    """The Kubernetes cluster does not take these credentials, or does not allow them this."""

    code = "umbel.cluster_denied"


class ClusterFailed(Unavailable):
    """The Kubernetes cluster did not do what it was asked."""

    code = "umbel.cluster_failed"


class ClusterNodeUnfit(Unprocessable):
    """The cluster's node cannot run functions as it is; `problems` lists all that is wrong."""

    code = "umbel.cluster_node_unfit"


class NoSuchClusterNode(NotFound):
    """No node of a Kubernetes cluster has this name."""

    code = "umbel.no_such_cluster_node"


class ClusterNodeExists(Conflict):
    """A node of a Kubernetes cluster has this name already, or stands for the same machine."""

    code = "umbel.cluster_node_exists"


class ClusterNodeInUse(Conflict):
    """Functions run on the cluster's node, or its node is there; drain and remove it first."""

    code = "umbel.cluster_node_in_use"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """How to sign in at a cluster's API server: by `token`, or by `certificate` and `key`.
    `authority` signed the server's certificate; empty: one that this machine trusts did. All but
    the token are PEM. `is_own`: the control plane runs in the cluster, as a service account of its
    own, and all the rest is empty."""

    server: str = ""
    authority: str = ""
    token: str = field(default="", repr=False)
    certificate: str = ""
    key: str = field(default="", repr=False)
    is_own: bool = False

    @property
    def kind(self) -> str:
        """What they are: token, certificate or service-account."""
        if self.is_own:
            return "service-account"
        return "token" if self.token else "certificate"


@dataclass(frozen=True, kw_only=True)
class ClusterNode:
    """A node of a cluster that was added. `name` is its node's here, `machine` the one that it has
    in the cluster, and `address` its first one there. Pods are in `namespace`; those of our own
    programs have `image`."""

    name: str
    machine: str
    image: str
    credentials: Credentials = field(repr=False)
    address: str = ""
    namespace: str = "umbel"
    pool: str = CLUSTERS_POOL


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    """What a cluster says of its node: version of the kubelet, its own addresses, and what pods may
    use of it; memory in MiB."""

    version: str
    addresses: tuple[str, ...]
    cores: float
    memory_mb: int


def check(node: ClusterNode) -> None:
    """Raise BadCluster, with all that is wrong."""
    if problems := list(_problems(node)):
        raise BadCluster(f"{node.name}: {'; '.join(problems)}", problems=problems)


def _problems(node: ClusterNode) -> Iterator[str]:
    if _NAMESPACE.fullmatch(node.namespace) is None:
        yield f"{node.namespace[:80]!r} is no namespace's name"
    if len(node.machine) > 253 or _NODE.fullmatch(node.machine) is None:
        yield f"{node.machine[:80]!r} is no name of a cluster's node"
    if IMAGE.fullmatch(node.image) is None:
        yield f"{node.image[:80]!r} is no container image such as registry.example/umbel:1"
