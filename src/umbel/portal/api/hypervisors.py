"""For operators: hypervisors, whose guests run functions, come and go."""

from typing import Annotated

from fastapi import Query, Response
from pydantic import BaseModel, Field, StrictBool

from umbel.compute.hypervisors.model import (
    CERTIFICATE_DAYS,
    HYPERVISORS_POOL,
    MOST_CERTIFICATE_DAYS,
    MOST_CERTIFICATE_NAMES,
    CopyAccess,
    GuestNetwork,
    Hypervisor,
)
from umbel.kit.clock import to_rfc3339
from umbel.portal import auth
from umbel.portal.api.nodes import NewName, PoolName
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NodeName

router = Resource(prefix="/api/v1/hypervisors", tags=["nodes"])

Address = Annotated[str, Field(max_length=15)]


class GuestNetworkIn(Given):
    """The bridge there that guests are connected to, and the addresses that they get: `first` to
    `last`, in a network of `prefix` bits. `gateway` is their default route, empty for none."""

    bridge: Annotated[str, Field(max_length=15)]
    is_open_vswitch: StrictBool = False
    first: Address
    last: Address
    prefix: Annotated[int, Field(ge=8, le=31)] = GuestNetwork.prefix
    gateway: Address = ""


class CopyAccessIn(Given):
    """How running guests are copied between hypervisors: `address` is where this one takes them,
    empty for its host name. They go over TLS unless both hypervisors have `is_plain`."""

    address: Annotated[str, Field(max_length=45)] = ""
    is_plain: StrictBool = False


class HypervisorIn(Given):
    """A hypervisor: the name that its node will have, libvirt's URI of it, and what its guests are
    connected to. All that is ours there is under `folder`. With `iscsi`, its guests' disks are
    logical units of that target: `HOST:PORT/IQN/FIRST-LAST`."""

    name: NewName
    uri: Annotated[str, Field(max_length=500)]
    network: GuestNetworkIn
    pool: PoolName = HYPERVISORS_POOL
    folder: Annotated[str, Field(max_length=200)] = Hypervisor.folder
    copies: CopyAccessIn = CopyAccessIn()
    iscsi: Annotated[str, Field(max_length=500)] = ""


class CertificateIn(Given):
    """What a hypervisor's certificate holds next to where it takes copies and the host of its URI:
    more addresses and host names, as other hypervisors know it. It ends after `days`."""

    names: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253)]],
        Field(max_length=MOST_CERTIFICATE_NAMES),
    ] = Field(default=[])
    days: Annotated[int, Field(ge=1, le=MOST_CERTIFICATE_DAYS)] = CERTIFICATE_DAYS


class CertificateOut(BaseModel):
    """A certificate for both ends of TLS, its key, which is kept nowhere, and the certificate of
    the authority that hypervisors of this platform trust; PEM."""

    authority: str
    certificate: str
    key: str
    names: list[str]
    expires_at: str


class HypervisorFactsOut(BaseModel):
    """What a hypervisor said of itself when it was looked over; memory in MiB."""

    host_name: str
    libvirt: str
    cores: int
    memory_mb: int


class GuestNetworkOut(BaseModel):
    """What guests are connected to."""

    bridge: str
    is_open_vswitch: bool
    first: str
    last: str
    prefix: int
    gateway: str


class CopyAccessOut(BaseModel):
    """How running guests are copied to a hypervisor."""

    address: str
    is_plain: bool


class HypervisorOut(BaseModel):
    """A hypervisor. `accelerator` is what its probe guest booted with: `kvm`, or `qemu`, which is
    emulation and ten times slower."""

    name: str
    pool: str
    uri: str
    folder: str
    accelerator: str
    network: GuestNetworkOut
    copies: CopyAccessOut
    iscsi: str


class NewHypervisorOut(HypervisorOut):
    """A hypervisor that was added, with what was found there."""

    facts: HypervisorFactsOut


@router.get("")
async def list_hypervisors(system: auth.SystemDep, _operator: auth.Operator) -> list[HypervisorOut]:
    """List every hypervisor that was added."""
    return [HypervisorOut(**_hypervisor(one)) for one in await system.hypervisors.list()]


@router.post("", status_code=201)
async def add_hypervisor(
    system: auth.SystemDep, _operator: auth.Operator, given: HypervisorIn
) -> NewHypervisorOut:
    """Look a hypervisor over and keep it: a guest must boot there, on the bridge.
    Add its node then."""
    wanted = Hypervisor(
        name=given.name,
        uri=given.uri,
        network=GuestNetwork(**given.network.model_dump()),
        pool=given.pool,
        folder=given.folder,
        copies=CopyAccess(**given.copies.model_dump()),
        iscsi=given.iscsi,
    )
    added, facts = await system.hypervisors.add(wanted)
    found = HypervisorFactsOut(
        host_name=facts.host_name,
        libvirt=facts.libvirt,
        cores=facts.cores,
        memory_mb=facts.memory_mb,
    )
    return NewHypervisorOut(**_hypervisor(added), facts=found)


@router.post("/{name}/certificate", status_code=201)
async def issue_certificate(
    system: auth.SystemDep,
    _operator: auth.Operator,
    name: NodeName,
    given: CertificateIn,
    response: Response,
) -> CertificateOut:
    """Issue a certificate for TLS of a hypervisor's libvirt and QEMU. Its key is in this answer
    alone."""
    response.headers["Cache-Control"] = "no-store"
    issued, names = await system.hypervisors.certificate(name, given.names, days=given.days)
    return CertificateOut(
        authority=issued.authority,
        certificate=issued.certificate,
        key=issued.key,
        names=list(names),
        expires_at=to_rfc3339(issued.expires_s),
    )


@router.delete("/{name}", status_code=204)
async def remove_hypervisor(
    system: auth.SystemDep,
    _operator: auth.Operator,
    name: NodeName,
    force: Annotated[bool, Query()] = False,
) -> None:
    """Remove a hypervisor whose node is gone, and all that is ours there. `force` also forgets one
    that does not answer."""
    nodes = [one.name for one in await system.nodes.list()]
    await system.hypervisors.remove(name, nodes=nodes, force=force)


def _hypervisor(of: Hypervisor) -> dict[str, object]:
    network = of.network
    return {
        "name": of.name,
        "pool": of.pool,
        "uri": of.uri,
        "folder": of.folder,
        "iscsi": of.iscsi,
        "accelerator": of.accelerator.value,
        "copies": CopyAccessOut(address=of.copies.address, is_plain=of.copies.is_plain),
        "network": GuestNetworkOut(
            bridge=network.bridge,
            is_open_vswitch=network.is_open_vswitch,
            first=network.first,
            last=network.last,
            prefix=network.prefix,
            gateway=network.gateway,
        ),
    }
