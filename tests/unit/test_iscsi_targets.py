"""iSCSI targets as text, and which logical unit a guest gets: pure."""

import pytest

from umbel.compute.drivers.libvirt import domain_xml, luns
from umbel.compute.drivers.libvirt.domain_copy import at_target
from umbel.compute.drivers.libvirt.guest import GuestRecord, parse, serialize
from umbel.compute.hypervisors import iscsi
from umbel.compute.hypervisors.iscsi import IscsiTarget
from umbel.compute.hypervisors.model import (
    BadHypervisor,
    GuestNetwork,
    Hypervisor,
    NoLunLeft,
    check,
)

TEXT = "192.0.2.9:3261/iqn.2026-11.net.example:guests/3-4"


def hypervisor(target: str = TEXT, name: str = "pe1") -> Hypervisor:
    network = GuestNetwork(bridge="br0", first="10.0.3.10", last="10.0.3.20", gateway="10.0.3.1")
    return Hypervisor(name=name, uri="qemu:///system", network=network, iscsi=target)


def guest(id_: str) -> GuestRecord:
    return GuestRecord(
        id=id_,
        owner="delivery",
        description="edge",
        node="pe1",
        image="relay-0123456789abcdef",
        address="10.0.3.10",
    )


def test_a_target_is_read() -> None:
    assert iscsi.parse(TEXT) == IscsiTarget(
        host="192.0.2.9", port=3261, iqn="iqn.2026-11.net.example:guests", first=3, last=4
    )
    short = iscsi.parse("store.example.net/iqn.2026-11.net.example:a/0")
    assert (short.port, short.first, short.last) == (3260, 0, 0)
    assert iscsi.parse("[2001:db8::9]:3260/iqn.2026-11.net.example:a/1").host == "[2001:db8::9]"
    check(hypervisor())


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.9",
        "192.0.2.9/iqn.2026-11.net.example:a",
        "192.0.2.9/iqn.2026-11.net.example:a/4-3",
        "192.0.2.9/iqn.2026-11.net.example:a/1-99999",
        "192.0.2.9:0/iqn.2026-11.net.example:a/1",
        "user%pass@192.0.2.9/iqn.2026-11.net.example:a/1",
        "192.0.2.9/iqn.2026-11.net.example:a/1,file.filename=x",
        "-x/iqn.2026-11.net.example:a/1",
    ],
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(BadHypervisor):
        check(hypervisor(text))


def test_ranges_of_one_target_overlap_or_not() -> None:
    one = iscsi.parse(TEXT)
    for luns_, overlaps in (("4-9", True), ("5-9", False), ("1-2", False), ("1-9", True)):
        assert one.overlaps(iscsi.parse(TEXT.replace("3-4", luns_))) == overlaps
    assert not one.overlaps(iscsi.parse(TEXT.replace("guests", "others")))


def test_each_guest_has_a_logical_unit_of_its_own() -> None:
    first = luns.give(guest("a"), hypervisor(), 100, [])
    second = luns.give(guest("b"), hypervisor(), 100, [first])
    assert [one.lun and one.lun.number for one in (first, second)] == [3, 4]
    with pytest.raises(NoLunLeft, match="3 to 4"):
        luns.give(guest("c"), hypervisor(), 100, [first, second])
    assert luns.give(first, hypervisor(), 100, [first, second]) == first
    assert luns.give(guest("a"), hypervisor(""), 100, []).lun is None
    assert luns.are_together(hypervisor(), hypervisor(TEXT.replace("3-4", "5-6")))
    assert not luns.are_together(hypervisor(), hypervisor(TEXT.replace("guests", "others")))


def test_a_domain_has_its_logical_unit_and_no_more_of_it_than_the_image() -> None:
    made = luns.give(guest("a"), hypervisor(), 4096, [])
    assert parse(serialize(made)) == made
    xml = domain_xml.domain(made, hypervisor())
    assert 'name="iqn.2026-11.net.example:guests/3"' in xml
    assert "<slice type='storage' offset='0' size='4096'/>" in xml
    assert "guest.a.disk" not in xml
    moved = at_target(xml, made, hypervisor(name="pe2"))
    assert "guest.a.disk" not in moved
    assert "iqn.2026-11.net.example:guests/3" in moved
