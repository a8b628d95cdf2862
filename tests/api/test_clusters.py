"""Nodes of Kubernetes clusters over REST and `umbel node`, as rows, with clusters in memory."""

import asyncio
import base64
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog
import yaml
from typer.testing import CliRunner, Result

from support.certificates import Authority
from support.http import PASSWORD, World
from umbel.cli import app
from umbel.compute.clusters.model import (
    ClusterNode,
    ClusterNodeExists,
    Credentials,
    NoSuchClusterNode,
)
from umbel.compute.clusters.store import ClusterStore, cluster_nodes
from umbel.kit.db import Database
from umbel.kit.sealing import Sealer
from umbel.kit.sql import Query

SERVER, TOKEN = "https://192.0.2.11:6443", "a-t0ken-that-nobody-sees"
AUTHORITY = Authority().pem
TOWN = ClusterNode(
    name="town",
    machine="worker-1",
    address="10.0.4.7",
    image="registry.example/umbel:1",
    credentials=Credentials(server=SERVER, authority=AUTHORITY, token=TOKEN),
    namespace="video",
)


def kubeconfig(**user: str) -> str:
    authority = base64.b64encode(AUTHORITY.encode()).decode()
    cluster = {"server": SERVER, "certificate-authority-data": authority}
    context = {"cluster": "c", "user": "u", "namespace": "video"}
    return yaml.safe_dump(
        {
            "current-context": "x",
            "contexts": [{"name": "x", "context": context}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user or {"token": TOKEN}}],
        }
    )


async def node(url: str, *words: str) -> Result:
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD}
    env["COLUMNS"] = "160"
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["node", *words], env=env))


@pytest.fixture
def add(tmp_path: Path) -> tuple[str, ...]:
    """The words that add TOWN."""
    file = tmp_path / "kubeconfig"
    file.write_text(kubeconfig())
    image, machine = ("--image", TOWN.image), ("--machine", TOWN.machine)
    return ("add", "town", "--link", "c1", "--kubernetes", str(file), *image, *machine)


async def test_a_clusters_node_becomes_a_node_and_goes(
    there: tuple[World, str], add: tuple[str, ...]
) -> None:
    here, url = there
    added = await node(url, *add)
    assert added.stdout.splitlines()[-2:] == [
        "town: Kubernetes v1.34.1 at 10.0.4.7, 7.5 cores, 15000 MiB for pods",
        "added town",
    ]
    assert await here.system.clusters.list() == [TOWN]
    (made,) = here.system.nodes.added
    assert (made.pool, made.address, made.cores) == ("kubernetes", "10.0.4.7", 7.5)
    gone = await node(url, "remove", "town")
    assert gone.stdout == "removed town\n"
    assert await here.system.clusters.list() == []
    assert "town" not in [one.name for one in await here.system.nodes.list()]


async def test_an_add_that_was_interrupted_goes_on(
    there: tuple[World, str], add: tuple[str, ...]
) -> None:
    here, url = there
    await here.system.clusters.add(TOWN)
    assert (await node(url, *add)).stdout.endswith("added town\n")
    (made,) = here.system.nodes.added
    assert (made.address, made.cores, made.memory_mb) == ("10.0.4.7", 7.5, 15000)


async def test_credentials_are_replaced_while_the_node_is_there(
    there: tuple[World, str], add: tuple[str, ...], tmp_path: Path
) -> None:
    here, url = there
    await node(url, *add)
    file = tmp_path / "renewed"
    file.write_text(kubeconfig(token="renewed"))
    said = await node(url, "credentials", "town", "--kubernetes", str(file))
    assert "town: Kubernetes v1.34.1 at 10.0.4.7" in said.stdout
    (kept,) = await here.system.clusters.list()
    assert kept == replace(TOWN, credentials=replace(TOWN.credentials, token="renewed"))
    none = await node(url, "credentials", "city", "--kubernetes", str(file))
    assert "umbel.no_such_cluster_node" in none.stderr


async def test_credentials_of_another_cluster_are_refused(
    there: tuple[World, str], add: tuple[str, ...], tmp_path: Path
) -> None:
    here, url = there
    await node(url, *add)
    elsewhere = replace(TOWN, name="city", machine="worker-2", address="10.0.4.8")
    await ClusterStore(here.system.database, Sealer(b"of a test", "clusters")).add(elsewhere)
    file = tmp_path / "other"
    file.write_text(kubeconfig(token="other"))
    said = await node(url, "credentials", "city", "--kubernetes", str(file))
    assert "this is another cluster: its worker-2 has the addresses 10.0.4.7" in said.stderr
    assert elsewhere in await here.system.clusters.list()


async def test_an_address_may_be_announced(there: tuple[World, str], add: tuple[str, ...]) -> None:
    here, url = there
    await node(url, *add[:2], "203.0.113.7", *add[2:])
    assert here.system.nodes.added[0].address == "203.0.113.7"


async def test_the_platforms_own_service_account_needs_no_file(
    there: tuple[World, str],
) -> None:
    here, url = there
    words = ("--kubernetes", "in-cluster", "--image", TOWN.image, "--namespace", "media")
    await node(url, "add", "worker-1", "--link", "c1", *words)
    (made,) = await here.system.clusters.list()
    assert made.credentials == Credentials(is_own=True)
    assert (made.machine, made.namespace) == ("worker-1", "media")


async def test_no_answer_no_row_and_no_log_has_the_token(
    there: tuple[World, str], add: tuple[str, ...]
) -> None:
    here, url = there
    with structlog.testing.capture_logs() as logged:
        said = await node(url, *add)
        listed = await here.client.get("/api/v1/cluster-nodes", headers=here.as_("operator"))
    (shown,) = listed.json()
    assert shown == {
        "name": "town",
        "pool": "kubernetes",
        "machine": "worker-1",
        "address": "10.0.4.7",
        "namespace": "video",
        "image": TOWN.image,
        "server": SERVER,
        "signs_in_by": "token",
    }
    rows = await here.system.database.read(lambda c: c.all(ROWS))
    for text in (said.output, listed.text, repr(logged), repr(rows)):
        assert "t0ken" not in text
    assert logged
    assert rows


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--ssh", "admin@192.0.2.11"), "give one of"),
        (("--image", "Umbel 1"), "umbel.bad_cluster"),
        (("--machine", "worker_1"), "no name of a cluster's node"),
        (("--namespace", "Video"), "no namespace's name"),
        (("--kube-context", "y"), "no context 'y'"),
        (("--kubernetes", "/nowhere/kubeconfig"), "no kubeconfig file"),
    ],
)
async def test_what_is_no_clusters_node_is_refused(
    there: tuple[World, str], add: tuple[str, ...], words: tuple[str, ...], problem: str
) -> None:
    here, url = there
    refused = await node(url, *add, *words)
    assert refused.exit_code != 0
    assert problem in refused.output
    assert await here.system.clusters.list() == []


async def test_a_file_that_runs_programs_is_refused_and_not_quoted(
    there: tuple[World, str],
) -> None:
    here, _ = there
    body = {"name": "town", "image": TOWN.image}
    for changes in ({"kubeconfig": kubeconfig(username="t0ken", password="t0ken")}, {}):
        answer = await here.client.post(
            "/api/v1/cluster-nodes", json=body | changes, headers=here.as_("operator")
        )
        assert answer.status_code in {400, 422}
        assert "t0ken" not in answer.text
    assert "give a kubeconfig or in_cluster" in answer.text


async def test_clusters_are_for_operators(there: tuple[World, str]) -> None:
    here, _ = there
    assert (await here.client.get("/api/v1/cluster-nodes")).status_code == 401


ROWS: Query[dict[str, object]] = Query(sa.select(cluster_nodes), dict)


async def test_rows_are_what_was_added(database: Database) -> None:
    store = ClusterStore(database, Sealer(b"master", "clusters"))
    await store.add(TOWN)
    assert await store.all() == {"town": TOWN}
    other = ClusterNode(
        name="pe2",
        machine="worker-2",
        image=TOWN.image,
        credentials=Credentials(server=SERVER, certificate="c", key="k"),
    )
    for name, machine in (("town", "worker-2"), ("pe3", "worker-1")):
        with pytest.raises(ClusterNodeExists):
            await store.add(
                ClusterNode(name=name, machine=machine, image="i", credentials=other.credentials)
            )
    await store.add(other)
    await store.remove("town")
    assert await store.all() == {"pe2": other}
    with pytest.raises(NoSuchClusterNode):
        await store.get("town")


async def test_credentials_of_another_master_key_hide_no_node(database: Database) -> None:
    await ClusterStore(database, Sealer(b"master", "clusters")).add(TOWN)
    found = await ClusterStore(database, Sealer(b"another", "clusters")).all()
    assert found["town"].credentials == Credentials(server=SERVER)
