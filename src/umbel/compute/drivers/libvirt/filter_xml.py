"""A guest's firewall in libvirt's words: a network filter. It is stateless, and matches frames at
the guest's device, so it needs no connection tracking and no setting of the kernel. Pure."""

import ipaddress
import uuid
from collections.abc import Sequence
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

from umbel.compute.drivers.libvirt.guest import domain_name
from umbel.compute.firewall.model import PortFilter, covered

_ACCEPT, _DROP = 100, 500


def filter_xml(function_id: str, filters: Sequence[PortFilter]) -> str:
    """The filter of a guest: what a rule lets in, then nothing more at the ports that rules name.
    Its UUID is always the same, so that libvirt replaces it."""
    name = domain_name(function_id)
    accepted = "".join(_accept(one) for one in filters)
    dropped = "".join(
        _rule("drop", _DROP, _match(family, transport, first, last))
        for transport, first, last in covered(filters)
        for family in ("ip", "ipv6")
    )
    its_uuid = uuid.uuid5(uuid.NAMESPACE_URL, f"umbel:filter:{function_id}")
    return (
        f"<filter name={quoteattr(name)} chain='root'><uuid>{its_uuid}</uuid>"
        f"{accepted}{dropped}</filter>"
    )


def rules(xml: str) -> frozenset[tuple[object, ...]]:
    """What a filter does, whatever libvirt added to its words."""
    found = ET.fromstring(xml)  # noqa: S314 -- libvirt's own text
    return frozenset(
        (
            one.get("action"),
            one.get("direction"),
            one.get("priority"),
            match.tag,
            match.get("protocol"),
            _network(match),
            match.get("dstportstart"),
            match.get("dstportend") or match.get("dstportstart"),
        )
        for one in found.findall("rule")
        for match in one
    )


def with_filter(interface: ET.Element, name: str) -> str:
    """A guest's network device with that filter; without one where the name is empty."""
    for old in interface.findall("filterref"):
        interface.remove(old)
    if name:
        ET.SubElement(interface, "filterref", {"filter": name})
    return ET.tostring(interface, encoding="unicode")


def interface(domain: str) -> ET.Element | None:
    """A guest's network device."""
    return ET.fromstring(domain).find("devices/interface")  # noqa: S314 -- libvirt's own text


def filter_of(domain: str) -> str:
    """The name of the filter that a guest's device has; empty where it has none."""
    device = interface(domain)
    found = device.find("filterref") if device is not None else None
    return found.get("filter", "") if found is not None else ""


def _accept(one: PortFilter) -> str:
    network = ipaddress.ip_network(one.source)
    family = "ip" if network.version == 4 else "ipv6"
    source = ""
    if network.prefixlen:
        source = f" srcipaddr='{network.network_address}' srcipmask='{network.prefixlen}'"
    return _rule("accept", _ACCEPT, _match(family, one.transport, one.first, one.last, source))


def _match(family: str, transport: str, first: int, last: int, source: str = "") -> str:
    return f"<{family} protocol='{transport}'{source} dstportstart='{first}' dstportend='{last}'/>"


def _rule(action: str, priority: int, match: str) -> str:
    return f"<rule action='{action}' direction='in' priority='{priority}'>{match}</rule>"


def _network(match: ET.Element) -> str:
    address, mask = match.get("srcipaddr"), match.get("srcipmask")
    return str(ipaddress.ip_network(f"{address}/{mask}")) if address else ""
