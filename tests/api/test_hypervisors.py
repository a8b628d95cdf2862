"""Hypervisors over REST and `umbel node`, as rows, with hypervisors in memory."""

import asyncio
import stat
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner, Result

from support.http import PASSWORD, World
from umbel.cli import app
from umbel.compute.hypervisors.model import (
    Accelerator,
    CopyAccess,
    GuestNetwork,
    Hypervisor,
    HypervisorExists,
    NoSuchHypervisor,
)
from umbel.compute.hypervisors.store import HypervisorStore
from umbel.kit.db import Database
from umbel.portal.hypervisor_cli import FILES

URI = "qemu+ssh://admin@192.0.2.11/system"
NETWORK = GuestNetwork(bridge="br1", first="10.0.3.10", last="10.0.3.20", gateway="10.0.3.1")
TOWN = Hypervisor(
    name="town",
    uri=URI,
    network=NETWORK,
    accelerator=Accelerator.KVM,
    copies=CopyAccess(address="192.0.2.111", is_plain=True),
    iscsi="192.0.2.9:3260/iqn.2026-11.net.example:guests/1-8",
)


async def node(url: str, *words: str) -> Result:
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD}
    env["COLUMNS"] = "160"
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["node", *words], env=env))


ADD = (
    "add",
    "town",
    "--link",
    "c1",
    "--hypervisor",
    URI,
    "--bridge",
    "br1",
    "--gateway",
    "10.0.3.1",
    "--copies-at",
    "192.0.2.111",
    "--plain-copies",
    "--iscsi",
    "192.0.2.9:3260/iqn.2026-11.net.example:guests/1-8",
)
GUESTS = ("--guests", "10.0.3.10-10.0.3.20/24")


async def test_a_hypervisor_becomes_a_node_and_goes(there: tuple[World, str]) -> None:
    here, url = there
    added = await node(url, *ADD, *GUESTS)
    assert added.stdout.splitlines()[-2:] == [
        "town: libvirt 9.0.0 on town, 8 cores, 16384 MiB; guests run with KVM",
        "added town",
    ]
    assert await here.system.hypervisors.list() == [TOWN]
    (made,) = here.system.nodes.added
    assert (made.pool, made.address, made.cores) == ("hypervisors", "10.0.3.10", 8)
    again = await node(url, "remove", "town")
    assert again.stdout == "removed town\n"
    assert await here.system.hypervisors.list() == []
    assert "town" not in [one.name for one in await here.system.nodes.list()]


async def test_an_add_that_was_interrupted_goes_on(there: tuple[World, str]) -> None:
    here, url = there
    await here.system.hypervisors.add(TOWN)
    assert (await node(url, *ADD, *GUESTS)).stdout == "added town\n"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((*ADD, "--guests", "10.0.3.10"), "FIRST-LAST/PREFIX"),
        (ADD, "FIRST-LAST/PREFIX"),
        ((*ADD, *GUESTS, "--ssh", "admin@192.0.2.11"), "give one of"),
        ((*ADD, "--guests", "10.0.3.20-10.0.3.10/24"), "is no range"),
        ((*ADD, "--guests", "10.0.3.999/24"), "umbel.bad_hypervisor"),
        ((*ADD, *GUESTS, "--iscsi", "192.0.2.9/units"), "is no iSCSI target"),
        ((*ADD, *GUESTS, "--copies-at", "tcp://x"), "is no address where copies"),
    ],
)
async def test_what_is_no_hypervisor_is_refused(
    there: tuple[World, str], words: tuple[str, ...], problem: str
) -> None:
    here, url = there
    refused = await node(url, *words)
    assert refused.exit_code != 0
    assert problem in refused.output
    assert await here.system.hypervisors.list() == []


async def test_a_certificate_is_issued_into_a_folder(
    there: tuple[World, str], tmp_path: Path
) -> None:
    here, url = there
    await here.system.hypervisors.add(TOWN)
    folder = tmp_path / "pki"
    folder.mkdir(mode=0o755)
    (folder / "other.conf").touch(0o644)
    made = await node(url, "certificate", "town", "--folder", str(folder), "--also", "kvm-1")
    assert "for 192.0.2.111, 192.0.2.11, kvm-1" in made.stdout
    assert {path.name for path in folder.iterdir()} == {*FILES, "other.conf"}
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in (*FILES, "other.conf")}
    assert modes == {**dict.fromkeys(FILES, 0o600), "other.conf": 0o644}, "what is there stays"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    read = x509.load_pem_x509_certificate((folder / "server-cert.pem").read_bytes())
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["192.0.2.111", "192.0.2.11", "kvm-1"]
    authority = (folder / "ca-cert.pem").read_text()
    read.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("city", {}, 404, "umbel.no_such_hypervisor"),
        ("town", {"days": 0}, 422, "umbel.unprocessable"),
        ("town", {"names": ["a b"]}, 400, "umbel.bad_hypervisor"),
        ("town", {"names": ["a"] * 17}, 422, "umbel.unprocessable"),
    ],
)
async def test_what_gets_no_certificate(
    there: tuple[World, str], name: str, body: dict[str, object], status: int, code: str
) -> None:
    here, _ = there
    await here.system.hypervisors.add(TOWN)
    path = f"/api/v1/hypervisors/{name}/certificate"
    answer = await here.client.post(path, json=body, headers=here.as_("operator"))
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_certificates_key_is_kept_nowhere(there: tuple[World, str]) -> None:
    here, _ = there
    await here.system.hypervisors.add(TOWN)
    path = "/api/v1/hypervisors/town/certificate"
    assert (await here.client.post(path, json={})).status_code == 401
    first, second = [
        await here.client.post(path, json={}, headers=here.as_("operator")) for _ in range(2)
    ]
    assert first.headers["cache-control"] == "no-store"
    assert first.json()["key"] != second.json()["key"]
    assert first.json()["authority"] == second.json()["authority"]


async def test_hypervisors_are_for_operators(there: tuple[World, str]) -> None:
    here, _ = there
    assert (await here.client.get("/api/v1/hypervisors")).status_code == 401


async def test_rows_are_what_was_added(database: Database) -> None:
    store = HypervisorStore(database)
    await store.add(TOWN)
    assert await store.all() == {"town": TOWN}
    other = Hypervisor(
        name="pe2",
        uri="qemu+tls://192.0.2.12/system",
        network=GuestNetwork(bridge="br0", first="10.0.3.21", last="10.0.3.21", prefix=24),
    )
    for clash in (
        Hypervisor(name="town", uri="qemu:///system", network=other.network),
        Hypervisor(name="pe3", uri=URI, network=other.network),
        Hypervisor(name="pe3", uri="qemu:///system", network=NETWORK),
        Hypervisor(
            name="pe3",
            uri="qemu:///system",
            network=other.network,
            iscsi=TOWN.iscsi.replace("1-8", "8-9"),
        ),
    ):
        with pytest.raises(HypervisorExists):
            await store.add(clash)
    await store.add(other)
    await store.remove("town")
    assert await store.all() == {"pe2": other}
    with pytest.raises(NoSuchHypervisor):
        await store.get("town")
