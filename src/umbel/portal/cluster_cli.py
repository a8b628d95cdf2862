"""`umbel node` where a node is a Kubernetes cluster's: `add --kubernetes`, and `remove`.

Options in; lines out. A client of `/api/v1/cluster-nodes` like any other.
"""

from pathlib import Path
from typing import Any

import typer

from umbel.portal.client import ApiClient
from umbel.portal.node_waits import LOOK_WITHIN_S

CLUSTERS = "/api/v1/cluster-nodes"
IN_CLUSTER = "in-cluster"


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
    """Add the cluster's node, or go on with one that was added; its address there and what was
    found, the latter the first time alone."""
    name = wanted["name"]
    for one in api.get(CLUSTERS):
        if one["name"] == name:
            return {"address": one["address"]}
    added = api.post(CLUSTERS, wanted, within_s=LOOK_WITHIN_S)
    facts: dict[str, Any] = added["facts"]
    typer.echo(
        f"{name}: Kubernetes {facts['version']} at {', '.join(facts['addresses'])}, "
        f"{facts['cores']:g} cores, {facts['memory_mb']} MiB for pods"
    )
    return {**facts, "address": added["address"]}
