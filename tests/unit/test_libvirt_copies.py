"""Which copy of a guest counts, for all that two hypervisors may show, and its domain there."""

from dataclasses import replace
from itertools import product
from xml.etree import ElementTree as ET

import pytest

from umbel.compute.drivers.libvirt import copies, domain_xml
from umbel.compute.drivers.libvirt.copies import Power, SeenGuest, Settlement
from umbel.compute.drivers.libvirt.domain_copy import arrived, at_target
from umbel.compute.drivers.libvirt.guest import GuestRecord
from umbel.compute.hypervisors.model import GuestNetwork, Hypervisor

URI = "qemu+ssh://admin@192.0.2.11/system"
NETWORK = GuestNetwork(bridge="br0", first="10.0.3.10", last="10.0.3.19")
PE1 = Hypervisor(name="pe1", uri=URI, network=NETWORK)
PE2 = replace(PE1, name="pe2", folder="/srv/umbel/guests", network=replace(NETWORK, bridge="br7"))
GUEST = GuestRecord(
    id="edge-1",
    owner="delivery",
    description="edge",
    node="pe1",
    image="relay-0123456789abcdef",
    address="10.0.3.10",
    moving_to="pe2",
)
THERE = arrived(GUEST, PE2)
RUNS = frozenset({Power.ON, Power.SUSPENDED})


def seen(guest: GuestRecord, power: Power | None) -> dict[str, SeenGuest]:
    return {guest.node: SeenGuest(guest=guest, power=power)} if power is not None else {}


@pytest.mark.parametrize(("source", "target"), [*product((*Power, None), repeat=2)])
def test_a_guest_runs_once_whatever_a_control_plane_leaves(
    source: Power | None, target: Power | None
) -> None:
    found = seen(GUEST, source) | seen(THERE, target)
    done = copies.settle(found, ())
    assert done is not None
    ran = {node for node, one in found.items() if one.power is not Power.ARRIVING}
    assert (done.at in ran) if ran else (done.at == "")
    assert set(done.elsewhere) >= set(found) - {done.at}
    runs = {node for node, one in found.items() if one.power in RUNS}
    assert done.at in runs or not runs
    assert done.resumes is (bool(done.at) and found[done.at].power is Power.HANDED_OVER)


def test_a_guest_that_stopped_goes_on_only_where_its_copy_never_ran() -> None:
    stopped = seen(GUEST, Power.HANDED_OVER)
    assert copies.settle(stopped, {"pe2"}) is None
    back = Settlement(at="pe1", resumes=True, elsewhere=("pe2",))
    assert copies.settle(stopped, ()) == back
    assert copies.settle(stopped | seen(THERE, Power.ARRIVING), ()) == back
    for here in (Power.HANDED_OVER, Power.OFF):
        for ran in (Power.ON, Power.SUSPENDED, Power.OFF):
            done = copies.settle(seen(GUEST, here) | seen(THERE, ran), ())
            assert done == Settlement(at="pe2", elsewhere=("pe1",))


def test_what_does_not_answer_is_owed() -> None:
    runs = seen(GUEST, Power.ON)
    assert copies.settle(runs, {"pe2", "pe3"}) == Settlement(at="pe1", owing=("pe2",))
    moved = seen(THERE, Power.ON)
    assert copies.settle(moved, {"pe1"}) == Settlement(at="pe2", owing=("pe1",))


def test_where_two_run_the_source_counts() -> None:
    both = seen(GUEST, Power.ON) | seen(THERE, Power.ON)
    assert copies.counting(both) == "pe1"


def test_what_arrives_remembers_where_it_came_from() -> None:
    assert (THERE.node, THERE.moving_to, THERE.left_at) == ("pe2", "", ("pe1",))
    again = arrived(replace(THERE, moving_to="pe3"), replace(PE1, name="pe3"))
    assert again.left_at == ("pe1", "pe2")
    assert arrived(replace(THERE, moving_to="pe1"), PE1).left_at == ("pe2",)


def test_a_domain_has_the_same_devices_at_the_target() -> None:
    before, target = domain_xml.domain(GUEST, PE1), domain_xml.domain(THERE, PE2)
    after = ET.fromstring(at_target(before, GUEST, PE2))
    assert ET.canonicalize(ET.tostring(after)) == ET.canonicalize(target)
    assert PE1.folder not in ET.tostring(after, encoding="unicode")


@pytest.mark.parametrize("switches", [(False, True), (True, False), (True, True)])
def test_its_device_is_on_the_targets_switch(switches: tuple[bool, bool]) -> None:
    here, there = (
        replace(one, network=replace(one.network, is_open_vswitch=switch))
        for one, switch in zip((PE1, PE2), switches, strict=True)
    )
    after = ET.fromstring(at_target(domain_xml.domain(GUEST, here), GUEST, there))
    assert after.findtext("devices/interface/source") is not None
    assert (after.find("devices/interface/virtualport") is not None) is switches[1]
    source = after.find("devices/interface/source")
    assert source is not None
    assert source.get("bridge") == "br7"
