"""Switches that come with nodes: what becomes of the sites, and all that is wrong at once."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from umbel.kit.errors import UmbelError
from umbel.network.documents import NO_SITE, AddedSite, LinkEnd
from umbel.network.service import InvalidSite, NoSwitch
from umbel.network.topology.registry import SiteRegistry
from umbel.network.topology.sites import Site, crossing_cable

A = Site(
    node="a",
    ovsdb="tcp:192.0.2.1:6640",
    datapath_id=1,
    underlay={"b": "198.51.100.1"},
    gateway="10.202.1.1/24",
    nic="eth0",
    cables={"b": "eth1"},
)
B = replace(
    A,
    node="b",
    ovsdb="tcp:192.0.2.2:6640",
    datapath_id=2,
    underlay={"a": "198.51.100.2"},
    gateway="10.202.2.1/24",
    cables={"a": "eth1"},
)
SITES = {"a": A, "b": B}
NEW = Site(
    node="z", ovsdb="tcp:192.0.2.9:6640", datapath_id=9, underlay={}, gateway="10.202.9.1/24"
)
ADDED = AddedSite(
    site=NEW,
    local={"a": LinkEnd(underlay="198.51.100.5", cable="eth2", queue="eth3")},
    remote={"a": LinkEnd(underlay="198.51.100.6", cable="eth2", queue="eth4")},
)


def problems(
    added: AddedSite,
    *linked: str,
    sites: Mapping[str, Site] = SITES,
    node: str = "z",
    in_namespaces: bool = False,
) -> object:
    with pytest.raises(InvalidSite) as refused:
        added.check(sites, node, linked, in_namespaces=in_namespaces)
    return refused.value.details["problems"]


def test_a_switch_joins_with_both_ends_of_its_links() -> None:
    ADDED.check(SITES, "z", ["a"], in_namespaces=False)
    joined = ADDED.joined(SITES, "z", ["a"])
    assert joined == {
        "a": replace(
            A,
            underlay={"b": "198.51.100.1", "z": "198.51.100.6"},
            cables={"b": "eth1", "z": "eth2"},
            queues={"z": "eth4"},
        ),
        "b": B,
        "z": replace(
            NEW, underlay={"a": "198.51.100.5"}, cables={"a": "eth2"}, queues={"a": "eth3"}
        ),
    }
    assert joined["z"] == ADDED.switch


def test_ends_of_links_that_are_not_there_do_not_count() -> None:
    assert ADDED.joined(SITES, "z", []) == {**SITES, "z": NEW}


def test_ends_that_others_have_toward_it_stay_when_it_joins_again() -> None:
    other = AddedSite(site=replace(NEW, node="y"), remote={"z": LinkEnd(underlay="198.51.100.9")})
    once = other.joined(ADDED.joined(SITES, "z", []), "y", ["z"])
    again = ADDED.joined(once, "z", ["a"])
    assert again["z"].underlay == {"a": "198.51.100.5", "y": "198.51.100.9"}


def test_a_crossing_makes_its_cable() -> None:
    ends = {"a": LinkEnd(underlay="198.51.100.5", crossing="203.0.113.9:51820")}
    far = {"a": LinkEnd(underlay="198.51.100.6", crossing="203.0.113.1:51820")}
    added = replace(ADDED, local=ends, remote=far)
    added.check(SITES, "z", ["a"], in_namespaces=True)
    assert added.joined(SITES, "z", ["a"])["z"].cables == {"a": crossing_cable("a")}
    assert problems(added, "a") == ["crossing: they are made for namespaces of this machine only"]
    one_sided = replace(added, remote=ADDED.remote)
    assert problems(one_sided, "a", in_namespaces=True) == [
        "link to a: crossing: both ends have one, or neither"
    ]


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = AddedSite(
        site=replace(
            NEW, ovsdb=A.ovsdb, datapath_id=2, gateway="10.202.0.1/16", nic="eth7", hosts=("eth7",)
        ),
        local={"a": LinkEnd(underlay="198.51.100.2", cable="eth7")},
        remote={"b": LinkEnd(cable="eth1")},
    )
    assert problems(wrong, "a", "b") == [
        "ovsdb: a has tcp:192.0.2.1:6640",
        "gateway: 10.202.0.0/16 overlaps the access network of a",
        "datapath_id: b has 0x2",
        "gateway: 10.202.0.0/16 overlaps the access network of b",
        "link to a: remote.underlay: a needs an address there",
        "link to b: local.underlay: z needs an address there",
        "link to b: remote.underlay: b needs an address there",
        "node b: device eth1 is named 2 times",
        "node z: device eth7 is named 3 times",
        "underlay: 198.51.100.2 is at 2 ends of links",
    ]


def test_a_switch_of_the_file_is_not_given_again_but_ends_may_be() -> None:
    assert problems(replace(ADDED, site=replace(NEW, node="a")), node="a") == [
        "site: the network file describes the switch of a: leave it out"
    ]
    ends = AddedSite(
        local={"c": LinkEnd(underlay="198.51.100.5")},
        remote={"c": LinkEnd(underlay="198.51.100.6")},
    )
    sites = {**SITES, "c": replace(NEW, node="c")}
    ends.check(sites, "a", ["c"], in_namespaces=False)
    joined = ends.joined(sites, "a", ["c"])
    assert joined["a"].underlay == {**A.underlay, "c": "198.51.100.5"}
    assert joined["c"].underlay == {"a": "198.51.100.6"}
    assert ends.switch is None


@pytest.mark.parametrize("given", [NO_SITE, replace(ADDED, site=None)])
def test_a_node_without_a_switch_is_refused(given: AddedSite) -> None:
    with pytest.raises(NoSwitch, match="a switch for z"):
        given.check(SITES, "z", ["a"], in_namespaces=False)


def test_nothing_is_given_where_no_switches_carry_streams() -> None:
    NO_SITE.check_unswitched("z")
    for given in (ADDED, replace(ADDED, site=None)):
        with pytest.raises(UmbelError) as refused:
            given.check_unswitched("z")
        assert "leave out" in str(refused.value.details["problems"])


def test_a_datapath_id_is_found_where_none_is_given() -> None:
    unnumbered = replace(ADDED, site=replace(NEW, datapath_id=0))
    first = unnumbered.numbered(SITES).switch
    assert first is not None
    assert first.datapath_id == 0x756D62010000
    second = unnumbered.numbered({**SITES, "z": first}).switch
    assert second is not None
    assert second.datapath_id == 0x756D62010001
    assert ADDED.numbered(SITES) == ADDED


def test_ends_that_go_stay_until_the_sites_are_set() -> None:
    registry = SiteRegistry(SITES)
    told: list[int] = []
    registry.watch(lambda: told.append(registry.revision))
    whole = ADDED.joined(SITES, "z", ["a"])
    registry.extend(whole)
    assert (dict(registry), registry.node_of(9), told) == (whole, "z", [1])
    registry.extend(SITES)
    assert (dict(registry), told) == (whole, [1])
    moved = replace(A, ovsdb="tcp:192.0.2.77:6640")
    registry.extend({**SITES, "a": moved})
    assert (registry["a"], registry["z"], told) == (moved, whole["z"], [1, 2])
    registry.set(SITES)
    assert (dict(registry), registry.node_of(9), told) == (SITES, None, [1, 2, 3])
