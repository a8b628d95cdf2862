"""Machines over SSH, by OpenSSH's own server: what is found, and each reason why not."""

import asyncio
import os
import platform
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.sshd import ABSENT, Sshd, sshd
from support.vim_worlds import until
from umbel.compute.drivers.ssh import keys
from umbel.compute.drivers.ssh.connection import Connection
from umbel.compute.drivers.ssh.surroundings import SshLimits
from umbel.compute.machines import inspection
from umbel.compute.machines.model import (
    HostKeyChanged,
    MachineUnreachable,
    SshAccessDenied,
    SshTarget,
)

pytestmark = [pytest.mark.lab, pytest.mark.skipif(bool(ABSENT), reason=ABSENT)]

KEY = keys.derive(b"a master key of this test")
WITHIN_S = 60.0
UNTIL_DROPPED = "exec tail --pid=$PPID -f /dev/null"
"""A command that ends with its connection."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with sshd(tmp_path / "sshd", authorized=KEY.public) as running:
        yield running


def test_the_platforms_key_is_the_same_after_a_restart() -> None:
    assert keys.derive(b"a master key of this test") == KEY
    assert keys.derive(b"another").public != KEY.public
    assert KEY.public.startswith("ssh-ed25519 ")
    assert KEY.private not in repr(KEY)


async def test_a_machine_is_looked_over(server: Sshd) -> None:
    connection = await Connection.open(server.target, KEY.private)
    assert connection.host_key.split()[:2] == server.host_key.split()[:2]
    done = await connection.run(
        "sh -s -- 3.11 /opt/umbel", content=[inspection.SCRIPT.encode()], within_s=WITHIN_S
    )
    await connection.close()
    assert (done.status, done.errors) == (0, "")
    facts = inspection.parse(done.output)
    assert facts.architecture == platform.machine()
    assert facts.uid == os.geteuid()
    assert facts.cores == len(os.sched_getaffinity(0))
    assert abs(facts.clock_s - time.time()) < WITHIN_S
    assert facts.memory_mb > 256
    assert facts.disk_mb > 0
    assert facts.free_ports > 64
    assert "127.0.0.1" in facts.addresses


async def test_a_pinned_host_key_is_checked(server: Sshd, tmp_path: Path) -> None:
    again = await Connection.open(server.target, KEY.private, server.host_key)
    await again.close()
    with (
        sshd(tmp_path / "other", authorized=KEY.public) as other,
        pytest.raises(HostKeyChanged, match="another host key"),
    ):
        await Connection.open(other.target, KEY.private, server.host_key)


async def test_a_machine_without_a_key_of_the_pinned_kind_is_another(
    server: Sshd, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    with (
        sshd(folder, authorized=KEY.public, key_type="ecdsa-sha2-nistp256") as other,
        pytest.raises(HostKeyChanged, match="another host key"),
    ):
        await Connection.open(other.target, KEY.private, server.host_key)


async def test_a_key_that_is_not_authorized_is_refused(server: Sshd) -> None:
    with pytest.raises(SshAccessDenied, match="refuses the platform's key"):
        await Connection.open(server.target, keys.derive(b"another").private)


async def test_a_machine_that_does_not_listen_is_unreachable() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        target = SshTarget(host="127.0.0.1", port=closed.getsockname()[1])
        with pytest.raises(MachineUnreachable, match="does not answer"):
            await Connection.open(target, KEY.private)


async def test_a_machine_that_says_nothing_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = SshTarget(host="127.0.0.1", port=silent.getsockname()[1])
        with pytest.raises(MachineUnreachable, match=r"within 0\.2 s"):
            await Connection.open(target, KEY.private, limits=SshLimits(connect_s=0.2))


async def test_a_host_that_speaks_another_protocol_is_unreachable() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 2000)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        target = SshTarget(host="127.0.0.1", port=listening.sockets[0].getsockname()[1])
        with pytest.raises(MachineUnreachable):
            await Connection.open(target, KEY.private)


async def test_commands_have_a_status_and_bounded_outputs(server: Sshd) -> None:
    connection = await Connection.open(server.target, KEY.private, server.host_key)
    done = await connection.run("cat; echo bad >&2; exit 3", content=[b"a", b"b"], within_s=30)
    assert (done.status, done.output, done.errors) == (3, b"ab", "bad")
    endless = await connection.run("head -c 9000000 /dev/zero", within_s=WITHIN_S)
    assert len(endless.output) == 256 * 1024
    early = await connection.run("exit 4", content=[b"x" * 65536] * 100, within_s=WITHIN_S)
    assert early.status == 4
    with pytest.raises(MachineUnreachable, match="did not finish"):
        await connection.run(UNTIL_DROPPED, within_s=0.2)
    await connection.close()


async def test_a_connection_that_goes_away_is_noticed(server: Sshd, tmp_path: Path) -> None:
    connection = await Connection.open(server.target, KEY.private, server.host_key)
    begun = tmp_path / "begun"
    command = f"touch {begun}; {UNTIL_DROPPED}"
    running = asyncio.create_task(connection.run(command, within_s=WITHIN_S))
    await until(begun.exists, what="the command runs")
    server.drop_connections()
    with pytest.raises(MachineUnreachable, match="lost"):
        await running
    await connection.close()
