"""EdgeState on real Open vSwitch: sign-in, virtual services, a function that moves."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from support import edge_lab, ovs
from support.edge_lab import (
    FN,
    FN_MAC,
    H1_MAC,
    SERVERS,
    TOPOLOGY,
    WEB,
    Bed,
    Lab,
    Labs,
    heard,
    packets,
)
from support.waiting import until
from umbel.network.edge import gates, roaming, virtual_services
from umbel.network.edge.compiler import EdgeState
from umbel.network.edge.gates import Access, Client, Gate, PortalAddress
from umbel.network.edge.roaming import MobileFunction
from umbel.network.edge.virtual_services import Surrogate, VirtualService

ABSENT = ovs.absent("curl")
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(ABSENT), reason=ABSENT),
]
H1 = "10.202.1.10"
VIRTUAL = "10.204.0.1"


@pytest.fixture(scope="module")
def link_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with edge_lab.bed(tmp_path_factory.mktemp("ovs")) as made:
        yield made


@pytest.fixture
async def lab(link_state: Bed) -> AsyncIterator[Lab]:
    labs = Labs(link_state)
    try:
        yield await labs.up()
    finally:
        await labs.down()


async def test_a_client_signs_in_at_the_front_end_and_out_again(lab: Lab) -> None:
    _, address, port = SERVERS["portal"]
    gate = Gate(portal=PortalAddress(address=address, port=port))
    closed = gates.close(Access(), "pe1", gate)
    await lab.become(EdgeState(access=closed))
    assert lab.get("h1", WEB) == f"portal {H1}"
    assert lab.get("h1", address, port) == f"portal {H1}"
    assert lab.get("h1", "10.97.1.1", 8081, within_s=1) == ""
    mac = await lab.host.ethernet(lab.bed.sites["pe1"], H1)
    assert mac == H1_MAC
    assert await lab.host.ethernet(lab.bed.sites["pe1"], "10.202.1.99") == ""
    client = Client(address=H1, mac=mac, expires_s=60.0)
    opened = gates.sign_in(closed, "pe1", client)
    assert await lab.become(EdgeState(access=opened)) == 1
    assert lab.get("h1", WEB) == f"web {H1}"
    assert lab.get("h1", "10.97.1.1", 8081) == f"a {H1}"
    assert await lab.become(EdgeState(access=gates.expire(opened, 60.0))) == 1
    assert lab.get("h1", WEB) == f"portal {H1}"
    await lab.become(EdgeState())
    assert lab.get("h1", WEB) == f"web {H1}"


async def test_a_virtual_address_is_answered_by_the_nearest_then_by_the_chosen(lab: Lab) -> None:
    surrogates = tuple(
        Surrogate(name=name, node=node, address=address, port=port)
        for name, (node, address, port) in SERVERS.items()
        if name in "ab"
    )
    service = VirtualService(name="video", address=VIRTUAL, port=80, surrogates=surrogates)
    services = virtual_services.offer({}, service, TOPOLOGY)
    await lab.become(EdgeState(services=services))
    assert lab.get("h1", VIRTUAL) == f"a {H1}"
    assert lab.get("h2", VIRTUAL) == "b 10.202.2.10"
    with lab.talking("h1", VIRTUAL) as talk:
        assert talk.get() == f"a {H1} {VIRTUAL}"
        services = virtual_services.move(services, "video", "pe1", "b")
        assert await lab.become(EdgeState(services=services)) == 2
        assert lab.get("h1", VIRTUAL) == f"b {H1}"
        assert talk.get() == f"a {H1} {VIRTUAL}"
    assert lab.get("h1", "10.97.2.1", 8082) == f"b {H1}"
    assert await lab.become(EdgeState(services=services)) == 0


async def test_a_function_that_moved_keeps_its_address_and_its_connections(lab: Lab) -> None:
    await asyncio.to_thread(lab.plug_function, "pe1")
    await lab.wire(pe1=("tofn",))
    await lab.become(EdgeState())
    with lab.talking("h2", FN) as talk:
        assert talk.get() == f"cache 10.202.2.10 {FN}"
        function = MobileFunction(name="cache", address=FN, mac=FN_MAC, home_node="pe1")
        bindings = roaming.register({}, function, "pe2", TOPOLOGY)
        assert roaming.unreachable(bindings, lab.port_maps) == {}
        await asyncio.to_thread(lab.plug_function, "pe2")
        await lab.wire(pe2=("tofn",))
        await lab.become(EdgeState(bindings=bindings))
        assert talk.get() == f"cache 10.202.2.10 {FN}"
    assert lab.get("h1", FN) == f"cache {H1}"
    with heard(lab.bed.spaces["pe1"], "wire0") as wire:
        assert lab.echo("h1", FN) == f"are you there {FN} 7"
        assert any(b"are you there" in frame for frame in packets(wire))
    assert lab.echo("pe1", FN) == f"are you there {FN} 7"
    dump = lab.bed.switches["pe1"].ofctl("dump-flows")
    assert any(f"nw_dst={FN}" in line and "n_packets=0" not in line for line in dump)
    await asyncio.to_thread(lab.plug_function, "pe1")
    await lab.wire(pe1=("tofn",))
    await lab.become(EdgeState(bindings=roaming.deregister(bindings, "cache")))

    async def at_home() -> bool:
        return lab.get("h2", FN, within_s=2) == "cache 10.202.2.10"

    await until(at_home)
