"""A guest's seed: who it is, its address, its keys, and what it runs. It is a NoCloud disk, so
guests with cloud-init read it too; ours read `guest.env` and `start`.

In: a guest and its environment. Out: files. Neighbour: seed_disk.py makes a disk of them.
"""

import json
from collections.abc import Mapping, Sequence

from umbel.compute import guest_start
from umbel.compute.drivers.libvirt.guest import GuestRecord
from umbel.compute.guest_start import SEED
from umbel.compute.hypervisors.model import GuestNetwork

LABEL = "cidata"
EXIT_FILE = "/run/umbel/exit"

_MOUNT = f"mkdir -p {SEED} /run/umbel && mount -o ro LABEL={LABEL} {SEED}"


def seed_files(
    guest: GuestRecord,
    network: GuestNetwork,
    command: Sequence[str],
    environment: Mapping[str, str],
    keys: Sequence[str] = (),
) -> dict[str, str]:
    """The files of the seed, by name. `keys` may sign in over SSH where the guest has a server.
    Raises CannotRun."""
    cloud = {
        "hostname": guest_start.host_name(guest.id),
        "ssh_authorized_keys": list(keys),
        "runcmd": [["sh", "-c", f"{_MOUNT} && exec sh {SEED}/start"]],
    }
    instance = {"instance-id": f"{guest.uuid}-{guest.started_s:.0f}"}
    return {
        # JSON is YAML.
        "meta-data": json.dumps(instance | {"local-hostname": guest_start.host_name(guest.id)}),
        "user-data": f"#cloud-config\n{json.dumps(cloud)}\n",
        "network-config": json.dumps(_network_config(guest, network)),
        "guest.env": guest_start.assignments(
            {
                "GUEST_NAME": guest_start.host_name(guest.id),
                "GUEST_ADDRESS": f"{guest.address}/{network.prefix}",
                "GUEST_GATEWAY": network.gateway,
            }
        ),
        "start": guest_start.start(command, environment),
    }


def _network_config(guest: GuestRecord, network: GuestNetwork) -> object:
    device: dict[str, object] = {
        "match": {"macaddress": guest.mac},
        "set-name": "eth0",
        "addresses": [f"{guest.address}/{network.prefix}"],
    }
    if network.gateway:
        device["gateway4"] = network.gateway
    return {"version": 2, "ethernets": {"eth0": device}}
