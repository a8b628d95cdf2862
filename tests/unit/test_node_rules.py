"""The network file with what operators changed since: pure rules."""

from dataclasses import replace

import pytest

from umbel.compute.model import Inventory, Node, NodeKind, NoSuchNode, Scheduling
from umbel.compute.service import NodeExists, NodeInUse, NoSuchPool
from umbel.delivery.nodes import rules
from umbel.delivery.nodes.model import NetworkFile, NodeChange
from umbel.delivery.nodes.rules import InvalidLinks
from umbel.network.documents import AddedSite, LinkEnd, Site
from umbel.network.model import Host, Link, Topology
from umbel.network.service import InvalidSite, NoSwitch
from umbel.plans import networks

POOLS = {"default"}


def node(name: str, number: int) -> Node:
    return Node(name=name, kind=NodeKind.PROVIDER_EDGE, address=f"127.0.{number}.1")


FILE = NetworkFile(
    inventory=Inventory(nodes=tuple(node(name, n) for n, name in enumerate("abc", start=1))),
    topology=Topology(
        nodes=tuple("abc"),
        links=(Link(a="a", b="b"), Link(a="b", b="c")),
        hosts=(Host(name="h", node="b"),),
    ),
    default_access="a",
)
ENTRIES: list[dict[str, object]] = [
    {"name": name, "address": f"127.0.{n}.1", "planner": {"servers": 2}}
    for n, name in enumerate("abc", start=1)
]
DOCUMENT = {
    "nodes": ENTRIES,
    "links": [{"a": "a", "b": "b"}, {"a": "b", "b": "c"}],
    "hosts": [{"name": "h", "node": "b"}],
}


def added(name: str, number: int, *to: str, at_s: float = 1.0) -> NodeChange:
    links = tuple(Link(a=name, b=one) for one in to)
    return NodeChange(name=name, node=node(name, number), links=links, added_s=at_s)


def names(*changes: NodeChange) -> list[str]:
    found = rules.current(FILE, {one.name: one for one in changes}, POOLS)
    return [one.node.name for one in found.members]


def links(*changes: NodeChange) -> list[str]:
    found = rules.current(FILE, {one.name: one for one in changes}, POOLS)
    return [f"{link.a}{link.b}" for link in found.topology.links]


GONE = NodeChange(name="b", removed=True)


def test_without_changes_it_is_the_file() -> None:
    found = rules.current(FILE, {}, POOLS)
    assert (names(), found.topology, found.ignored) == (list("abc"), FILE.topology, ())


def test_added_nodes_follow_in_the_order_in_which_they_came() -> None:
    changes = added("y", 9, "z", at_s=2.0), added("z", 8, "a", "c", at_s=1.0)
    assert names(*changes) == ["a", "b", "c", "z", "y"]
    assert links(*changes) == ["ab", "bc", "yz", "za", "zc"]


def test_a_removed_node_takes_its_links_and_hosts() -> None:
    found = rules.current(FILE, {"b": GONE}, POOLS)
    assert found.topology == Topology(nodes=("a", "c"), links=())


def test_a_node_whose_only_neighbour_goes_stays_without_links() -> None:
    assert names(GONE, added("z", 8, "b")) == ["a", "c", "z"]
    assert links(GONE, added("z", 8, "b")) == []


def test_a_node_that_comes_again_has_the_links_it_comes_with() -> None:
    again = added("b", 2, "c", at_s=5.0)
    assert names(again) == ["a", "c", "b"]
    assert links(again, added("z", 8, "b", "a", at_s=1.0)) == ["bc", "za"]
    assert links(again, added("z", 8, "b", "a", at_s=9.0)) == ["bc", "zb", "za"]


def test_scheduling_is_of_file_nodes_and_added_ones() -> None:
    changes = {
        "b": NodeChange(name="b", scheduling=Scheduling.CORDONED),
        "z": replace(added("z", 8, "a"), scheduling=Scheduling.DRAINING, evict_at_s=7.0),
    }
    found = {
        one.node.name: (one.scheduling, one.evict_at_s)
        for one in rules.current(FILE, changes, POOLS).members
    }
    assert found["a"] == (Scheduling.OPEN, None)
    assert found["b"] == (Scheduling.CORDONED, None)
    assert found["z"] == (Scheduling.DRAINING, 7.0)


def test_what_an_edited_file_contradicts_is_ignored() -> None:
    clash, alien = added("z", 1, "a"), replace(added("y", 7, "a"), node=_of_pool("y", "clouds"))
    found = rules.current(FILE, {"z": clash, "y": alien}, POOLS)
    assert found.topology == FILE.topology
    assert [line.partition(":")[0] for line in found.ignored] == ["y", "z"]
    default = NodeChange(name="a", removed=True)
    assert names(default) == ["a", "b", "c"]


def _of_pool(name: str, pool: str) -> Node:
    return replace(node(name, 7), pool=pool)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (added("b", 8, "a"), NodeExists),
        (added("z", 2, "a"), NodeExists),
        (replace(added("z", 8, "a"), node=_of_pool("z", "clouds")), NoSuchPool),
        (added("z", 8), InvalidLinks),
        (added("z", 8, "z"), InvalidLinks),
        (added("z", 8, "nowhere"), InvalidLinks),
        (added("z", 8, "a", "a"), InvalidLinks),
        (replace(added("z", 8), links=(Link(a="a", b="b"),)), InvalidLinks),
    ],
)
def test_a_node_that_does_not_fit_is_refused(change: NodeChange, error: type[Exception]) -> None:
    with pytest.raises(error):
        rules.add(FILE, {}, POOLS, change)


def test_removing_and_scheduling_need_the_node() -> None:
    assert rules.remove(FILE, {}, POOLS, "b") == GONE
    with pytest.raises(NodeInUse):
        rules.remove(FILE, {}, POOLS, "a")
    wanted = NodeChange(name="b", scheduling=Scheduling.CORDONED)
    for changes, name in (({"b": GONE}, "b"), ({}, "nowhere")):
        with pytest.raises(NoSuchNode):
            rules.remove(FILE, changes, POOLS, name)
        with pytest.raises(NoSuchNode):
            rules.schedule(FILE, changes, POOLS, replace(wanted, name=name))
    z = added("z", 8, "a")
    kept = rules.schedule(FILE, {"z": z}, POOLS, replace(wanted, name="z"))
    assert kept == replace(z, scheduling=Scheduling.CORDONED)


def site(name: str, number: int, *near: str) -> Site:
    return Site(
        node=name,
        ovsdb=f"tcp:192.0.2.{number}:6640",
        datapath_id=number,
        underlay={one: f"198.51.{number}.{place}" for place, one in enumerate(near)},
        gateway=f"10.202.{number}.1/24",
    )


SWITCHED = replace(
    FILE, sites={"a": site("a", 1, "b"), "b": site("b", 2, "a", "c"), "c": site("c", 3, "b")}
)


def switched(name: str, number: int, *to: str, at_s: float = 1.0) -> NodeChange:
    """An added node with its switch and both ends of its links."""
    local = {near: LinkEnd(underlay=f"198.60.{number}.{n}") for n, near in enumerate(to)}
    remote = {near: LinkEnd(underlay=f"198.61.{number}.{n}") for n, near in enumerate(to)}
    added_site = AddedSite(site=site(name, number), local=local, remote=remote)
    return replace(added(name, number, *to, at_s=at_s), site=added_site)


def ends(*changes: NodeChange) -> set[str]:
    """The links that have an address at both ends."""
    found = rules.current(SWITCHED, {one.name: one for one in changes}, POOLS).sites
    assert found is not None
    pairs = {(a, b) for a, one in found.items() for b in one.underlay if b in found}
    return {"".join(sorted(one)) for one in pairs if one[::-1] in pairs}


def test_a_switch_that_comes_has_ends_toward_the_nodes_that_it_is_linked_to() -> None:
    assert ends() == {"ab", "bc"}
    z, y = switched("z", 8, "a", "c", at_s=1.0), switched("y", 9, "z", at_s=2.0)
    assert ends(z) == {"ab", "bc", "az", "cz"}
    assert ends(y, z) == ends(z, y) == {"ab", "bc", "az", "cz", "yz"}
    again = replace(added("c", 3, "b", at_s=5.0))  # its link to z went with it
    assert ends(z, again) == {"ab", "bc", "az"}
    joined = AddedSite(
        local={"z": LinkEnd(underlay="198.51.3.9")}, remote={"z": LinkEnd(underlay="198.60.8.9")}
    )
    assert ends(z, replace(added("c", 3, "b", "z", at_s=5.0), site=joined)) == {
        *("ab", "bc", "az", "cz"),
    }


def test_a_switch_that_came_goes_with_its_node_and_is_remembered_until_it_is_clean() -> None:
    z = switched("z", 8, "a")
    gone = rules.remove(SWITCHED, {"z": z}, POOLS, "z")
    now = rules.current(SWITCHED, {"z": gone}, POOLS)
    assert (now.sites, now.retired) == (SWITCHED.sites, (z.site.switch,))
    (switch,) = now.retired
    assert switch.underlay == {"a": "198.60.8.0"}
    clean = rules.forget_switch({"z": gone}, switch)
    assert clean == NodeChange(name="z", removed=True)
    assert rules.current(SWITCHED, {"z": clean}, POOLS).retired == ()
    for changes in ({"z": z}, {"z": clean}, {}):
        with pytest.raises(NoSuchNode):
            rules.forget_switch(changes, switch)
    taken = replace(added("y", 9, "a", at_s=3.0), site=replace(z.site, site=site("y", 8)))
    assert rules.current(SWITCHED, {"z": gone, "y": taken}, POOLS).retired == ()
    assert rules.remove(SWITCHED, {}, POOLS, "b") == GONE


def test_a_switch_that_an_edited_file_contradicts_is_ignored_with_its_node() -> None:
    clash, bare = switched("z", 2, "a"), added("y", 7, "a")
    clash = replace(clash, node=node("z", 8))
    found = rules.current(SWITCHED, {"z": clash, "y": bare}, POOLS)
    assert (found.topology, found.sites) == (FILE.topology, SWITCHED.sites)
    assert [line.partition(":")[0] for line in found.ignored] == ["y", "z"]


def test_a_node_gets_its_datapath_id_when_it_is_added() -> None:
    z = switched("z", 8, "a")
    assert z.site.site is not None
    unnumbered = replace(z, site=replace(z.site, site=replace(z.site.site, datapath_id=0)))
    made = rules.add(SWITCHED, {}, POOLS, unnumbered).site.site
    assert made is not None
    assert made.datapath_id > 3
    with pytest.raises(NoSwitch):
        rules.add(SWITCHED, {}, POOLS, added("z", 8, "a"))
    for file, change in ((FILE, z), (SWITCHED, replace(z, site=replace(z.site, local={})))):
        with pytest.raises(InvalidSite):
            rules.add(file, {}, POOLS, change)


def test_plans_see_the_nodes_there_are() -> None:
    now = rules.current(FILE, {"b": GONE, "z": added("z", 8, "a", "c")}, POOLS)
    made = rules.document(DOCUMENT, FILE, now)
    assert isinstance(made, dict)
    assert [entry["name"] for entry in made["nodes"]] == ["a", "c", "z"]
    assert made["nodes"][0] == ENTRIES[0]
    assert made["hosts"] == []
    planned, problems = networks.parse(made)
    assert problems == []
    assert {(link.a, link.b) for link in planned.network.links} == {("z", "a"), ("z", "c")}


def test_plans_see_what_was_given_for_a_node_that_was_added_again() -> None:
    again = replace(added("b", 2, "a"), links=(Link(a="b", b="a", mbps=7.0),))
    assert again.node is not None
    again = replace(again, node=replace(again.node, cores=9.0))
    made = rules.document(DOCUMENT, FILE, rules.current(FILE, {"b": again}, POOLS))
    assert isinstance(made, dict)
    assert {entry["name"]: entry.get("cores") for entry in made["nodes"]}["b"] == 9.0
    assert [(link["a"], link["b"], link.get("mbps")) for link in made["links"]] == [("b", "a", 7.0)]
