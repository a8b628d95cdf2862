"""The switches of nodes where guests are expected are wired with the numbers of their ports."""

from dataclasses import replace

from support.switchboard import sites
from umbel.network.drivers.fake.bridges import MemoryBridges
from umbel.network.drivers.openflow.extra_rules import ExtraRules
from umbel.network.drivers.openflow.wires import Wires
from umbel.network.topology.wiring import TunnelSettings

GUEST = "10.96.1.10"


async def test_a_port_is_in_the_port_map_from_when_it_is_expected_until_it_is_not() -> None:
    known = {
        name: replace(site, guests=f"10.96.{number}.254/24")
        for number, (name, site) in enumerate(sites(("a", "b"), [("a", "b")]).items(), 1)
    }
    bridges, wanted = MemoryBridges(), ExtraRules()
    wires = Wires(known, bridges, TunnelSettings(), lambda *_: None, lambda *_: None)

    async def wired() -> dict[str, list[str]]:
        assert await wires.ensure({}, "", {}, {}, wanted.guests)
        return {node: [*port_map.guests] for node, port_map in wires.port_maps.items()}

    assert await wired() == {"a": [], "b": []}
    wanted.set("borders", lambda _: {}, (), {GUEST: "b"})
    assert await wired() == {"a": [], "b": [GUEST]}
    assert wires.port_maps["b"].guests[GUEST].is_expected
    wanted.set("borders", lambda _: {}, (), {})
    assert await wired() == {"a": [], "b": []}
