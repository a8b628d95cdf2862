"""For operators: nodes in OpenStack clouds, whose servers run functions, come and go."""

import asyncio
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from umbel.compute.clouds.clouds_file import MOST_BYTES, parse
from umbel.compute.clouds.model import CLOUDS_POOL, MOST_NAME, CloudNode
from umbel.portal import auth
from umbel.portal.api.nodes import NewName, PoolName
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NodeName

router = Resource(prefix="/api/v1/cloud-nodes", tags=["nodes"])

_Name = Annotated[str, Field(max_length=MOST_NAME)]


class CloudNodeIn(Given):
    """A node in an OpenStack cloud. The platform signs in by the only or the named `cloud` of a
    clouds.yaml file (`clouds_file`), best with an application credential. Credentials are kept
    sealed, and no answer has them. Servers have the `flavor` and an address in the `network`; they
    are in the `zone`, or on the hypervisor `machine` where the credentials are an administrator's.
    With `external` each has a floating address of that network, too."""

    name: NewName
    flavor: _Name
    network: _Name
    clouds_file: Annotated[str, Field(min_length=1, max_length=MOST_BYTES)]
    cloud: _Name = ""
    zone: _Name = ""
    machine: _Name = ""
    external: _Name = ""
    pool: PoolName = CLOUDS_POOL

    def node(self) -> CloudNode:
        """As a value. Raises BadCloud."""
        return CloudNode(
            name=self.name,
            flavor=self.flavor,
            network=self.network,
            zone=self.zone,
            machine=self.machine,
            external=self.external,
            credentials=parse(self.clouds_file, self.cloud),
            pool=self.pool,
        )


class CloudFactsOut(BaseModel):
    """What a cloud said of the project when it was looked over: Nova's newest API version, and what
    servers may use before the quota is reached; memory in MiB."""

    version: str
    cores: float
    memory_mb: int


class CloudNodeOut(BaseModel):
    """A node in a cloud. `address` is kept for it in the network; `signs_in_by` is
    application-credential or password."""

    name: str
    pool: str
    flavor: str
    network: str
    zone: str
    machine: str
    external: str
    address: str
    url: str
    region: str
    signs_in_by: str


class NewCloudNodeOut(CloudNodeOut):
    """A node in a cloud that was added, with what was found there."""

    facts: CloudFactsOut


@router.get("")
async def list_cloud_nodes(system: auth.SystemDep, _operator: auth.Operator) -> list[CloudNodeOut]:
    """List every node in a cloud that was added."""
    return [CloudNodeOut(**_shown(one)) for one in await system.clouds.list()]


@router.post("", status_code=201)
async def add_cloud_node(
    system: auth.SystemDep, _operator: auth.Operator, given: CloudNodeIn
) -> NewCloudNodeOut:
    """Look a project of a cloud over and keep it: flavour, network, quotas and rights must be
    there. Add its node then."""
    # A large file takes a second to read.
    wanted = await asyncio.to_thread(given.node)
    added, facts = await system.clouds.add(wanted)
    found = CloudFactsOut(version=facts.version, cores=facts.cores, memory_mb=facts.memory_mb)
    return NewCloudNodeOut(**_shown(added), facts=found)


@router.delete("/{name}", status_code=204)
async def remove_cloud_node(
    system: auth.SystemDep,
    _operator: auth.Operator,
    name: NodeName,
    force: Annotated[bool, Query()] = False,
) -> None:
    """Remove a node in a cloud whose node here is gone, and all that is ours there. `force` also
    forgets one whose cloud does not answer."""
    nodes = [one.name for one in await system.nodes.list()]
    await system.clouds.remove(name, nodes=nodes, force=force)


def _shown(of: CloudNode) -> dict[str, str]:
    return {
        "name": of.name,
        "pool": of.pool,
        "flavor": of.flavor,
        "network": of.network,
        "zone": of.zone,
        "machine": of.machine,
        "external": of.external,
        "address": of.address,
        "url": of.credentials.url,
        "region": of.credentials.region,
        "signs_in_by": of.credentials.kind,
    }
