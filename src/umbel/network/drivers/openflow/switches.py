"""What the controller's connections say of the switches that the sites describe.

In: sites, and switches that connect and report their ports. Out: who may connect, the ports of each
switch, and the switches that came or went because the sites changed.
"""

from collections.abc import Collection, Iterable, Mapping

import structlog

from umbel.network.ports import SwitchState
from umbel.network.switching.program import Program
from umbel.network.switching.signals import Port, PortStatus
from umbel.network.topology.registry import SiteRegistry
from umbel.network.topology.sites import Site

log = structlog.get_logger(__name__)

_MOST_NAMED = 1_000


class Switches:
    """`ports` are those of each switch since it first connected, by node and number. `unread` are
    the nodes whose switch connected since its rules were last read."""

    def __init__(self, sites: SiteRegistry) -> None:
        self._sites = sites
        self._met: dict[str, Site] = {}
        self._refused_ids: set[int] = set()
        self.ports: dict[str, dict[int, Port]] = {}
        self.unread: set[str] = set()

    def admits(self, dpid: int) -> bool:
        """Whether a site describes the switch. Of the others, the first thousand are logged once
        each: a stranger can make up ids without end."""
        if self._sites.node_of(dpid) is not None:
            self._refused_ids.discard(dpid)
            return True
        if dpid not in self._refused_ids and len(self._refused_ids) < _MOST_NAMED:
            self._refused_ids.add(dpid)
            log.warning("foreign switch refused", datapath_id=f"{dpid:016x}")
        return False

    def home(self, dpid: int) -> str:
        """The address of the switch's database: its OpenFlow connection comes from there, too."""
        node = self._sites.node_of(dpid)
        kind, _, rest = self._sites[node].ovsdb.partition(":") if node is not None else ("", "", "")
        return rest.rpartition(":")[0].strip("[]") if kind == "tcp" else ""

    def states(
        self, connected: Collection[str], held: Mapping[str, Program]
    ) -> Mapping[str, SwitchState]:
        """Every site's switch as last observed."""
        return {
            node: SwitchState(
                connected=node in connected,
                ports=tuple(self.ports.get(node, {}).values()),
                held=held.get(node),
            )
            for node in self._sites
        }

    def connect(self, node: str, ports: Iterable[Port]) -> Mapping[int, Port] | None:
        """The node's switch connected with these ports. Returns those that it had before; None: it
        is new."""
        before = self.ports.get(node)
        self._met[node], self.ports[node] = self._sites[node], {p.number: p for p in ports}
        self.unread.add(node)
        return before

    def update_port(self, node: str, status: PortStatus) -> bool:
        """A port is as the status says. Returns whether it came or went."""
        known, number = self.ports.setdefault(node, {}), status.port.number
        is_change = status.gone == (number in known)
        if status.gone:
            known.pop(number, None)
        else:
            known[number] = status.port
        return is_change

    def unmet(self, connected: Collection[int]) -> list[str]:
        """The nodes whose switch connected before a site described it."""
        nodes = {self._sites.node_of(dpid) for dpid in connected}
        return sorted(node for node in nodes if node is not None and node not in self._met)

    def forget_gone(self) -> list[Site]:
        """Forget the switches that no site describes any more. Returns their sites."""
        gone = [site for node, site in self._met.items() if not self._is_described(node, site)]
        for site in gone:
            del self._met[site.node]
            self.ports.pop(site.node, None)
            self.unread.discard(site.node)
        return gone

    def _is_described(self, node: str, met: Site) -> bool:
        now = self._sites.get(node)
        return now is not None and now.is_same_switch(met)
