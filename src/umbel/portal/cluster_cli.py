"""`umbel node` where a node is a Kubernetes cluster's: `add --kubernetes`, and `remove`.

Options in; lines out. A client of `/api/v1/cluster-nodes` like any other.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from umbel.portal.client import ApiClient
from umbel.portal.node_waits import LOOK_WITHIN_S

CLUSTERS = "/api/v1/cluster-nodes"
IN_CLUSTER = "in-cluster"

Kubernetes = Annotated[
    str,
    typer.Option(
        help="make it of a node of this Kubernetes cluster: a kubeconfig file, or in-cluster for"
        " the service account of the platform's own pod",
        metavar="FILE",
    ),
]
Context = Annotated[
    str, typer.Option(help="with --kubernetes: a context of the file; else its current one")
]
MachineName = Annotated[
    str,
    typer.Option(
        help="with --kubernetes: its name in the cluster, where that is another; with --openstack,"
        " for administrators: the hypervisor of its servers"
    ),
]
Namespace = Annotated[
    str, typer.Option(help="with --kubernetes: where its pods are; else the context's, or umbel")
]
ContainerImage = Annotated[
    str, typer.Option(help="with --kubernetes: the platform's container image")
]
_GIVEN = ("kubeconfig", "context", "in_cluster")


def sign_in(kubernetes: str, context: str) -> dict[str, Any]:
    """How the platform signs in at the cluster's API server."""
    if kubernetes == IN_CLUSTER:
        return {"in_cluster": True}
    try:
        text = Path(kubernetes).read_text()
    except (OSError, ValueError) as error:
        message = f"{kubernetes}: no kubeconfig file, and not {IN_CLUSTER}: {error}"
        raise typer.BadParameter(message) from error
    return {"kubeconfig": text, "context": context}


def add_cluster_node(api: ApiClient, wanted: dict[str, Any]) -> dict[str, Any]:
    """Add the cluster's node, or go on with one whose adding was interrupted; its address there and
    what was found."""
    name = wanted["name"]
    for one in api.get(CLUSTERS):
        if one["name"] == name:
            found = replace_credentials(api, name, {k: wanted[k] for k in _GIVEN if k in wanted})
            return {**found, "address": one["address"]}
    added = api.post(CLUSTERS, wanted, within_s=LOOK_WITHIN_S)
    return {**_said(name, added["facts"]), "address": added["address"]}


def replace_credentials(api: ApiClient, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Sign in at the node's cluster in another way; what was found there."""
    url = f"{CLUSTERS}/{name}/credentials"
    return _said(name, api.put(url, given, within_s=LOOK_WITHIN_S))


def _said(name: str, facts: dict[str, Any]) -> dict[str, Any]:
    typer.echo(
        f"{name}: Kubernetes {facts['version']} at {', '.join(facts['addresses'])}, "
        f"{facts['cores']:g} cores, {facts['memory_mb']} MiB for pods"
    )
    return facts
