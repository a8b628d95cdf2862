"""A function's guest: its address, its ports, its domain, and its seed. Pure."""

import json
import shlex
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.compute import guest_start
from umbel.compute.drivers.libvirt import domain_xml, guest, seed
from umbel.compute.drivers.libvirt.cpu import CpuMeter
from umbel.compute.drivers.libvirt.guest import GuestRecord, Order
from umbel.compute.hypervisors.model import (
    Accelerator,
    BadHypervisor,
    GuestNetwork,
    Hypervisor,
    NoGuestAddress,
    check,
)
from umbel.compute.images.model import Image
from umbel.compute.model import (
    Description,
    Function,
    HealthCheck,
    Node,
    NodeKind,
    Port,
    Resources,
    Transport,
)
from umbel.compute.ports import CannotRun

NETWORK = GuestNetwork(bridge="br0", first="10.0.3.10", last="10.0.3.12", gateway="10.0.3.1")
HYPERVISOR = Hypervisor(name="pe1", uri="qemu+ssh://admin@192.0.2.11/system", network=NETWORK)
NODE = Node(name="pe1", kind=NodeKind.PROVIDER_EDGE, address="192.0.2.11")
RELAY = Description(
    name="relay",
    image="relay",
    resources=Resources(cores=1.5, memory_mb=200.5),
    ports=(Port(name="control"), Port(name="udp", transport=Transport.UDP, number=5004)),
    health=HealthCheck(port="control", path="/healthz"),
    environment={"UMBEL_NEXT_HOPS": "10.0.4.10:5004", "AT": "{address}"},
)
FUNCTION = Function(id="relay-1", node="pe1", description=RELAY, environment={"SECRET": "it's"})
IMAGE = Image(name="relay", command=("/usr/sbin/relay",), hashes={}, memory_mb=128)
ORDER = Order(owner="delivery", function=FUNCTION, node=NODE, now_s=1_700_000_000.0)


def made(last: GuestRecord | None = None, *taken: str, order: Order = ORDER) -> GuestRecord:
    return guest.made(order, IMAGE, HYPERVISOR, last, taken)


def test_a_guest_has_what_its_description_asks_for() -> None:
    one = made()
    assert (one.vcpus, one.memory_mb) == (2, 201)
    assert one.ports == {"control": 20000, "udp": 5004}
    assert (one.address, made(None, "10.0.3.10").address) == ("10.0.3.10", "10.0.3.11")
    assert guest_start.environment(one, FUNCTION) == {
        "UMBEL_NEXT_HOPS": "10.0.4.10:5004",
        "AT": "10.0.3.10",
        "SECRET": "it's",
        "UMBEL_FUNCTION": "relay-1",
        "UMBEL_NODE": "pe1",
        "UMBEL_ADDRESS": "10.0.3.10",
        "UMBEL_PORTS": "control:tcp:20000 udp:udp:5004",
        "UMBEL_READY_FILE": guest_start.READY_FILE,
    }


def test_a_program_of_ours_runs_in_the_media_servers_image() -> None:
    words = (sys.executable, "-m", "umbel.media", "--address", "{address}", "--key", "/keys/k.pem")
    ports = ("--udp-port", "{ports[udp]}", "--ready-file", "{ready_file}", "{other}")
    described = replace(RELAY, image="", command=(*words, *ports))
    function = replace(FUNCTION, description=described)
    assert guest_start.image_of(function) == "media"
    assert guest_start.image_of(FUNCTION) == "relay"
    large = replace(IMAGE, command=(), memory_mb=384)
    one = guest.made(replace(ORDER, function=function), large, HYPERVISOR, None, ())
    assert one.memory_mb == 384
    assert guest_start.command(one, function, large, {"/keys/k.pem": "/run/seed/file-0"}) == [
        *("/opt/umbel/bin/python", "-m", "umbel.media", "--address", "10.0.3.10"),
        *("--key", "/run/seed/file-0", "--udp-port", "5004"),
        *("--ready-file", "/run/umbel/ready.json", "{other}"),
    ]
    assert guest_start.command(one, function, IMAGE, {}) == ["/usr/sbin/relay"]
    with pytest.raises(CannotRun, match="no port for"):
        unknown = replace(described, command=(sys.executable, "{ports[rtmp]}"))
        guest_start.command(one, replace(function, description=unknown), large, {})
    for command, image in (((), ""), (("sleep", "1"), ""), (words, "relay")):
        wrong = replace(described, command=command, image=image)
        with pytest.raises(CannotRun, match="no image and no program of ours"):
            guest_start.image_of(replace(function, description=wrong))


def test_a_guest_that_comes_back_has_its_address_and_ports_again() -> None:
    last = replace(made(), address="10.0.3.12", ports={"control": 20007, "udp": 5004})
    again = made(last, "10.0.3.12")
    assert (again.address, again.ports) == (last.address, last.ports)
    moved = replace(last, address="10.9.9.9")
    assert made(moved, "10.0.3.10").address == "10.0.3.11"


def test_addresses_and_ports_run_out_with_a_reason() -> None:
    with pytest.raises(NoGuestAddress, match="pe1 has no address left"):
        made(None, *NETWORK.addresses())
    one_port = replace(ORDER, node=replace(NODE, ports=(30000, 30000)))
    assert made(order=one_port).ports == {"control": 30000, "udp": 5004}
    two = replace(RELAY, ports=(Port(name="control"), Port(name="http")))
    both = replace(one_port, function=replace(FUNCTION, description=two))
    with pytest.raises(CannotRun, match="fewer ports"):
        made(order=both)


def test_an_address_is_never_given_twice() -> None:
    given_out: list[str] = []
    for number in range(3):
        function = replace(FUNCTION, id=f"relay-{number}")
        given_out.append(made(None, *given_out, order=replace(ORDER, function=function)).address)
    assert len(set(given_out)) == 3
    assert len({replace(made(), address=one).mac for one in given_out}) == 3


ids = st.text("abcXYZ019._-", min_size=1, max_size=40)


@given(id_=ids, owner=st.text(max_size=20), reason=st.text(max_size=200))
def test_a_guest_is_read_again_out_of_its_domain(id_: str, owner: str, reason: str) -> None:
    one = replace(made(), id=id_, owner=owner, reason=reason)
    tree = ET.fromstring(domain_xml.domain(one, HYPERVISOR))
    element = tree.find(f"metadata/{{{domain_xml.NAMESPACE}}}guest")
    assert element is not None
    assert domain_xml.guest_of(ET.tostring(element, encoding="unicode")) == one
    assert domain_xml.guest_of(domain_xml.guest_element(one)) == one
    assert tree.findtext("name") == f"umbel-{id_}"


def test_a_guest_is_kept_in_ascii() -> None:
    odd = replace(made(), reason="\ufffe\x01")
    assert guest.serialize(odd).isascii()
    assert domain_xml.guest_of(domain_xml.guest_element(odd)) == odd


@given(st.text(max_size=300))
def test_a_strangers_domain_has_no_guest(text: str) -> None:
    assert domain_xml.guest_of(text) is None
    assert guest.parse(text) is None


def test_a_domain_says_what_it_is_made_of() -> None:
    tree = ET.fromstring(domain_xml.domain(made(), HYPERVISOR))
    assert tree.get("type") == "qemu"
    assert tree.findtext("memory") == "201"
    sources = [one.attrib for one in tree.iterfind("devices/disk/source")]
    assert sources == [
        {"file": "/var/lib/umbel/guests/guest.relay-1.disk"},
        {"file": "/var/lib/umbel/guests/guest.relay-1.seed"},
    ]
    assert tree.find("devices/interface/source").get("bridge") == "br0"
    assert tree.find("devices/interface/virtualport") is None
    assert "it's" not in domain_xml.domain(made(), HYPERVISOR)
    ovs = replace(
        HYPERVISOR,
        accelerator=Accelerator.KVM,
        network=replace(NETWORK, is_open_vswitch=True),
    )
    other = ET.fromstring(domain_xml.domain(made(), ovs))
    assert other.get("type") == "kvm"
    assert other.find("devices/interface/virtualport").get("type") == "openvswitch"


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        ("guest.edge-pe2-1.disk", True),
        ("guest.a.b.seed", True),
        ("guest.a.console.12", True),
        ("relay-0123456789abcdef.kernel", True),
        ("media-0123456789abcdef.complete", True),
        (domain_xml.mark("0123456789abcdef"), True),
        ("web.disk", False),
        ("debian-12.kernel", False),
        ("guest.a.console.old", False),
        ("guest.disk", False),
        ("umbel.owner", False),
    ],
)
def test_files_of_others_are_told_from_ours(name: str, is_ours: bool) -> None:
    assert domain_xml.is_ours(name) == is_ours


def test_a_guest_has_its_own_console_and_no_others() -> None:
    for name in ("guest.a.console", "guest.a.console.0", "guest.a.console.17"):
        assert domain_xml.is_console(name, "a")
    for name in ("guest.a.console.b.disk", "guest.b.console", "guest.axconsole", "guest.a.disk"):
        assert not domain_xml.is_console(name, "a")


def test_a_seed_says_who_the_guest_is() -> None:
    one = made()
    files = seed.seed_files(one, NETWORK, ("/usr/sbin/relay", "a b"), {"SECRET": "it's"}, ("key",))
    assert json.loads(files["meta-data"])["local-hostname"] == "relay-1"
    device = json.loads(files["network-config"])["ethernets"]["eth0"]
    assert device["addresses"] == ["10.0.3.10/24"]
    assert device["match"] == {"macaddress": one.mac}
    cloud = json.loads(files["user-data"].removeprefix("#cloud-config\n"))
    assert cloud["ssh_authorized_keys"] == ["key"]
    assert shlex.split(files["guest.env"]) == [
        "GUEST_NAME=relay-1",
        "GUEST_ADDRESS=10.0.3.10/24",
        "GUEST_GATEWAY=10.0.3.1",
    ]


@given(values=st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text(max_size=40)))
def test_a_shell_reads_what_was_meant(values: dict[str, str]) -> None:
    if any("\0" in value for value in values.values()):
        with pytest.raises(CannotRun):
            seed.seed_files(made(), NETWORK, ("run",), values)
        return
    start = seed.seed_files(made(), NETWORK, ("run", *values.values()), values)["start"]
    words = shlex.split(start)
    exports = [word for word in words if word != "export"][: len(values)]
    assert exports == [f"{name}={value}" for name, value in values.items()]
    assert words[-1 - len(values) - 1 :] == ["exec", "run", *values.values()]


@pytest.mark.parametrize("name", ["A B", "1A", "", "A;reboot", "A\n"])
def test_a_variable_that_a_shell_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(CannotRun, match="no variable"):
        seed.seed_files(made(), NETWORK, ("run",), {name: "x"})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"uri": "http://192.0.2.1/system"}, "does not begin with"),
        ({"uri": "qemu+ssh:///system"}, "names no host"),
        ({"uri": "qemu+ssh://admin@192.0.2.1/"}, "does not name /system"),
        ({"uri": "qemu+tls://me:secret@192.0.2.1/system"}, "password"),
        ({"uri": "qemu+ssh://-oProxyCommand=x/system"}, "no host such as"),
        ({"uri": "qemu+ssh://%2doProxyCommand=x/system"}, "no host such as"),
        ({"uri": "qemu+ssh://-lroot@192.0.2.1/system"}, "no host such as"),
        ({"uri": "qemu+ssh://192.0.2.1/system#?command=/bin/x"}, "more than parameters"),
        ({"uri": "qemu+ssh://192.0.2.1/system?sock\net=x"}, "more than parameters"),
        ({"uri": "qemu+ssh://192.0.2.1/system?COMMAND=/bin/x"}, "the URI has COMMAND;"),
        ({"uri": "qemu+ssh://192.0.2.1/system?c%6fmmand=/bin/x"}, "the URI has command;"),
        ({"uri": "qemu+ssh://192.0.2.1/system?command=/bin/x"}, "the URI has command;"),
        ({"uri": "qemu+ssh://192.0.2.1/system?keyfile=a;netcat=b&no_verify"}, "netcat, no_verify;"),
        ({"uri": "qemu+tls://me:secret@[::1/system"}, "cannot be read"),
        ({"folder": "/"}, "is no folder"),
        ({"network": replace(NETWORK, bridge="br0/../x")}, "no bridge's name"),
        ({"network": replace(NETWORK, last="10.0.3.9")}, "no range"),
        ({"network": replace(NETWORK, last="10.0.4.9")}, "no range"),
        ({"network": replace(NETWORK, first="::1")}, "Expected 4 octets"),
        ({"network": replace(NETWORK, gateway="10.0.4.1")}, "gateway"),
    ],
)
def test_what_is_no_hypervisor_is_refused(change: dict[str, object], problem: str) -> None:
    with pytest.raises(BadHypervisor, match=problem) as caught:
        check(replace(HYPERVISOR, **change))  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "qemu:///system",
        "qemu+unix:///session?socket=/run/user/0/libvirt-sock",
        "qemu+ssh://admin@town_1.example:2222/system?keyfile=/keys/a&known_hosts=/keys/b",
        "qemu+tls://[2001:db8::1]/system?pkipath=/keys",
    ],
)
def test_a_uri_names_a_hypervisor(uri: str) -> None:
    check(replace(HYPERVISOR, uri=uri))


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = replace(HYPERVISOR, uri="x", folder="y", network=replace(NETWORK, bridge=""))
    with pytest.raises(BadHypervisor) as caught:
        check(wrong)
    problems = caught.value.details["problems"]
    assert isinstance(problems, list)
    assert len(problems) == 3
    check(HYPERVISOR)


def test_cpu_is_that_of_the_last_period() -> None:
    meter = CpuMeter(2.0)
    meter.note("a", 10.0, 5.0)
    assert meter.cores("a") == 0
    meter.note("a", 11.0, 6.0)
    assert meter.cores("a") == 0
    meter.note("a", 12.0, 6.0)
    assert meter.cores("a") == 0.5
    meter.note("a", 20.0, 0.1)
    assert meter.cores("a") == 0
