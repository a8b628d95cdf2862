"""A stream over several nodes' addresses, and the bench that says what a relay costs."""

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from support import hls_lab
from support.waiting import until
from umbel.media.wire.receiver import UdpReceiver
from umbel.media.wire.sender import UdpSender

pytestmark = pytest.mark.lab

BENCH = Path(__file__).parents[2] / "benchmarks" / "relay.py"


class Kept:
    def __init__(self) -> None:
        self.got: list[bytes] = []

    def packets(self, batch: Sequence[bytes], now_s: float) -> None:
        self.got += batch


async def test_a_real_stream_through_three_nodes() -> None:
    nodes = [await UdpReceiver.open(f"127.0.{number}.1") for number in (1, 2, 3)]
    leaves = [await UdpReceiver.open("127.0.4.1") for _ in range(2)]
    hops = [UdpSender(f"127.0.{number}.1") for number in (1, 2, 3)]
    entry, sinks = Kept(), [Kept(), Kept()]
    nodes[0].attach(entry)
    for node, hop in zip(nodes, hops, strict=True):
        node.attach(hop)
    for leaf, sink in zip(leaves, sinks, strict=True):
        leaf.attach(sink)
    # Nobody listens on the address of a node that died.
    hops[0].set_hops([("127.0.9.1", 9), (nodes[1].address, nodes[1].port)])
    hops[1].set_hops([(nodes[2].address, nodes[2].port)])
    hops[2].set_hops([(leaf.address, leaf.port) for leaf in leaves])
    try:
        async with hls_lab.process(
            *hls_lab.publisher(nodes[0].port, 3, address=nodes[0].address)
        ) as ffmpeg:
            _, said = await ffmpeg.communicate()
            assert ffmpeg.returncode == 0, said.decode()

        async def alike() -> bool:
            return all(len(sink.got) == len(entry.got) for sink in sinks)

        await until(alike)
        assert [sink.got for sink in sinks] == [entry.got] * 2
        assert len(entry.got) > 200
        now_s = asyncio.get_running_loop().time()
        stats = leaves[0].stats(now_s)
        assert stats.packets == len(entry.got)
        assert stats.bytes == sum(map(len, entry.got))
        assert stats.mbps > 0
    finally:
        for receiver in (*nodes, *leaves):
            receiver.close()
        for hop in hops:
            hop.close()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="the peer of the bench needs gcc")
async def test_the_bench_tells_one_line_a_case() -> None:
    bench = await asyncio.create_subprocess_exec(
        *(sys.executable, str(BENCH), "1", "0.5"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, table = await bench.communicate()
    finally:
        if bench.returncode is None:
            bench.kill()
            await bench.communicate()
    assert bench.returncode == 0, table.decode()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["case"] for line in lines] == ["relay-1", "relay-10", "relay-100"]
    keys = {"bench", "case", "value", "unit", "peer", "peer_value", "ratio", "n"}
    for line in lines:
        assert set(line) == keys
        assert (line["bench"], line["unit"], line["peer"]) == (
            "relay",
            "us/packet",
            "sendmmsg in C",
        )
        assert line["n"] == 1
        assert 0 < line["ratio"] == pytest.approx(line["value"] / line["peer_value"], rel=0.05)
    assert table.count(b"arrived") == 3
