"""Connections to switches' databases: lost, found again, silent, and full of garbage."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import pytest

from support.ovsdb_stand_in import Database, Server
from support.ovsdb_wirings import SITE, wiring
from support.waiting import until
from umbel.kit.errors import Unavailable
from umbel.network.drivers.ovsdb.bridges import OvsdbBridges
from umbel.network.drivers.ovsdb.connection import (
    BadTarget,
    Connection,
    OvsdbGone,
    OvsdbRefused,
    Timeouts,
    ended,
)
from umbel.network.drivers.ovsdb.replica import Replica
from umbel.network.switching.port_map import PortMap
from umbel.network.topology.sites import Site, UnderlayRoute

IMPATIENT = Timeouts(answer_s=2.0, echo_s=0.05, first_s=0.01, most_s=0.05)


@pytest.mark.parametrize("target", ["", "tcp:", "tcp:1.2.3.4", "tcp:h:99999", "ssl:h:1", "unix:"])
def test_a_bad_target_is_named(target: str) -> None:
    with pytest.raises(BadTarget) as caught:
        Connection(target, IMPATIENT)
    assert caught.value.details == {"target": target}


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Site]]:
    running = Server(Database())
    port = await running.start()
    yield running, replace(SITE, ovsdb=f"tcp:127.0.0.1:{port}")
    await running.stop()


class Listed:
    """Remembers what hosts were set up."""

    def __init__(self) -> None:
        self.calls: list[tuple[Site, PortMap]] = []

    async def configure(
        self,
        site: Site,
        port_maps: PortMap,
        targets: Sequence[str] = (),
        routes: Sequence[UnderlayRoute] = (),
    ) -> None:
        self.calls.append((site, port_maps))


@pytest.fixture
async def host() -> Listed:
    return Listed()


@pytest.fixture
async def bridges(host: Listed) -> AsyncIterator[OvsdbBridges]:
    # Its server answers; on a busy machine that may take seconds.
    made = OvsdbBridges(host, settle_s=30.0, patience=replace(IMPATIENT, answer_s=30.0))
    yield made
    await made.close()


async def when(condition: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return condition()

    await until(ask)


async def test_twice_is_one_transaction(
    server: tuple[Server, Site], bridges: OvsdbBridges, host: Listed
) -> None:
    running, site = server
    port_maps = await bridges.ensure(site, wiring("c1"))
    assert await bridges.ensure(site, wiring("c1")) == port_maps
    assert len(running.database.log) == 1
    assert host.calls == [(site, port_maps)]


async def test_the_host_is_set_up_again_when_vswitchd_comes_back(
    server: tuple[Server, Site], bridges: OvsdbBridges, host: Listed
) -> None:
    running, site = server
    await bridges.ensure(site, wiring("c1"))
    running.database.restart()
    running.changed()
    await when(lambda: len(host.calls) == 2)
    assert len(running.database.log) == 1


async def test_a_lost_database_is_found_again(
    server: tuple[Server, Site], bridges: OvsdbBridges
) -> None:
    running, site = server
    port_maps = await bridges.ensure(site, wiring("c1"))
    port = int(site.ovsdb.rpartition(":")[2])
    await running.stop()
    await when(lambda: not running.sessions)
    await running.start(port)
    assert (await bridges.ensure(site, wiring("c1", "c2"))).tunnel_ports[
        "c1"
    ] == port_maps.tunnel_ports["c1"]
    assert len(running.database.log) == 2


async def test_what_changes_right_after_the_first_answer_is_seen(
    server: tuple[Server, Site],
) -> None:
    running, site = server
    running.at_once = lambda: running.database.tables["Open_vSwitch"]["root"].update(next_cfg=9)
    connection = Connection(site.ovsdb, IMPATIENT)
    task = asyncio.create_task(connection.run())
    async with asyncio.timeout(10):
        seen = await connection.until(lambda replica: replica.root)
    assert seen[1]["next_cfg"] == 9
    await ended(task)


async def test_a_device_that_is_not_there_is_named(
    server: tuple[Server, Site], bridges: OvsdbBridges
) -> None:
    running, site = server
    running.database.broken["eth0"] = "could not open network device eth0"
    with pytest.raises(Unavailable, match="could not open network device eth0"):
        await bridges.ensure(site, wiring())
    running.database.broken.clear()
    running.database.restart()
    running.changed()

    async def ensured() -> bool:
        with contextlib.suppress(Unavailable):
            return (await bridges.ensure(site, wiring())).patch_port == 1
        return False

    await until(ensured)


async def test_a_name_that_is_taken_is_refused(
    server: tuple[Server, Site], bridges: OvsdbBridges
) -> None:
    running, site = server
    await bridges.ensure(site, wiring())
    twice = replace(site, node="pe1", hosts=("h1", "l-c1"))
    with pytest.raises(OvsdbRefused, match="twice"):
        await bridges.ensure(twice, wiring())
    assert len(running.database.log) == 1


async def test_nobody_there(bridges: OvsdbBridges, server: tuple[Server, Site]) -> None:
    running, site = server
    await running.stop()
    impatient = OvsdbBridges(settle_s=0.2, patience=IMPATIENT)
    with pytest.raises(OvsdbGone) as caught:
        await impatient.ensure(site, wiring())
    assert caught.value.details["node"] == "pe1"
    await impatient.close()
    await running.start()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff",
        b'{"id":1,"result":[],"error":null}',
        b'{"id":1,"result":{"Bridge":{"u":{"new":{"name":["what"]}}}},"error":null}',
        b'{"id":null,"method":"update","params":7}',
        b'{"id":[1],"result":1}',
        b'{"id":1,"error":"not today","result":null}',
    ],
)
async def test_garbage_ends_that_connection_only(
    server: tuple[Server, Site], bridges: OvsdbBridges, garbage: bytes
) -> None:
    running, site = server
    await bridges.ensure(site, wiring())
    session = next(iter(running.sessions))
    assert await comes_back(garbage, IMPATIENT) is None
    assert list(running.sessions) == [session]


async def test_a_silent_database_is_left() -> None:
    assert await comes_back(b"", replace(IMPATIENT, answer_s=0.1)) is None


async def comes_back(said: bytes, patience: Timeouts) -> Replica | None:
    """A connection to a server that says this and no more connects three times; what it knows."""
    came, left = [], []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        left.append(writer)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    target = f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}"
    connection = Connection(target, patience)
    task = asyncio.create_task(connection.run())
    await when(lambda: len(came) >= 3)
    await ended(task)
    server.close()
    await server.wait_closed()
    await when(lambda: len(left) == len(came))
    return connection.replica
