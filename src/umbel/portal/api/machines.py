"""For operators: their own machines, which run functions over SSH, come, are upgraded and go."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from umbel.compute.machines.model import (
    HOSTS_POOL,
    Machine,
    MachineFacts,
    fingerprint,
    parse_target,
)
from umbel.compute.machines.service import MachineState, MachineStatus
from umbel.portal import auth
from umbel.portal.api.nodes import NewName, PoolName
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NodeName

router = Resource(prefix="/api/v1/machines", tags=["nodes"])


class MachineIn(Given):
    """A machine: the name that its node will have, and where its SSH server is, as
    `USER@HOST[:PORT]`. All that is installed there is under `prefix`. `run_as` runs functions where
    the platform signs in as root, and is made there if it is absent; empty: root runs them.
    `address` is the node's, if the machine must have it."""

    name: NewName
    ssh: Annotated[str, Field(max_length=300)]
    pool: PoolName = HOSTS_POOL
    prefix: Annotated[str, Field(max_length=200)] = Machine.prefix
    run_as: Annotated[str, Field(pattern=r"^([a-z_][a-z0-9_-]{0,31})?$")] = Machine.run_as
    address: Annotated[str, Field(max_length=253)] = ""


class MachineFactsOut(BaseModel):
    """What a machine said of itself when it was looked over."""

    system: str
    python: str
    gstreamer: str
    cores: int
    memory_mb: int
    disk_mb: int
    free_ports: int
    systemd: bool


class InstallErrorOut(BaseModel):
    """Why the last installation failed."""

    code: str
    message: str


class MachineOut(BaseModel):
    """A machine. `fingerprint` is that of its host key, pinned when it was added. While its bundle
    is installed, `copied` of `size` bytes are there."""

    name: str
    pool: str
    ssh: str
    prefix: str
    fingerprint: str
    bundle: str
    state: MachineState
    copied: int
    size: int
    error: InstallErrorOut | None


class NewMachineOut(MachineOut):
    """A machine that was added, with what was found there."""

    facts: MachineFactsOut


class MachineKeyOut(BaseModel):
    """The line that a machine's `authorized_keys` needs."""

    public_key: str


@router.get("")
async def list_machines(system: auth.SystemDep, _operator: auth.Operator) -> list[MachineOut]:
    """List every machine that was added."""
    return [MachineOut(**_machine(one)) for one in await system.machines.list()]


@router.get("-key")
async def get_machine_key(system: auth.SystemDep, _operator: auth.Operator) -> MachineKeyOut:
    """Get the platform's public key for SSH; it is the same for all machines."""
    return MachineKeyOut(public_key=system.machines.public_key)


@router.post("", status_code=201)
async def add_machine(
    system: auth.SystemDep, _operator: auth.Operator, given: MachineIn
) -> NewMachineOut:
    """Look a machine over, pin its host key, and begin to install what functions need. Add its node
    when it is `ready`. All that is wrong with the machine is in one error."""
    machine = Machine(
        name=given.name,
        pool=given.pool,
        target=parse_target(given.ssh),
        host_key="",
        prefix=given.prefix,
        run_as=given.run_as,
    )
    status, facts = await system.machines.add(machine, given.address)
    return NewMachineOut(**_machine(status), facts=_facts(facts))


@router.get("/{name}")
async def get_machine(
    system: auth.SystemDep, _operator: auth.Operator, name: NodeName
) -> MachineOut:
    """Get one machine."""
    return MachineOut(**_machine(await system.machines.get(name)))


@router.post("/{name}/upgrade")
async def upgrade_machine(
    system: auth.SystemDep, _operator: auth.Operator, name: NodeName
) -> MachineOut:
    """Begin to install this control plane's bundle next to the one in use. Functions that run keep
    theirs; what starts when it is installed has the new one."""
    return MachineOut(**_machine(await system.machines.upgrade(name)))


@router.delete("/{name}", status_code=204)
async def remove_machine(
    system: auth.SystemDep,
    _operator: auth.Operator,
    name: NodeName,
    force: Annotated[bool, Query()] = False,
) -> None:
    """Remove a machine whose node is gone, and all that was installed there. `force` also forgets
    one that does not answer."""
    nodes = [one.name for one in await system.nodes.list()]
    await system.machines.remove(name, nodes=nodes, force=force)


def _machine(of: MachineStatus) -> dict[str, object]:
    error = of.error
    return {
        "name": of.machine.name,
        "pool": of.machine.pool,
        "ssh": str(of.machine.target),
        "prefix": of.machine.prefix,
        "fingerprint": fingerprint(of.machine.host_key),
        "bundle": of.machine.bundle,
        "state": of.state,
        "copied": of.copied,
        "size": of.size,
        "error": error and InstallErrorOut(code=error.code, message=error.message),
    }


def _facts(of: MachineFacts) -> MachineFactsOut:
    return MachineFactsOut(
        system=of.system,
        python=of.python,
        gstreamer=of.gstreamer,
        cores=of.cores,
        memory_mb=of.memory_mb,
        disk_mb=of.disk_mb,
        free_ports=of.free_ports,
        systemd=of.has_systemd,
    )
