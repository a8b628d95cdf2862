"""A guest's seed: who it is, its address, its keys, and what it runs. It is a NoCloud disk, so
guests with cloud-init read it too; ours read `guest.env` and `start`.

In: a guest and its environment. Out: files. Neighbour: seed_disk.py makes a disk of them.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence

from umbel.compute.drivers.libvirt.guest import GuestRecord
from umbel.compute.hypervisors.model import GuestNetwork
from umbel.compute.ports import CannotRun

LABEL = "cidata"
EXIT_FILE = "/run/umbel/exit"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FOLDER = "/run/seed"
"""Where the seed is in a guest."""
_MOUNT = f"mkdir -p {FOLDER} /run/umbel && mount -o ro LABEL={LABEL} {FOLDER}"


def seed_files(
    guest: GuestRecord,
    network: GuestNetwork,
    command: Sequence[str],
    environment: Mapping[str, str],
    keys: Sequence[str] = (),
) -> dict[str, str]:
    """The files of the seed, by name. `keys` may sign in over SSH where the guest has a server.
    Raises CannotRun."""
    for name, value in environment.items():
        if _VARIABLE.fullmatch(name) is None or "\0" in value:
            raise CannotRun(f"{name[:60]!r} is no variable of an environment", function=guest.id)
    cloud = {
        "hostname": _host_name(guest),
        "ssh_authorized_keys": list(keys),
        "runcmd": [["sh", "-c", f"{_MOUNT} && exec sh {FOLDER}/start"]],
    }
    instance = {"instance-id": f"{guest.uuid}-{guest.started_s:.0f}"}
    return {
        # JSON is YAML.
        "meta-data": json.dumps(instance | {"local-hostname": _host_name(guest)}),
        "user-data": f"#cloud-config\n{json.dumps(cloud)}\n",
        "network-config": json.dumps(_network_config(guest, network)),
        "guest.env": _assignments(
            {
                "GUEST_NAME": _host_name(guest),
                "GUEST_ADDRESS": f"{guest.address}/{network.prefix}",
                "GUEST_GATEWAY": network.gateway,
            }
        ),
        "start": _start(command, environment),
    }


def _host_name(guest: GuestRecord) -> str:
    return re.sub(r"[^a-z0-9-]", "-", guest.id.lower())[:63].strip("-") or "guest"


def _network_config(guest: GuestRecord, network: GuestNetwork) -> object:
    device: dict[str, object] = {
        "match": {"macaddress": guest.mac},
        "set-name": "eth0",
        "addresses": [f"{guest.address}/{network.prefix}"],
    }
    if network.gateway:
        device["gateway4"] = network.gateway
    return {"version": 2, "ethernets": {"eth0": device}}


def _start(command: Sequence[str], environment: Mapping[str, str]) -> str:
    exports = "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()
    )
    return f"{exports}exec {shlex.join(command)}\n"


def _assignments(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
