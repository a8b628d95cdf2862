"""What rules on ports mean, and how libvirt is asked to keep them: pure."""

from xml.etree import ElementTree as ET

import pytest

from umbel.compute.drivers.libvirt import filter_xml
from umbel.compute.firewall.model import (
    MOST_SOURCES,
    BadFirewallRule,
    FirewallRule,
    PortFilter,
    check_sources,
    lets_in,
    port_range,
    resolve,
)
from umbel.compute.model import Transport

PORTS = {"control": 20000, "udp": 20003}


def rule(ports: str, *sources: str, transport: Transport = Transport.UDP) -> FirewallRule:
    return FirewallRule(
        id="fw_1",
        function="edge-1",
        node="pe1",
        transport=transport,
        ports=ports,
        sources=sources or ("192.0.2.0/24",),
    )


def test_a_port_with_a_rule_is_closed_to_others() -> None:
    found = resolve([rule("udp", "192.0.2.0/24"), rule("20003", "198.51.100.7/32")], PORTS)
    for source, is_let_in in (("192.0.2.9", True), ("198.51.100.7", True), ("203.0.113.1", False)):
        assert lets_in(found, source, "udp", 20003) == is_let_in
        assert lets_in(found, source, "udp", 20004)
        assert lets_in(found, source, "tcp", 20003)


def test_a_range_closes_what_a_single_port_opens() -> None:
    found = resolve([rule("1-65535", "192.0.2.0/24"), rule("443", "0.0.0.0/0", "::/0")], {})
    assert lets_in(found, "203.0.113.1", "udp", 443)
    assert lets_in(found, "2001:db8::1", "udp", 443)
    assert not lets_in(found, "203.0.113.1", "udp", 444)


@pytest.mark.parametrize("ports", ["0", "65536", "20-10", "1-99999", "rtmp", "", "1-2-3", "-5"])
def test_what_is_no_port_is_refused(ports: str) -> None:
    with pytest.raises(BadFirewallRule):
        port_range(ports, PORTS)


@pytest.mark.parametrize(
    "sources", [(), ("192.0.2.1/24",), ("nowhere",), ("1.2.3.4/33",), ("10.0.0.0/8",) * 17]
)
def test_what_is_no_source_is_refused(sources: tuple[str, ...]) -> None:
    assert MOST_SOURCES == 16
    with pytest.raises(BadFirewallRule):
        check_sources(sources)


def test_a_name_that_the_function_has_not_is_refused_with_those_it_has() -> None:
    with pytest.raises(BadFirewallRule, match="control, udp"):
        resolve([rule("rtmp")], PORTS)


def test_a_filter_drops_in_both_families_what_it_does_not_let_in() -> None:
    text = filter_xml.filter_xml("edge-1", resolve([rule("udp", "192.0.2.0/24")], PORTS))
    assert text == filter_xml.filter_xml(
        "edge-1", [PortFilter("udp", 20003, 20003, "192.0.2.0/24")]
    )
    accepted = ("accept", "in", "100", "ip", "udp", "192.0.2.0/24", "20003", "20003")
    dropped = [("drop", "in", "500", kind, "udp", "", "20003", "20003") for kind in ("ip", "ipv6")]
    assert filter_xml.rules(text) == {accepted, *dropped}


def test_a_filter_says_the_same_in_other_words() -> None:
    one = "<rule action='drop' direction='in' priority='500'>{}</rule>"
    short = one.format("<ip protocol='udp' dstportstart='7'/>")
    long = one.format("<ip protocol='udp' dstportstart='7' dstportend='7'/>")
    assert filter_xml.rules(f"<filter>{short}</filter>") == filter_xml.rules(
        f"<filter>{long}</filter>"
    )
    masked = "<ip protocol='udp' srcipaddr='10.0.0.0' srcipmask='255.0.0.0' dstportstart='7'/>"
    assert any("10.0.0.0/8" in rule for rule in filter_xml.rules(f"<f>{one.format(masked)}</f>"))


def test_a_device_has_one_filter_or_none() -> None:
    device = ET.fromstring("<interface type='bridge'><filterref filter='old'/></interface>")
    text = filter_xml.with_filter(device, "new")
    assert "old" not in text
    domain = f"<domain><devices>{text}</devices></domain>"
    assert filter_xml.filter_of(domain) == "new"
    assert "filterref" not in filter_xml.with_filter(device, "")
