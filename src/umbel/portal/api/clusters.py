"""For operators: nodes of Kubernetes clusters, whose pods run functions, come and go."""

import asyncio
from typing import Annotated, Self

from fastapi import Query
from pydantic import BaseModel, Field, StrictBool, model_validator

from umbel.compute.clusters.kubeconfig import MOST_BYTES, parse
from umbel.compute.clusters.model import CLUSTERS_POOL, ClusterFacts, ClusterNode, Credentials
from umbel.portal import auth
from umbel.portal.api.nodes import NewName, PoolName
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NodeName

router = Resource(prefix="/api/v1/cluster-nodes", tags=["nodes"])

_Name = Annotated[str, Field(max_length=253)]


class ClusterCredentialsIn(Given):
    """How the platform signs in: by the current or the named context of a `kubeconfig`, or as the
    service account of its own pod (`in_cluster`). It is kept sealed, and no answer has it."""

    kubeconfig: Annotated[str, Field(max_length=MOST_BYTES)] = ""
    context: _Name = ""
    in_cluster: StrictBool = False

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if bool(self.kubeconfig) is self.in_cluster:
            raise ValueError("give a kubeconfig or in_cluster")
        return self

    def parsed(self) -> tuple[Credentials, str]:
        """The credentials, and the context's namespace. Raises BadCluster."""
        if self.kubeconfig:
            return parse(self.kubeconfig, self.context)
        return Credentials(is_own=True), ""


class ClusterNodeIn(ClusterCredentialsIn):
    """A cluster's node: the name that it will have here, the one that it has there (`machine`, else
    the same), and how the platform signs in. Pods are made in `namespace`; without one in the
    context's, or in `umbel`."""

    name: NewName
    image: Annotated[str, Field(max_length=255)]
    machine: _Name = ""
    namespace: _Name = ""
    pool: PoolName = CLUSTERS_POOL

    def node(self) -> ClusterNode:
        """As a value. Raises BadCluster."""
        credentials, namespace = self.parsed()
        return ClusterNode(
            name=self.name,
            machine=self.machine or self.name,
            image=self.image,
            credentials=credentials,
            namespace=self.namespace or namespace or ClusterNode.namespace,
            pool=self.pool,
        )


class ClusterFactsOut(BaseModel):
    """What a cluster said of its node when it was looked over: the kubelet's version, the node's
    addresses, and what pods may use of it; memory in MiB."""

    version: str
    addresses: list[str]
    cores: float
    memory_mb: int


class ClusterNodeOut(BaseModel):
    """A cluster's node. `signs_in_by` is token, certificate or service-account."""

    name: str
    pool: str
    machine: str
    address: str
    namespace: str
    image: str
    server: str
    signs_in_by: str


class NewClusterNodeOut(ClusterNodeOut):
    """A cluster's node that was added, with what was found there."""

    facts: ClusterFactsOut


@router.get("")
async def list_cluster_nodes(
    system: auth.SystemDep, _operator: auth.Operator
) -> list[ClusterNodeOut]:
    """List every cluster's node that was added."""
    return [ClusterNodeOut(**_shown(one)) for one in await system.clusters.list()]


@router.post("", status_code=201)
async def add_cluster_node(
    system: auth.SystemDep, _operator: auth.Operator, given: ClusterNodeIn
) -> NewClusterNodeOut:
    """Look a cluster's node over and keep it: all rights must be there, and pods may use its
    network. Add its node then."""
    # A large file takes a second to read.
    wanted = await asyncio.to_thread(given.node)
    added, facts = await system.clusters.add(wanted)
    return NewClusterNodeOut(**_shown(added), facts=_found(facts))


@router.put("/{name}/credentials")
async def replace_cluster_credentials(
    system: auth.SystemDep, _operator: auth.Operator, name: NodeName, given: ClusterCredentialsIn
) -> ClusterFactsOut:
    """Look the cluster's node over with other credentials, and sign in by them from now on. What
    runs there runs on."""
    credentials, _ = await asyncio.to_thread(given.parsed)
    return _found(await system.clusters.replace_credentials(name, credentials))


@router.delete("/{name}", status_code=204)
async def remove_cluster_node(
    system: auth.SystemDep,
    _operator: auth.Operator,
    name: NodeName,
    force: Annotated[bool, Query()] = False,
) -> None:
    """Remove a cluster's node whose node here is gone, and all that is ours there. `force` also
    forgets one whose cluster does not answer."""
    nodes = [one.name for one in await system.nodes.list()]
    await system.clusters.remove(name, nodes=nodes, force=force)


def _found(facts: ClusterFacts) -> ClusterFactsOut:
    return ClusterFactsOut(
        version=facts.version,
        addresses=list(facts.addresses),
        cores=facts.cores,
        memory_mb=facts.memory_mb,
    )


def _shown(of: ClusterNode) -> dict[str, str]:
    return {
        "name": of.name,
        "pool": of.pool,
        "machine": of.machine,
        "address": of.address,
        "namespace": of.namespace,
        "image": of.image,
        "server": of.credentials.server,
        "signs_in_by": of.credentials.kind,
    }
