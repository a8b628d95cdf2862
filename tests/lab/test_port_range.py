"""A function listens within its node's range of ports, also for the streams that come later."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from support.media_server import ground
from support.media_tree import spec
from umbel.compute.drivers.process import launch
from umbel.compute.drivers.process.records import Record
from umbel.compute.inventory import BadInventory, node_entry, parse
from umbel.compute.model import Port, Readiness, Transport
from umbel.compute.ports import CannotRun
from umbel.kit import ports
from umbel.media.drivers.jsonrpc import JsonRpcMedia
from umbel.media.model import StreamRole

FIRST, LAST = 23_400, 23_431


def record(port_range: tuple[int, int] | None, had: Mapping[str, int] | None = None) -> Record:
    return Record(
        id="f",
        owner="o",
        description="d",
        node="n",
        address="127.0.77.1",
        wants=tuple(Port(name=f"p{n}", transport=Transport.UDP) for n in range(4)),
        readiness=Readiness.REPORTED,
        ports=had or {},
        port_range=port_range,
    )


def test_ports_come_from_the_range_and_are_kept() -> None:
    given = launch.ports_for(record((FIRST, LAST)))
    assert len(set(given.values())) == 4
    assert all(FIRST <= number <= LAST for number in given.values())
    assert launch.ports_for(record((FIRST, LAST), given)) == given
    moved = launch.ports_for(record((FIRST + 100, LAST + 100), given))
    assert all(FIRST + 100 <= number <= LAST + 100 for number in moved.values())
    with pytest.raises(CannotRun):
        launch.ports_for(record((FIRST, FIRST + 2)))
    assert launch.ports_for(record(None)) == {}


def test_a_document_names_the_range() -> None:
    node = {"name": "pe1", "address": "127.0.1.1", "ports": [FIRST, LAST]}
    (read,) = parse({"nodes": [node]}).nodes
    assert read.ports == (FIRST, LAST)
    assert parse({"nodes": [node_entry(read)]}).nodes == (read,)
    for wrong in ([80, 200], [FIRST, FIRST + 14], [65_530, 65_560], [FIRST]):
        with pytest.raises(BadInventory):
            parse({"nodes": [node | {"ports": wrong}]})


@pytest.mark.lab
async def test_streams_get_ports_of_the_range_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ports.VARIABLE, f"{FIRST}-{LAST}")
    plane = JsonRpcMedia()
    with ground(tmp_path) as made:
        try:
            edge = made.start("edge-1", "edge", "127.0.77.2").server
            acquirer = made.start("acq-1", "acquirer", "127.0.77.3").server
            assert FIRST <= (await plane.ensure(edge, spec(StreamRole.EDGE))).port <= LAST
            urls = dict((await plane.ensure(acquirer, spec(StreamRole.ACQUIRER))).urls)
            taken = [int(urls[name].rpartition(":")[2]) for name in ("srt", "rtp", "mpegts")]
            assert all(FIRST <= number <= LAST for number in taken), taken
        finally:
            await plane.close()
