"""The sites file: what is written is read back, and whatever is wrong is told by name."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from umbel.kit.errors import Invalid
from umbel.network.topology import files, sites_document
from umbel.network.topology.document import BadNetwork
from umbel.network.topology.sites import Site
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

keys = st.sampled_from(
    [
        "sites",
        "management",
        "node",
        "ovsdb",
        "underlay",
        "nodes",
        "links",
        "hosts",
        "cables",
        "crossings",
        "a",
    ]
)
junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)


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
    assert SITES.namespace_by_node() == {"a": "umbel-a", "b": "umbel-b"}


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
            cables={other: sites_document.crossing_cable(other)},
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
    assert found.namespace_by_node() == {}


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


@given(junk)
def test_any_document_parses_or_is_refused_with_problems(raw: object) -> None:
    try:
        sites_document.parse(raw)
    except BadNetwork as error:
        assert error.details["problems"]


@given(junk, keys)
def test_any_part_or_field_parses_or_is_refused_with_problems(raw: object, key: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    if key in document:
        document[key] = raw
    else:
        sites = document["sites"]
        assert isinstance(sites, list)
        sites[0][key] = raw
    try:
        sites_document.parse(document)
    except BadNetwork as error:
        assert error.details["problems"]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_sites_file_or_refused(raw: bytes) -> None:
    try:
        sites_document.parse(files.decode(raw.decode()))
    except (UnicodeDecodeError, Invalid):
        pass


@given(st.data())
def test_a_damaged_sites_file_is_read_or_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT) - 1))
    damage = data.draw(st.text(max_size=4))
    try:
        sites_document.parse(files.decode(TEXT[:at] + damage + TEXT[at + len(damage) :]))
    except BadNetwork as error:
        assert error.details["problems"]


def test_the_testbeds_own_file_is_one(tmp_path: Path) -> None:
    made = plan.plan(files.builtin("vpm"), "umbel", 99)
    path = tmp_path / "sites.yaml"
    path.write_text(yaml.safe_dump(plan.document(made)))
    assert sites_document.parse(files.read(path)) == plan.sites(made)
