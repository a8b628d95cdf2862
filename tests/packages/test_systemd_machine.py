"""A real Debian with systemd becomes a node over SSH: its functions are transient units, outlive
the control plane, come again after a loss of power, and go without a trace. The real bundle, real
media.

As root: mmdebstrap makes the Debian, systemd-nspawn boots it.
"""

import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from support import nspawn
from support.leftovers import Leftover, noted
from support.nspawn import Booted
from support.packages import INSTALLS_S, MARKS, ROOT, release, run
from support.platform import Platform, platform
from support.umbel_node import node
from support.viewers import goes_on, watching
from support.waiting import until
from umbel.catalogue.model import UserRole

pytestmark = [*MARKS, pytest.mark.skipif(bool(nspawn.ABSENT), reason=nspawn.ABSENT)]

HOWTO = ROOT / "docs/howto/machines.md"
EDGE = "edge-town-1"
UNIT = f"umbel-{EDGE}.scope"
BOOTS_S = 120.0


def needed() -> list[str]:
    """The packages that the how-to says a machine needs."""
    text = HOWTO.read_text()
    command = text[text.index("apt-get install") :].split("```")[0]
    return command.replace("\\", " ").split()[2:]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh Debian of this machine's release, with what the how-to names and an SSH server."""
    folder = tmp_path_factory.mktemp("machine") / "root"
    packages = ["systemd-sysv", "dbus", "openssh-server", "procps", *needed()]
    options = ("--mode=root", "--variant=minbase", "--format=directory")
    with noted(Leftover(folder=str(folder))):
        try:
            include = f"--include={','.join(packages)}"
            run("mmdebstrap", *options, include, release(), folder, within_s=INSTALLS_S)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def town(root: Path, tmp_path: Path) -> Iterator[Booted]:
    with nspawn.machine(root, tmp_path / "console.log") as made:
        yield made


@pytest.fixture
async def made(town: Booted, tmp_path: Path) -> AsyncIterator[Platform]:
    file = tmp_path / "network.yaml"
    ours = {"name": "pe1", "address": town.neighbour, "cores": 4}
    file.write_text(yaml.safe_dump({"nodes": [ours], "links": [], "default_access": "pe1"}))
    async with platform(tmp_path, ["--network", str(file)]) as running:
        yield running


async def until_up(town: Booted) -> None:
    """Until its SSH server greets."""

    async def greets() -> bool:
        with suppress(OSError), socket.create_connection((town.address, 22), timeout=5) as greeted:
            return greeted.recv(4) == b"SSH-"
        return False

    await until(greets, within_s=BOOTS_S)


def shown(town: Booted, *properties: str) -> dict[str, str]:
    """What systemd there says of the edge's unit."""
    lines = town.run("systemctl", "show", UNIT, *(f"--property={one}" for one in properties))
    return dict(line.split("=", 1) for line in lines.splitlines())


def processes(town: Booted) -> list[str]:
    """The pids of the edge's unit, as the machine numbers them; with either version of cgroups."""
    trees = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd")
    return town.run("cat", *(f"{tree}/system.slice/{UNIT}/cgroup.procs" for tree in trees)).split()


async def test_functions_are_units_of_systemd(made: Platform, town: Booted) -> None:
    authorized = town.root / "root/.ssh/authorized_keys"
    authorized.parent.mkdir(mode=0o700, exist_ok=True)
    authorized.write_text(await node(made, "key") + "\n")
    town.boot()
    await until_up(town)
    said = await node(
        *(made, "add", "town", town.address, "--ssh", f"root@{town.address}", "--link", "pe1")
    )
    assert said.endswith("added town")

    event, _ = await made.live()
    session = await made.session(event, "town")
    assert session["edge"] == "town"
    async with watching(session, town.neighbour) as viewer:
        found = shown(town, "ActiveState", "MemoryMax", "CPUQuotaPerSecUSec")
        assert found["ActiveState"] == "active"
        assert int(found["MemoryMax"]) > 0
        assert found["CPUQuotaPerSecUSec"] != "infinity"
        before = processes(town)
        assert before
        owners = town.run("ps", "-o", "user=", "-p", ",".join(before)).split()
        assert set(owners) == {"umbel-node"}
        said_there = town.run("journalctl", "--no-pager", "-t", f"umbel-{EDGE}")
        assert "media server up" in said_there

        await made.kill_control_plane()
        await goes_on(viewer)
        await made.restart()
        await made.sign_in(UserRole.OPERATOR)
        await until_carried(made)
        await goes_on(viewer)
        assert processes(town) == before

    town.lose_power()
    town.boot()
    await until_up(town)
    await until_carried(made)
    async with watching(await made.session(event, "town"), town.neighbour):
        assert shown(town, "ActiveState") == {"ActiveState": "active"}

    await node(made, "drain", "town", "--force")
    assert (await node(made, "remove", "town")).endswith("removed town")
    assert town.run("systemctl", "list-units", "--all", "--no-legend", "umbel-*") == ""
    assert not (town.root / "opt/umbel").exists()
    assert town.run("getent", "passwd", "umbel-node") == ""


async def until_carried(made: Platform) -> None:
    """Until the control plane knows an active edge at the machine."""

    async def is_active() -> bool:
        found = await made.get("functions")
        return any(one["id"] == EDGE and one["state"] == "active" for one in found)

    await until(is_active, within_s=BOOTS_S)
