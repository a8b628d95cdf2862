"""`umbel node` where a node is in an OpenStack cloud: `add --openstack`, and `remove`.

Options in; lines out. A client of `/api/v1/cloud-nodes` like any other.
"""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from umbel.portal.client import ApiClient
from umbel.portal.node_waits import LOOK_WITHIN_S

CLOUDS = "/api/v1/cloud-nodes"

OpenStack = Annotated[
    str,
    typer.Option(help="make it of a project of an OpenStack cloud: clouds.yaml", metavar="FILE"),
]
Cloud = Annotated[str, typer.Option(help="with --openstack: a cloud of the file, of several")]
Flavor = Annotated[str, typer.Option(help="with --openstack: the flavour of servers")]
CloudNetwork = Annotated[str, typer.Option(help="with --openstack: the network of servers")]
Zone = Annotated[str, typer.Option(help="with --openstack: the availability zone of servers")]
External = Annotated[
    str, typer.Option(help="with --openstack: the network of floating addresses for servers")
]


def sign_in_to_cloud(openstack: str, cloud: str) -> dict[str, Any]:
    """How the platform signs in at the cloud: what the file says, with the text of the certificate
    that it names."""
    try:
        text = Path(openstack).read_text()
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{openstack}: no clouds.yaml file: {error}") from error
    return {"clouds_file": _with_authority(text, Path(openstack).parent), "cloud": cloud}


def _with_authority(text: str, folder: Path) -> str:
    """The file with its certificates in place of their names: the platform reads no file of ours.
    What cannot be read stays as it is, for the platform to say what is wrong."""
    try:
        document = yaml.safe_load(text)
        for cloud in document["clouds"].values():
            name = cloud.get("cacert", "")
            if name and "BEGIN" not in name:
                cloud["cacert"] = (folder / name).expanduser().read_text()
    except (yaml.YAMLError, RecursionError, LookupError, TypeError, AttributeError, ValueError):
        return text
    except OSError as error:
        raise typer.BadParameter(f"cacert: {error}") from error
    return str(yaml.safe_dump(document))


def add_cloud_node(api: ApiClient, wanted: dict[str, Any]) -> dict[str, Any]:
    """Add the cloud's node, or go on with one that was added; its address there and what was found,
    the latter the first time alone."""
    name = wanted["name"]
    for one in api.get(CLOUDS):
        if one["name"] == name:
            return {"address": one["address"]}
    added = api.post(CLOUDS, wanted, within_s=LOOK_WITHIN_S)
    facts: dict[str, Any] = added["facts"]
    typer.echo(
        f"{name}: OpenStack (Nova {facts['version']}) at {added['address']}, "
        f"{facts['cores']:g} cores, {facts['memory_mb']} MiB for servers"
    )
    return {**facts, "address": added["address"]}
