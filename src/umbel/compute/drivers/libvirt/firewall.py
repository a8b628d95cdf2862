"""The firewall of a pool's guests: which hypervisor is asked. It loads libvirt when it is first
used. Neighbour: filters.py has libvirt's own words."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from umbel.compute.drivers.libvirt import filter_xml
from umbel.compute.drivers.libvirt.guest import GuestRecord
from umbel.compute.firewall.model import FirewallRule, NoFirewallThere, resolve
from umbel.compute.firewall.ports import RulesOf
from umbel.compute.hypervisors.model import Hypervisor, NoSuchGuest

if TYPE_CHECKING:
    from umbel.compute.drivers.libvirt.link import HypervisorLink


async def _no_rules(_function_id: str) -> Sequence[FirewallRule]:
    return ()


class GuestFirewall:
    """`resting` answers where a guest is, and raises NoSuchGuest and GuestMoving."""

    def __init__(self, resting: Callable[[str], Awaitable["HypervisorLink"]]) -> None:
        self.rules_of: RulesOf = _no_rules
        self._resting = resting

    async def apply(self, function_id: str, rules: Sequence[FirewallRule]) -> None:
        link = await self._resting(function_id)
        if not rules:
            await link.call(lambda c: _words().disconnect(c, function_id))
            return
        xml = await self._xml(link, function_id, rules)
        await link.call(lambda c: _words().define(c, xml))
        await link.call(lambda c: _words().connect(c, function_id))

    async def is_applied(self, function_id: str, rules: Sequence[FirewallRule]) -> bool:
        link = await self._resting(function_id)
        there = await link.call(lambda c: _words().of(c, function_id))
        if not rules or not there:
            return bool(rules) == bool(there)
        wanted = await self._xml(link, function_id, rules)
        return filter_xml.rules(there) == filter_xml.rules(wanted)

    async def at_start(self, guest: GuestRecord, hypervisor: Hypervisor) -> str:
        """The filter that a guest begins with; empty for none. Raises BadFirewallRule,
        NoFirewallThere."""
        rules = await self.rules_of(guest.id)
        return _filter(guest, hypervisor, rules) if rules else ""

    async def _xml(
        self, link: "HypervisorLink", function_id: str, rules: Sequence[FirewallRule]
    ) -> str:
        seen = await link.one_seen(function_id)
        if seen is None:
            raise NoSuchGuest(f"No guest runs {function_id}", function=function_id)
        return _filter(seen.guest, link.hypervisor, rules)


def _filter(guest: GuestRecord, hypervisor: Hypervisor, rules: Sequence[FirewallRule]) -> str:
    if hypervisor.network.is_open_vswitch:
        message = f"libvirt filters nothing on {hypervisor.network.bridge}, which is Open vSwitch's"
        raise NoFirewallThere(message, node=hypervisor.name)
    return filter_xml.filter_xml(guest.id, resolve(rules, guest.ports))


def _words() -> Any:
    from umbel.compute.drivers.libvirt import filters  # noqa: PLC0415 -- it loads libvirt

    return filters
