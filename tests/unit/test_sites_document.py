"""The sites file: what is written is read back, and whatever is wrong is told by name."""

import copy
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from support import documents
from umbel.network.topology import files, sites_document
from umbel.network.topology.document import BadNetwork
from umbel.network.topology.sites import Site, crossing_cable
from umbel.network.topology.sites_document import Sites
from umbel.testbed import plan

SITES = Sites(
    controller="10.99.0.1",
    namespaces="umbel",
    sites=(
        Site(
            node="a",
            ovsdb="tcp:10.99.1.1:6640",
            datapath_id=0x756D62000001,
            underlay={"b": "10.201.0.1"},
            gateway="10.202.1.1/24",
            hosts=("host10", "host11"),
            cables={"b": "link2"},
            queues={"b": "wire2"},
        ),
        Site(
            node="b",
            ovsdb="unix:/run/openvswitch/db.sock",
            datapath_id=0xFFFFFFFFFFFFFFFF,
            underlay={"a": "10.201.0.2"},
            gateway="10.202.2.1/24",
            nic="eth0",
        ),
    ),
)
NETWORK = {
    "nodes": [{"name": "a"}, {"name": "b"}],
    "links": [{"a": "a", "b": "b"}],
}
DOCUMENT = NETWORK | sites_document.part(SITES)
TEXT = yaml.safe_dump(plan.document(plan.plan(files.builtin("sls"), "umbel", 99)))


def problems_of(**changed: object) -> list[str]:
    """What is wrong when the first site's fields are changed so; None takes one away."""
    document = copy.deepcopy(DOCUMENT)
    sites = document["sites"]
    assert isinstance(sites, list)
    sites[0] |= changed
    for key in [key for key, value in sites[0].items() if value is None and key != "nic"]:
        del sites[0][key]
    with pytest.raises(BadNetwork) as caught:
        sites_document.parse(document)
    found = caught.value.details["problems"]
    assert isinstance(found, list)
    return found


def test_what_is_written_is_read_back_also_through_yaml() -> None:
    assert sites_document.parse(DOCUMENT) == SITES
    assert sites_document.parse(files.decode(yaml.safe_dump(DOCUMENT))) == SITES
    assert SITES.of("b").nic == "eth0"
    assert [SITES.namespace_of(node) for node in "ab"] == ["umbel-a", "umbel-b"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("datapath_id: 0x1f", 0x1F), ("datapath_id: '1f'", 0x1F), ("", 0x756D62000002)],
)
def test_a_datapath_id_may_be_written_in_every_usual_way(written: str, meant: int) -> None:
    text = yaml.safe_dump(NETWORK | {"management": {"controller": "10.0.0.1"}})
    site = f"sites: [{{node: b, ovsdb: 'unix:/db', gateway: 10.0.0.1/24, {written}}}]"
    assert sites_document.parse(files.decode(text + site)).of("b").datapath_id == meant


def crossed(*nodes: str) -> Sites:
    """The same with crossings at these nodes."""
    sites = tuple(
        replace(
            site,
            cables={other: crossing_cable(other)},
            crossings={other: f"192.0.2.{number}:51820"},
        )
        if site.node in nodes
        else site
        for number, (site, other) in enumerate(zip(SITES.sites, "ba", strict=True), 1)
    )
    return replace(SITES, sites=sites)


def test_a_link_into_another_domain_has_cables_that_the_platform_makes() -> None:
    document = NETWORK | sites_document.part(crossed("a", "b"))
    assert sites_document.parse(document) == crossed("a", "b")
    assert [site["cables"] for site in document["sites"]] == [{}, {}]  # type: ignore[attr-defined]
    real = document | {"management": {"controller": "10.0.0.1"}}
    _, problems = sites_document.inspect(real)
    assert [line.split(":")[1] for line in problems] == [" crossings"] * 2
    _, problems = sites_document.inspect(NETWORK | sites_document.part(crossed("a")))
    assert problems == ["site b: crossings: a has one to it, but it has none back"]


def test_real_switches_are_in_no_namespace() -> None:
    document = DOCUMENT | {"management": {"controller": "10.0.0.1"}}
    found = sites_document.parse(document)
    assert (found.controller, found.namespaces) == ("10.0.0.1", "")
    assert found.namespace_of("a") is None


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"ovsdb": "10.0.0.1:6640"}, "site a: ovsdb: Value error, neither tcp:"),
        ({"ovsdb": "tcp:10.0.0.1:70000"}, "site a: ovsdb: Value error, neither tcp:"),
        ({"ovsdb": "tcp:10.0.0.999:6640"}, "site a: ovsdb: Value error, neither tcp:"),
        ({"ovsdb": "tcp:[::g]:6640"}, "site a: ovsdb: Value error, neither tcp:"),
        ({"datapath_id": "umbel"}, "site a: datapath_id: Value error, not a hexadecimal"),
        ({"datapath_id": "0x0"}, "site a: datapath_id: Value error, not a number from 1"),
        ({"datapath_id": 1 << 64}, "site a: datapath_id: Value error, not a number from 1"),
        ({"datapath_id": True}, "site a: datapath_id: Value error, not a number from 1"),
        ({"datapath_id": "0xffffffffffffffff"}, "sites: 2 have the datapath_id 0xffff"),
        ({"gateway": "10.202.1.1"}, "site a: gateway: Value error, an address with its prefix"),
        ({"gateway": "10.202.1.1/99"}, "site a: gateway: "),
        ({"nic": "a device with a long name"}, "site a: nic: String should match"),
        ({"hosts": ["x/y"]}, "site a: hosts.0: String should match"),
        ({"underlay": {"z": "10.201.0.1"}}, "site a: underlay: no link leads to z"),
        ({"underlay": {"b": "10.201.0.2"}}, "sites: 2 have the underlay 10.201.0.2"),
        ({"underlay": {"b": "nine"}}, "site a: underlay.b: value is not a valid"),
        ({"cables": {"z": "link9"}}, "site a: cables: no link leads to z"),
        ({"queues": {"z": "wire9"}}, "site a: queues: no link leads to z"),
        ({"crossings": {"z": "192.0.2.1:1"}}, "site a: crossings: no link leads to z"),
        ({"crossings": {"b": "192.0.2.1"}}, "site a: crossings.b: Value error, not ADDRESS:PORT"),
        ({"crossings": {"b": "192.0.2.1:0"}}, "site a: crossings.b: Value error, not ADDRESS"),
        ({"crossings": {"b": "192.0.2.999:1"}}, "site a: crossings.b: "),
        (
            {"crossings": {"b": "192.0.2.1:1"}, "underlay": {}},
            "site a: crossings: no underlay address toward b",
        ),
        ({"node": "z"}, "site z: unknown node"),
        ({"node": "b"}, "sites: 2 have the node b"),
        ({"ovsdb": "unix:/run/openvswitch/db.sock"}, "sites: 2 have the ovsdb unix:"),
        ({"colour": "red"}, "site a: colour: Extra inputs are not permitted"),
        ({"gateway": None}, "site a: gateway: Field required"),
    ],
)
def test_a_wrong_field_is_named(changed: dict[str, object], problem: str) -> None:
    found = problems_of(**changed)
    assert any(line.startswith(problem) for line in found), found


def test_all_problems_are_told_at_once() -> None:
    document = {
        "nodes": [{"name": "a"}],
        "links": [{"a": "a", "b": "z"}],
        "sites": [7, {"node": "a"}],
        "management": {"controller": "nobody", "namespaces": "a-b"},
        "colour": "red",
    }
    found, problems = sites_document.inspect(document)
    assert found == Sites(sites=(), controller="")
    assert {line.split(":")[0] for line in problems} == {
        *("unknown part 'colour'", "link a-z", "site 1", "site a", "management"),
    }
    for words in ("ovsdb: Field required", "controller: ", "namespaces: "):
        assert any(words in line for line in problems)


@pytest.mark.parametrize("raw", [None, [], 7, {}, NETWORK, NETWORK | {"sites": {}}])
def test_a_document_without_sites_is_refused(raw: object) -> None:
    with pytest.raises(BadNetwork):
        sites_document.parse(raw)


devices = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}", fullmatch=True)
sockets = st.tuples(st.ip_addresses(v=4), st.integers(1, 65535))
databases = st.one_of(
    st.from_regex(r"unix:/[a-z/.]{0,20}", fullmatch=True),
    sockets.map(lambda pair: f"tcp:{pair[0]}:{pair[1]}"),
    st.tuples(st.ip_addresses(v=6), st.integers(1, 65535)).map(
        lambda pair: f"tcp:[{pair[0]}]:{pair[1]}"
    ),
)


@st.composite
def both_sites(draw: st.DrawFn) -> Sites:
    """Any switches of the two nodes; the link between them may be a crossing."""
    addresses = draw(st.lists(st.ip_addresses().map(str), unique=True, min_size=2, max_size=2))
    ids = draw(st.lists(st.integers(1, (1 << 64) - 1), unique=True, min_size=2, max_size=2))
    ovsdb = draw(st.lists(databases, unique=True, min_size=2, max_size=2))
    namespaces = draw(st.just("") | st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True))
    crosses = draw(st.booleans()) and namespaces != ""
    sites = []
    for number, (node, other) in enumerate([("a", "b"), ("b", "a")]):
        gateway, length = draw(st.ip_addresses(v=4)), draw(st.integers(0, 32))
        cables = {other: draw(devices)} if draw(st.booleans()) else {}
        crossings = {}
        if crosses:
            address, port = draw(sockets)
            crossings = {other: f"{address}:{port}"}
            cables = {other: crossing_cable(other)}
        sites.append(
            Site(
                node=node,
                ovsdb=ovsdb[number],
                datapath_id=ids[number],
                underlay={other: addresses[number]},
                gateway=f"{gateway}/{length}",
                nic=draw(st.just("") | devices),
                hosts=tuple(draw(st.lists(devices, max_size=3))),
                cables=cables,
                queues={other: draw(devices)} if draw(st.booleans()) else {},
                crossings=crossings,
            )
        )
    controller = str(draw(st.ip_addresses()))
    return Sites(sites=tuple(sites), controller=controller, namespaces=namespaces)


def assert_sound(raw: Any) -> None:
    """A document is accepted as what it says, or refused with problems in proportion to it."""
    try:
        found = sites_document.parse(raw)
    except BadNetwork as error:
        problems = error.details["problems"]
        assert isinstance(problems, list)
        assert problems
        assert sum(map(len, problems)) <= documents.MOST_TOLD * len(yaml.safe_dump(raw))
        return
    assert sites_document.parse(raw | sites_document.part(found)) == found
    assert found.namespaces == raw["management"].get("namespaces", "")
    entries = documents.entries_of(raw, "sites")
    for site, entry in zip(found.sites, entries, strict=True):
        assert (site.node, site.ovsdb) == (entry["node"], entry["ovsdb"])
        assert IPv4Interface(site.gateway) == IPv4Interface(entry["gateway"])
        assert site.nic == (entry.get("nic") or "")
        assert list(site.hosts) == entry.get("hosts", [])
        assert site.queues == entry.get("queues", {})
        assert site.underlay.keys() == entry.get("underlay", {}).keys()
        assert site.crossings.keys() == entry.get("crossings", {}).keys()
        assert site.cables.keys() == entry.get("cables", {}).keys() | site.crossings.keys()
    links = {(end["a"], end["b"]) for end in documents.entries_of(raw, "links")}
    both_ways = links | {(b, a) for a, b in links}
    names = [node.get("name") for node in raw["nodes"] if isinstance(node, dict)]
    for site in found.sites:
        assert site.node in names
        ends = site.underlay.keys() | site.cables.keys() | site.queues.keys()
        assert {(site.node, end) for end in ends} <= both_ways
    for values in (
        [site.node for site in found.sites],
        [site.ovsdb for site in found.sites],
        [site.datapath_id for site in found.sites],
        [address for site in found.sites for address in site.underlay.values()],
    ):
        assert len(set(values)) == len(values)


@given(both_sites())
def test_sites_are_read_back_from_their_document_also_through_yaml(written: Sites) -> None:
    document = NETWORK | sites_document.part(written)
    assert sites_document.parse(document) == written
    assert sites_document.parse(files.decode(yaml.safe_dump(document))) == written


@given(documents.JUNK | documents.damaged(DOCUMENT) | documents.damaged(files.decode(TEXT)))
def test_any_document_is_accepted_as_what_it_says_or_refused(raw: object) -> None:
    assert_sound(raw)


@given(documents.damaged_text(TEXT) | st.text(max_size=200))
def test_a_damaged_sites_file_is_read_or_refused(text: str) -> None:
    try:
        raw = files.decode(text)
    except BadNetwork as error:
        assert error.details["problems"]
    else:
        assert_sound(raw)


def test_the_testbeds_own_file_is_one(tmp_path: Path) -> None:
    made = plan.plan(files.builtin("vpm"), "umbel", 99)
    path = tmp_path / "sites.yaml"
    path.write_text(yaml.safe_dump(plan.document(made)))
    assert sites_document.parse(files.read(path)) == plan.sites(made)
