"""Nodes in OpenStack clouds over REST and `umbel node`, as rows, with clouds in memory."""

import asyncio
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
from umbel.compute.clouds.model import (
    CloudCredentials,
    CloudNode,
    CloudNodeExists,
    NoSuchCloudNode,
)
from umbel.compute.clouds.store import CloudStore, cloud_nodes
from umbel.kit.db import Database
from umbel.kit.sealing import Sealer
from umbel.kit.sql import Query

URL, SECRET = "https://192.0.2.11:5000/v3", "a-s3cret-that-nobody-sees"
AUTHORITY = Authority().pem.strip()
TOWN = CloudNode(
    name="town",
    flavor="m1.small",
    network="lan",
    zone="nova",
    address="10.0.5.7",
    credentials=CloudCredentials(
        url=URL, region="RegionOne", authority=AUTHORITY, id="app-1", secret=SECRET
    ),
)
ROWS: Query[dict[str, object]] = Query(sa.select(cloud_nodes), dict)


def clouds_file(cacert: str = "", **auth: str) -> str:
    signed = auth or {
        "application_credential_id": "app-1",
        "application_credential_secret": SECRET,
    }
    lab = {"region_name": "RegionOne", "cacert": cacert or AUTHORITY}
    return yaml.safe_dump({"clouds": {"lab": {**lab, "auth": {"auth_url": URL, **signed}}}})


async def node(url: str, *words: str) -> Result:
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD}
    env["COLUMNS"] = "160"
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["node", *words], env=env))


@pytest.fixture
def add(tmp_path: Path) -> tuple[str, ...]:
    """The words that add TOWN."""
    file = tmp_path / "clouds.yaml"
    (tmp_path / "ca.pem").write_text(AUTHORITY)
    file.write_text(clouds_file("ca.pem"))
    where = ("--flavor", TOWN.flavor, "--network", TOWN.network, "--zone", TOWN.zone)
    return ("add", "town", "--link", "c1", "--openstack", str(file), *where)


async def test_a_project_of_a_cloud_becomes_a_node_and_goes(
    there: tuple[World, str], add: tuple[str, ...]
) -> None:
    here, url = there
    added = await node(url, *add)
    assert added.stdout.splitlines()[-2:] == [
        "town: OpenStack (Nova 2.93) at 10.0.5.7, 20 cores, 51200 MiB for servers",
        "added town",
    ]
    assert await here.system.clouds.list() == [TOWN]
    (made,) = here.system.nodes.added
    assert (made.pool, made.address, made.cores) == ("openstack", "10.0.5.7", 20)
    gone = await node(url, "remove", "town")
    assert gone.stdout == "removed town\n"
    assert await here.system.clouds.list() == []
    assert "town" not in [one.name for one in await here.system.nodes.list()]


async def test_an_add_that_was_interrupted_goes_on(
    there: tuple[World, str], add: tuple[str, ...]
) -> None:
    here, url = there
    await here.system.clouds.add(TOWN)
    assert (await node(url, *add)).stdout == "added town\n"
    assert here.system.nodes.added[0].address == "10.0.5.7"


async def test_no_answer_no_row_and_no_log_has_the_secret(
    there: tuple[World, str], add: tuple[str, ...]
) -> None:
    here, url = there
    with structlog.testing.capture_logs() as logged:
        said = await node(url, *add)
        listed = await here.client.get("/api/v1/cloud-nodes", headers=here.as_("operator"))
    (shown,) = listed.json()
    assert shown == {
        "name": "town",
        "pool": "openstack",
        "flavor": "m1.small",
        "network": "lan",
        "zone": "nova",
        "machine": "",
        "external": "",
        "address": "10.0.5.7",
        "url": URL,
        "region": "RegionOne",
        "signs_in_by": "application-credential",
    }
    rows = await here.system.database.read(lambda c: c.all(ROWS))
    for text in (said.output, listed.text, repr(logged), repr(rows), repr(TOWN)):
        assert "s3cret" not in text
    assert logged
    assert rows


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--ssh", "admin@192.0.2.11"), "give one of"),
        (("--network", ""), "name its network"),
        (("--flavor", ""), "name its flavor"),
        (("--zone", "a:b"), "no name of a availability zone"),
        (("--cloud", "other"), "no cloud 'other'"),
        (("--openstack", "/nowhere/clouds.yaml"), "no clouds.yaml file"),
    ],
)
async def test_what_is_no_clouds_node_is_refused(
    there: tuple[World, str], add: tuple[str, ...], words: tuple[str, ...], problem: str
) -> None:
    here, url = there
    refused = await node(url, *add, *words)
    assert refused.exit_code != 0
    assert problem in refused.output
    assert await here.system.clouds.list() == []


async def test_clouds_are_for_operators(there: tuple[World, str]) -> None:
    here, _ = there
    assert (await here.client.get("/api/v1/cloud-nodes")).status_code == 401


async def test_rows_are_what_was_added(database: Database) -> None:
    store = CloudStore(database, Sealer(b"master", "clouds"))
    await store.add(TOWN)
    assert await store.all() == {"town": TOWN}
    with pytest.raises(CloudNodeExists):
        await store.add(replace(TOWN, flavor="m1.large"))
    other = replace(TOWN, name="pe2", machine="compute-1", external="internet")
    await store.add(other)
    await store.remove("town")
    assert await store.all() == {"pe2": other}
    with pytest.raises(NoSuchCloudNode):
        await store.get("town")


async def test_credentials_of_another_master_key_hide_no_node(database: Database) -> None:
    await CloudStore(database, Sealer(b"master", "clouds")).add(TOWN)
    found = await CloudStore(database, Sealer(b"another", "clouds")).all()
    assert found["town"].credentials == CloudCredentials(url=URL, region="RegionOne")
