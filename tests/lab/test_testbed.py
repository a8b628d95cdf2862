"""Testbeds on this machine: what is there when one is up, and that nothing is when it is down."""

import subprocess
from pathlib import Path

import pytest

from support import testbed
from support.testbed import Testbed, line
from umbel.kit import netns
from umbel.network import files, sitesfile

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(testbed.ABSENT), reason=testbed.ABSENT),
]

TWO = line("a", "b", hosts={"h": "b"}, mbps=20)


def traces(name: str) -> list[str]:
    """Whatever in this machine has the testbed's name or is one of its processes."""
    said = [
        *netns.named(f"{name}-"),
        *(device.name for device in Path("/sys/class/net").iterdir() if name in device.name),
        *(str(path) for path in Path("/run").glob(f"umbel/testbed/{name}")),
    ]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if f"/{name}/".encode() in words:
            said.append(f"process {path.parent.name}: {words.decode()}")
    return said


def test_nodes_have_daemons_and_addresses_and_no_bridge(three_nodes: Testbed) -> None:
    up = three_nodes
    assert list(up.nodes) == ["a", "b", "c"]
    for number, node in enumerate(up.nodes.values(), start=1):
        assert node.number == number
        assert node.namespace == f"{up.name}-{node.name}"
        assert f"{node.management}/16" in node.run("ip", "-br", "address", "show", "mgmt0")
        assert "Bridge" not in node.run("ovs-vsctl", "--timeout=20", "show")
        said = subprocess.run(
            ["ovs-vsctl", "--timeout=20", f"--db={node.site.ovsdb}", "get", "O", ".", "_uuid"],
            capture_output=True,
            check=True,
        )
        assert said.stdout.strip()
        assert node.run("cat", "/proc/sys/net/ipv4/conf/mgmt0/rp_filter").strip() == "0"
        assert node.run("cat", "/proc/sys/net/ipv4/conf/all/arp_ignore").strip() == "1"
        inside = node.run("ip", "-br", "address", "show", "ov0")
        assert node.site.gateway in inside
    written = sitesfile.parse(files.read(up.sites_file))
    assert written == up.sites
    assert (written.controller, written.namespaces) == (up.controller, up.name)
