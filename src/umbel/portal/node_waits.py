"""What `umbel node` waits for, shown while it waits: a drain, an installation."""

import time
from typing import Any

import typer

from umbel.compute.machines.service import MachineState
from umbel.delivery.model import NodeAvailability
from umbel.kit.terminal import bars
from umbel.portal.client import ApiClient, RefusedByPlatform

NODES, MACHINES = "/api/v1/nodes", "/api/v1/machines"
LOOK_WITHIN_S = 120.0
"""How long a request may take that looks a machine over."""

_POLL_S = 0.5
_DRAINS = (NodeAvailability.DRAINING, NodeAvailability.DRAINED, NodeAvailability.LOST)


def wait_until_drained(api: ApiClient, node: dict[str, Any]) -> None:
    """Show what is left on the node at each change, until nothing is."""
    shown = ""
    while node["functions"] or node["viewers"]:
        if node["state"] not in _DRAINS:
            typer.secho(f"the drain of {node['name']} was cancelled", fg="red", err=True)
            raise typer.Exit(1)
        if (left := _left(node)) != shown:
            typer.echo(left)
            shown = left
        time.sleep(_POLL_S)
        node = api.get(f"{NODES}/{node['name']}")
    typer.echo(f"{node['name']} is {node['state']}")


def wait_until_installed(api: ApiClient, machine: dict[str, Any]) -> dict[str, Any]:
    """Show how much is copied, until the machine is ready. Raises RefusedByPlatform when it
    fails."""
    with bars() as move:
        while machine["state"] == MachineState.INSTALLING:
            if machine["size"]:
                move(machine["name"], machine["copied"] // 2**20, machine["size"] // 2**20)
            time.sleep(_POLL_S)
            machine = api.get(f"{MACHINES}/{machine['name']}")
    if error := machine["error"]:
        raise RefusedByPlatform(error["code"], error["message"], {})
    return machine


def _left(node: dict[str, Any]) -> str:
    functions = ", ".join(node["functions"]) or "no functions"
    return f"{node['name']} is {node['state']}: {node['viewers']} viewers, {functions}"
