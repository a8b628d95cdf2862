"""`Bridges` in memory: ports are numbers, nothing is carried. For the simulator and for tests."""

from collections.abc import Mapping
from itertools import count

from umbel.kit.errors import Unavailable
from umbel.network.switching.port_map import GuestPort, PortMap, guest_mac
from umbel.network.topology.sites import Site, Wiring

_FIRST_GUEST = 0x1000


class MemoryBridges:
    """Gives ports as a switch would: a tunnel keeps its port as long as it is desired. `silent` are
    the nodes whose database does not answer."""

    def __init__(self) -> None:
        self._plugs: dict[str, PortMap] = {}
        self._wirings: dict[str, Wiring] = {}
        self.silent: set[str] = set()

    @property
    def wirings(self) -> Mapping[str, Wiring]:
        """How each node is wired now."""
        return self._wirings

    async def check(self, site: Site) -> None:
        self._check_answers(site)

    async def ensure(self, site: Site, wiring: Wiring) -> PortMap:
        self._check_answers(site)
        held = self._plugs.get(site.node, PortMap())
        before = held.tunnel_ports
        wanted = [tunnel.neighbour for tunnel in wiring.tunnels]
        free = (number for number in count(10) if number not in before.values())
        tunnel_ports = {name: before[name] if name in before else next(free) for name in wanted}
        low = site.datapath_id & 0xFFFFFFFFFF
        mac = ":".join(f"{byte:02x}" for byte in (0x02, *low.to_bytes(5, "big")))
        self._wirings[site.node] = wiring
        expected = wiring.guests if site.guests else ()
        given = {port.number for port in held.guests.values()}
        numbers = (number for number in count(_FIRST_GUEST) if number not in given)
        self._plugs[site.node] = PortMap(
            tunnel_ports=tunnel_ports,
            patch_port=1,
            local_port=2,
            local_mac=mac,
            guests={
                one: held.guests.get(one)
                or GuestPort(number=next(numbers), mac=guest_mac(one), is_expected=True)
                for one in expected
            },
        )
        return self._plugs[site.node]

    async def remove(self, site: Site) -> None:
        self._check_answers(site)
        self._wirings.pop(site.node, None)
        self._plugs.pop(site.node, None)

    def _check_answers(self, site: Site) -> None:
        if site.node in self.silent:
            raise Unavailable(f"{site.node}'s database does not answer", node=site.node)
