"""A function that moved into another domain: between the nodes there are encrypted packets only.
test_edge_ovs.py reads the same packets where nothing is crossed.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support import edge_lab, overlay_traffic, ovs, testbed
from support.edge_lab import FN, FN_MAC, TOPOLOGY, Bed, Lab, Labs, heard, packets
from support.waiting import until
from umbel import bootstrap
from umbel.kit import netns
from umbel.kit.config import Settings
from umbel.network.drivers.linux.wireguard import CrossedBridges
from umbel.network.edge import roaming
from umbel.network.edge.compiler import EdgeState
from umbel.network.edge.roaming import Bindings, MobileFunction
from umbel.network.model import Hop
from umbel.network.topology import crossings

ABSENT = ovs.absent("curl", "wg", "wireguard-go")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]
UDP, ICMP = 17, 1


@pytest.fixture(scope="module")
def link_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with edge_lab.bed(tmp_path_factory.mktemp("ovs"), crossed=True) as made:
        yield made


@pytest.fixture
async def labs(link_state: Bed) -> AsyncIterator[Labs]:
    labs = Labs(link_state)
    try:
        yield labs
    finally:
        for site in link_state.sites.values():
            await labs.crossed.remove(site)
        await labs.down()


async def away(lab: Lab) -> Bindings:
    """The function is at pe2 now."""
    function = MobileFunction(name="cache", address=FN, mac=FN_MAC, home_node="pe1")
    bindings = roaming.register({}, function, "pe2", TOPOLOGY)
    await asyncio.to_thread(lab.plug_function, "pe2")
    await lab.wire(pe2=("tofn",))
    await lab.become(EdgeState(bindings=bindings))
    return bindings


async def test_a_function_in_another_domain_is_reached_by_encrypted_packets_only(
    labs: Labs,
) -> None:
    lab = await labs.up()
    await asyncio.to_thread(lab.plug_function, "pe1")
    await lab.wire(pe1=("tofn",))
    await lab.become(EdgeState())
    with lab.talking("h1", FN) as talk:
        assert talk.get() == f"cache 10.202.1.10 {FN}"
        with heard(lab.bed.spaces["pe1"], "wire0") as wan:
            await away(lab)
            assert talk.get() == f"cache 10.202.1.10 {FN}"
            assert lab.echo("h1", FN) == f"are you there {FN} 7"
            seen = packets(wan)
    ip = [frame[14:] for frame in seen if frame[12:14] == b"\x08\x00"]
    assert {packet[9] for packet in ip} == {UDP}
    ports = {int.from_bytes(packet[20:22], "big") for packet in ip}
    assert ports == {51820}
    assert len(ip) > 10
    assert not any(b"are you there" in frame or b"cache 10." in frame for frame in seen)


async def test_another_key_passes_nothing_and_a_dead_program_is_started_anew(labs: Labs) -> None:
    lab = await labs.up()
    await away(lab)
    assert lab.echo("h1", FN) == f"are you there {FN} 7"
    foreign = CrossedBridges(
        labs.bridges, lab.bed.sites, labs.crossed.namespace_of, b"somebody else's"
    )
    (there,) = crossings.of(lab.bed.sites["pe2"], lab.bed.sites)
    await foreign.cross(there)
    assert lab.get("h1", FN, within_s=1) == ""
    await labs.crossed.cross(there)

    async def passes() -> bool:
        return lab.get("h1", FN, within_s=1) == "cache 10.202.1.10"

    await until(passes)
    os.kill(_program(labs.crossed.tunnel(there)), signal.SIGKILL)
    await until(passes, lambda answer: not answer)
    await until(passes)


def _program(tunnel: str) -> int:
    """The process that is the tunnel."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:  # it ended meanwhile
                continue
            if words[0] == b"wireguard-go" and tunnel.encode() in words:
                return int(folder.name)
    raise AssertionError(f"no program has {tunnel}")


async def test_a_testbeds_link_into_another_domain_is_encrypted_by_the_platform(
    tmp_path: Path,
) -> None:
    document = testbed.line("a", "b")
    document["links"][0]["crosses"] = True  # type: ignore[index]
    with testbed.running(document, tmp_path / "bed") as bed:
        settings = Settings(data_dir=tmp_path, network_file=bed.sites_file, openflow_port=0)
        async with bootstrap.opened(settings) as system:
            with (
                overlay_traffic.taking(bed, "b") as (taker,),
                heard(bed.nodes["a"].namespace, "wire2") as wire,
            ):
                assert system.overlay is not None
                fabric = system.overlay.fabric
                hops = [Hop(source_node="a", target=taker.end)]
                (to,) = (await fabric.ensure("feed", hops)).values()

                async def arrives() -> bool:
                    await overlay_traffic.sent(bed, "a", to, most=5)
                    return bool(taker.took())

                await until(arrives)
                seen = [frame[14:] for frame in packets(wire) if frame[12:14] == b"\x08\x00"]
        # An end that is not there yet is told so by ICMP.
        assert {UDP} <= {packet[9] for packet in seen} <= {UDP, ICMP}
        ports = {int.from_bytes(packet[20:22], "big") for packet in seen if packet[9] == UDP}
        assert ports == {51821, 51822}
        assert not any(bytes(96) in packet for packet in seen)
        assert netns.named(f"{bed.name}-a-")
    assert not netns.named(f"{bed.name}-")
