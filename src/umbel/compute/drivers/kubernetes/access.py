"""Looks a cluster's node over before it is added, and clears it when it goes.

In: a node. Out: facts, or all that is wrong at once: rights that are missing, a machine that is not
there or not ready, pods that may not use a machine's network.
"""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from umbel.compute.clusters.model import (
    ClusterFacts,
    ClusterNode,
    ClusterNodeInUse,
    ClusterNodeUnfit,
)
from umbel.compute.drivers.kubernetes import pods
from umbel.compute.drivers.kubernetes.context import ClusterContext
from umbel.compute.drivers.kubernetes.pods import PodOrder
from umbel.compute.drivers.kubernetes.usage import of_amounts
from umbel.compute.model import Description, Function, Node, NodeKind, Port
from umbel.compute.ports import CannotRun
from umbel.kit.errors import UmbelError

if TYPE_CHECKING:
    from umbel.compute.drivers.kubernetes.client import ClusterClient

_RIGHTS = {
    "pods": ("get", "list", "watch", "create", "delete"),
    "secrets": ("list", "create", "delete"),
}
"""What the credentials must allow in the namespace; they must also read the node itself."""
_LOOPBACK = "127.0.0.1"


class KubernetesAccess:
    """Reaches clusters through lightkube, which is loaded then."""

    def __init__(self, around: ClusterContext) -> None:
        self._around = around

    async def look_over(self, there: ClusterNode) -> ClusterFacts:
        """What the cluster says of its node. Raises ClusterUnreachable, ClusterDenied,
        ClusterFailed and ClusterNodeUnfit."""
        async with self._connected(there) as client:
            problems = [one async for one in _missing_rights(client, there)]
            facts = ClusterFacts(version="", addresses=(), cores=0, memory_mb=0)
            if not problems:
                found = await client.machine()
                facts = _facts(found)
                problems += _machine_problems(there, found)
                problems += await self._pod_problems(client, there)
        if problems:
            message = f"{there.name} cannot run functions: {'; '.join(problems)}"
            raise ClusterNodeUnfit(message, problems=problems)
        return facts

    async def clear(self, there: ClusterNode) -> None:
        """Leave nothing of ours there. Raises ClusterNodeInUse while functions are there."""
        async with self._connected(there) as client:
            found, _ = await client.pods()
            if found:
                message = f"{there.name} still has functions: {', '.join(sorted(found))}"
                raise ClusterNodeInUse(message, node=there.name)
            await client.delete_secrets()

    @asynccontextmanager
    async def _connected(self, there: ClusterNode) -> "AsyncIterator[ClusterClient]":
        try:
            from umbel.compute.drivers.kubernetes.client import ClusterClient  # noqa: PLC0415
        except ImportError as error:
            message = f"{there.name} needs lightkube: install umbel[kubernetes] ({error})"
            raise CannotRun(message, node=there.name) from error
        labels = pods.labels(self._around.installation, there.name)
        around = self._around
        client = ClusterClient(there, labels, around.limits.call_s, around.clock)
        try:
            yield client
        finally:
            await client.close()

    async def _pod_problems(self, client: "ClusterClient", there: ClusterNode) -> list[str]:
        """Why no pod of ours could be made there: nothing is made to find out."""
        around = self._around
        order = _trial(there)
        record = pods.made(order, {}, ())
        try:
            trial = pods.pod(order, record, around.installation, {}, around.limits)
            await client.create_pod(trial, is_trial=True)
        except UmbelError as error:
            return [error.message]
        return []


async def _missing_rights(client: "ClusterClient", there: ClusterNode) -> AsyncIterator[str]:
    for resource, verbs in _RIGHTS.items():
        lacking = [verb for verb in verbs if not await client.may(verb, resource, there.namespace)]
        if lacking:
            yield f"the credentials may not {', '.join(lacking)} {resource} in {there.namespace}"
    if not await client.may("get", "nodes", ""):
        yield "the credentials may not get nodes"


def _trial(there: ClusterNode) -> PodOrder:
    node = Node(name=there.name, kind=NodeKind.PROVIDER_EDGE, address=_LOOPBACK)
    description = Description(
        name="trial", command=(sys.executable, "-c", "pass"), ports=(Port(name="control"),)
    )
    function = Function(id="trial", node=there.name, description=description)
    return PodOrder(owner="trial", function=function, node=node, there=there, now_s=0)


def _facts(machine: Any) -> ClusterFacts:
    status = machine.status
    usable = of_amounts(status.allocatable if status else None)
    addresses = (status.addresses or []) if status else []
    return ClusterFacts(
        version=status.nodeInfo.kubeletVersion if status and status.nodeInfo else "",
        addresses=tuple(one.address for one in addresses if one.type == "InternalIP"),
        cores=usable.cores,
        memory_mb=int(usable.memory_mb),
    )


def _machine_problems(there: ClusterNode, machine: Any) -> Iterator[str]:
    conditions = (machine.status.conditions or []) if machine.status else []
    ready = next((one for one in conditions if one.type == "Ready"), None)
    if ready is None or ready.status != "True":
        reason = " ".join(((ready.message if ready else "") or "").split())[:200]
        yield f"{there.machine} is not ready: {reason or 'its kubelet has not reported'}"
    if machine.spec and machine.spec.unschedulable:
        yield f"{there.machine} is cordoned in its cluster: kubectl uncordon {there.machine}"
