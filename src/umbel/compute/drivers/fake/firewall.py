"""A firewall in memory: what reaches a guest is computed from its rules."""

from collections.abc import Callable, Mapping, Sequence

from umbel.compute.firewall.model import FirewallRule, PortFilter, lets_in, resolve
from umbel.compute.firewall.ports import RulesOf


async def _no_rules(_function_id: str) -> Sequence[FirewallRule]:
    return ()


class FakeFirewall:
    """`ports_of` answers the ports of a guest that runs, and raises NoSuchGuest."""

    def __init__(self, ports_of: Callable[[str], Mapping[str, int]]) -> None:
        self.rules_of: RulesOf = _no_rules
        self._ports_of = ports_of
        self._filters: dict[str, tuple[PortFilter, ...]] = {}

    async def apply(self, function_id: str, rules: Sequence[FirewallRule]) -> None:
        self._filters[function_id] = resolve(rules, self._ports_of(function_id))

    async def is_applied(self, function_id: str, rules: Sequence[FirewallRule]) -> bool:
        wanted = resolve(rules, self._ports_of(function_id))
        return self._filters.get(function_id, ()) == wanted

    async def begin(self, function_id: str) -> None:
        """A guest begins with its rules."""
        await self.apply(function_id, await self.rules_of(function_id))

    def lets_in(self, function_id: str, source: str, transport: str, port: int) -> bool:
        """Whether a packet reaches the guest."""
        return lets_in(self._filters.get(function_id, ()), source, transport, port)

    def release(self, function_id: str) -> None:
        """The guest is gone."""
        self._filters.pop(function_id, None)
