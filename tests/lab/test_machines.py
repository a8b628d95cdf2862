"""A machine becomes a node by `umbel node add --ssh`, carries a live event, outlives the control
plane, and goes without a trace. Real sshd, the real bundle, real media."""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.leftovers import Leftover, noted
from support.platform import Platform, platform
from support.sshd import ABSENT, Sshd, sshd
from support.umbel_node import begun, node
from support.viewers import goes_on, watching
from support.waiting import until
from umbel.catalogue.model import UserRole
from umbel.compute.machines import bundle
from umbel.compute.machines.model import fingerprint

PYTHON_ABSENT = (
    ""
    if Path(f"/usr/bin/python{bundle.PYTHON}").exists()
    else (f"the system's Python {bundle.PYTHON} is not installed, which bundles need")
)
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
    pytest.mark.skipif(bool(PYTHON_ABSENT), reason=PYTHON_ABSENT),
]

NETWORK = {
    "nodes": [
        {"name": "pe1", "address": "127.0.1.1", "cores": 4},
        {"name": "pe2", "address": "127.0.2.1", "cores": 4},
    ],
    "links": [{"a": "pe1", "b": "pe2"}],
    "default_access": "pe1",
}


@pytest.fixture
def town() -> Iterator[Path]:
    """Where the machine has its files: a folder that an unprivileged user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="umbel-town-"))
    folder.chmod(0o755)
    with noted(Leftover(folder=str(folder))):
        yield folder / "umbel"
    shutil.rmtree(folder)


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Platform]:
    file = tmp_path / "network.yaml"
    file.write_text(yaml.safe_dump(NETWORK))
    async with platform(tmp_path, ["--network", str(file), "--policy", "qos"]) as running:
        yield running


@pytest.fixture
async def server(made: Platform, tmp_path: Path) -> AsyncIterator[Sshd]:
    key = await node(made, "key")
    with sshd(tmp_path / "sshd", authorized=key) as running:
        yield running


def add(server: Sshd, town: Path) -> tuple[str, ...]:
    """The words that make the machine a node."""
    where = ("--ssh", str(server.target), "--install-to", str(town), "--run-as", "nobody")
    return ("add", "town", "127.0.5.1", *where, "--link", "pe1", "--link", "pe2,1000,0.2")


def processes_of(town: Path) -> dict[int, str]:
    """What runs out of the machine's bundles, by pid, and as whom."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            status = (path / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if line.startswith(f"{town}/bundles/") and "umbel.media" in line:
            found[int(path.name)] = status.split("Uid:\t")[1].split("\t")[0]
    return found


def lines_of(town: Path) -> list[str]:
    """The command lines of what runs out of the machine's bundles."""
    lines = (Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in processes_of(town))
    return [line.replace("\0", " ") for line in lines]


async def leave(made: Platform, session: dict[str, Any]) -> None:
    """A viewer's player closes the session."""
    headers = {"Authorization": f"Bearer {session['token']}"}
    answer = await made.api.delete(f"/api/v1/sessions/{session['id']}", headers=headers)
    assert answer.status_code == 204, answer.text


async def as_an_earlier_version_left_it(made: Platform, town: Path, bundle_id: str) -> None:
    """The machine has another bundle, and the control plane starts."""
    await made.kill_control_plane()
    (town / "bundles" / bundle_id).rename(town / "bundles" / "0.0.9-old")
    with contextlib.closing(sqlite3.connect(made.folder / "umbel.db")) as database:
        database.execute("UPDATE machines SET bundle = '0.0.9-old'")
        database.commit()
    await made.restart()
    await made.sign_in(UserRole.OPERATOR)


async def machine(made: Platform) -> dict[str, Any]:
    answer: dict[str, Any] = await made.get("machines/town")
    return answer


async def test_a_machine_carries_an_event_and_goes_without_a_trace(
    made: Platform, server: Sshd, town: Path
) -> None:
    event, _ = await made.live()
    said = await node(made, *add(server, town))
    assert said.endswith("added town")
    assert fingerprint(server.host_key) in said
    there = await machine(made)
    assert (there["state"], there["error"]) == ("ready", None)
    assert [one.name for one in (town / "bundles").iterdir()] == [there["bundle"]]

    old = await made.session(event, "pe2")
    async with watching(old) as leaving:
        draining = await begun(made, "drain", "pe2")

        async def state() -> str:
            return {one["name"]: one["state"] for one in await made.get("nodes")}["pe2"]

        await until(state, lambda now: now == "draining", within_s=60)
        new = await made.session(event, "pe2")
        assert new["edge"] == "town"
        async with watching(new) as staying:
            await goes_on(leaving)
            await leave(made, old)
            await draining.process.wait()
            edges = processes_of(town)
            assert edges
            assert "0" not in edges.values()

            await made.kill_control_plane()
            await goes_on(staying)
            await made.restart()
            await made.sign_in(UserRole.OPERATOR)

            async def adopted() -> set[str]:
                return {one["id"] for one in await made.get("functions") if one["node"] == "town"}

            await until(adopted, bool, within_s=60)
            await goes_on(staying)
            assert processes_of(town) == edges

            refused = await node(made, "remove", "town", status=2)
            assert "umbel.node_in_use" in refused
            server.drop_connections()
            await goes_on(staying)
            assert processes_of(town) == edges

    await node(made, "drain", "town", "--force")
    assert processes_of(town) == {}
    assert (await node(made, "remove", "town")).endswith("removed town")
    assert not town.exists()
    assert await made.get("machines") == []


async def test_an_upgrade_moves_the_viewers_and_leaves_one_bundle(
    made: Platform, server: Sshd, town: Path
) -> None:
    event, _ = await made.live()
    await node(made, *add(server, town))
    newest = (await machine(made))["bundle"]
    await as_an_earlier_version_left_it(made, town, newest)
    assert (await machine(made))["state"] == "outdated"

    await node(made, "drain", "pe2", "--force")
    old = await made.session(event, "pe2")
    assert old["edge"] == "town"
    async with watching(old) as leaving:
        assert all("/0.0.9-old/" in line for line in lines_of(town))
        await node(made, "uncordon", "pe2")
        upgrading = await begun(made, "upgrade")

        async def state() -> str:
            return {one["name"]: one["state"] for one in await made.get("nodes")}["town"]

        await until(state, lambda now: now == "draining", within_s=120)
        new = await made.session(event, "pe2")
        assert new["edge"] == "pe2"
        async with watching(new) as staying:
            await goes_on(leaving)
            await leave(made, old)
            await upgrading.process.wait()
            assert upgrading.process.returncode == 0, upgrading.tail()
            assert upgrading.tail().endswith(f"town: 0.0.9-old -> {newest}")
            await goes_on(staying)
    assert await state() == "ready"
    assert (await machine(made))["state"] == "ready"
    assert [one.name for one in (town / "bundles").iterdir()] == [newest]
    await node(made, "drain", "town", "--force")
    await node(made, "remove", "town")
    assert not town.exists()


async def test_what_is_wrong_with_a_machine_is_said_and_changes_nothing(
    made: Platform, server: Sshd, town: Path
) -> None:
    await made.sign_in(UserRole.OPERATOR)
    words = [word if word != "127.0.5.1" else "192.0.2.77" for word in add(server, town)]
    said = await node(made, *words, status=2)
    assert "umbel.machine_unfit" in said
    assert "the node's address 192.0.2.77 is not the machine's" in said
    (server.folder / "authorized_keys").write_text("")
    assert "umbel.ssh_access_denied" in await node(made, *add(server, town), status=2)
    server.stop()
    assert "umbel.machine_unreachable" in await node(made, *add(server, town), status=2)
    bad = await node(made, "add", "town", "--ssh", "root@", "--link", "pe1", status=2)
    assert "umbel.bad_ssh_target" in bad
    assert await made.get("machines") == []
    assert not town.exists()
