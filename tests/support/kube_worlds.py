"""The world in which functions run as pods: a real API server, scheduler and controllers, and two
machines with a kubelet each."""

import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from support import kube_images
from support.kube_api import ROOT, KubeCluster, account, cluster
from support.kube_node import KubeMachine, machine
from support.vim_worlds import KILLED, ended, made
from support.waiting import poll_until
from umbel.compute.clusters import kubeconfig
from umbel.compute.clusters.model import CLUSTERS_POOL, ClusterNode
from umbel.compute.drivers.kubernetes.context import ClusterContext, ClusterLimits
from umbel.compute.drivers.kubernetes.vim import KubernetesVim
from umbel.compute.machines import bundle
from umbel.compute.model import Function, Node, NodeKind
from umbel.delivery.loop import functions
from umbel.delivery.trees.view import Costs
from umbel.kit import tokens
from umbel.kit.clock import SystemClock

INSTALLATION = "0123456789abcdef"
PATIENT = ClusterLimits(call_s=60.0, stop_s=150.0)
RIGHTS: Mapping[str, list[dict[str, object]]] = {
    "Role": [
        {
            "apiGroups": [""],
            "resources": ["pods"],
            "verbs": ["get", "list", "watch", "create", "delete"],
        },
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "create", "delete"]},
        {"apiGroups": ["metrics.k8s.io"], "resources": ["pods"], "verbs": ["list"]},
    ],
    "ClusterRole": [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
        {"apiGroups": ["metrics.k8s.io"], "resources": ["nodes"], "verbs": ["get"]},
    ],
}
"""What docs/howto/kubernetes.md gives the platform."""
_KILL_WITHIN_S = 60.0


@dataclass(frozen=True)
class KubeGround:
    """A cluster with two machines, for several worlds one after the other. `token` is the
    platform's."""

    cluster: KubeCluster
    a: KubeMachine
    b: KubeMachine
    token: str

    def node(self, real: KubeMachine) -> ClusterNode:
        """The machine as an operator adds it."""
        credentials, _ = kubeconfig.parse(self.cluster.kubeconfig(self.token))
        return ClusterNode(
            name=real.name,
            machine=real.name,
            image=kube_images.FUNCTION,
            credentials=credentials,
        )


def images() -> tuple[Path, Path]:
    """The images that machines have; kept from one run to the next."""
    folder = ROOT / "build" / "clouds" / "images"
    cache = folder / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    pause, function = folder / "pause.tar", folder / f"{bundle.collect().id}.tar"
    if not pause.exists():
        kube_images.pause(pause, cache)
    if not function.exists():
        for old in set(folder.glob("*.tar")) - {pause}:
            old.unlink()
        kube_images.function(function, cache)
    return pause, function


@contextmanager
def kube_ground(folder: Path) -> Iterator[KubeGround]:
    """The machines of the nodes pe1 and pe2."""
    with ExitStack() as stack:
        ready = images()
        names = ("pe1", "pe2")
        running = stack.enter_context(cluster(folder / "cluster", names))
        a, b = (
            stack.enter_context(machine(running, name, 11 + number, ready))
            for number, name in enumerate(names)
        )
        yield KubeGround(running, a, b, account(running, "platform", RIGHTS))


class ClusterRows:
    """Clusters' nodes that stand in no database."""

    def __init__(self, *nodes: ClusterNode) -> None:
        self.nodes = {one.name: one for one in nodes}

    async def all(self) -> Mapping[str, ClusterNode]:
        return dict(self.nodes)


class KubeWorld:
    """Functions are pods; when it ends, nothing of them is left."""

    killed = KILLED

    def __init__(self, below: KubeGround, folder: Path) -> None:
        self.ground = below
        self.rows = ClusterRows(below.node(below.a), below.node(below.b))
        self.pe1, self.pe2 = (node_of(one) for one in (below.a, below.b))
        self.key = folder / "key.pem"
        self.key.write_bytes(tokens.Signer(tokens.new_private_key()).public_key)
        self.edge = self.described("edge", "pe2")
        self.acquirer = self.described("acquirer", "pe1")
        self.vims: list[KubernetesVim] = []
        self.vim = self.open()

    def described(self, role: str, node: str, *manner: str) -> Function:
        """A function of the role, of a stand-in with that manner."""
        words = ("--manner", *manner) if manner else ()
        command: Sequence[str] = (sys.executable, kube_images.STAND_IN, *words)
        return made(functions.described(self.key, Costs(), command)[role], node)

    def open(self, limits: ClusterLimits = PATIENT) -> KubernetesVim:
        """Another control plane's VIM over the same cluster."""
        around = ClusterContext(
            installation=INSTALLATION, clock=SystemClock(), limits=limits, files=(self.key,)
        )
        vim = KubernetesVim(CLUSTERS_POOL, self.rows, around)
        self.vims.append(vim)
        return vim

    async def reopen(self) -> KubernetesVim:
        await self.vim.close()
        return self.open()

    def kill(self, function_id: str) -> None:
        """As soon as it runs."""
        said = f"{function_id} does not run"
        ask = partial(self.pid, function_id)
        os.kill(poll_until(ask, within_s=_KILL_WITHIN_S, said=lambda: said), 9)

    def pid(self, function_id: str) -> int:
        """The function's process; 0 while there is none."""
        return self.ground.a.pid(function_id) or self.ground.b.pid(function_id)

    async def end(self) -> None:
        await ended([*self.vims], self.open)
        for kind in ("pods", "secrets"):
            found = self.ground.cluster.call("GET", f"/api/v1/namespaces/umbel/{kind}")
            assert [one["metadata"]["name"] for one in found["items"]] == []


def node_of(real: KubeMachine) -> Node:
    """The machine's node."""
    return Node(
        name=real.name,
        kind=NodeKind.PROVIDER_EDGE,
        address=real.address,
        cores=2.0,
        pool=CLUSTERS_POOL,
    )


@asynccontextmanager
async def kube_world(below: KubeGround, folder: Path) -> AsyncIterator[KubeWorld]:
    """A world on these machines."""
    world = KubeWorld(below, folder)
    try:
        yield world
    finally:
        await world.end()
