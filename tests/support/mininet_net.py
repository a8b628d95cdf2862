"""A Mininet network of switches in a ring with a host each; run by Debian's Python, as root, in
namespaces of its own (mininet_lab.py).

In: a JSON command a line. Out: a JSON answer a line, first of all how the switches are plugged.
Its end, or that of its input, takes the network away.
"""

import json
import re
import sys
from collections.abc import Callable
from typing import Any

from mininet.net import Mininet
from mininet.node import OVSSwitch
from mininet.topo import Topo


class Ring(Topo):  # type: ignore[misc]
    """Host hN at switch sN, which is joined to the next."""

    def build(self, size: int) -> None:
        for n in range(1, size + 1):
            self.addSwitch(f"s{n}", datapath="user", protocols="OpenFlow13,OpenFlow14")
            self.addHost(f"h{n}")
            self.addLink(f"h{n}", f"s{n}")
        for n in range(1, size + 1):
            self.addLink(f"s{n}", f"s{n % size + 1}")


def far(switch: Any, interface: Any) -> str:
    """Who is at the other end of a cable."""
    ends = (interface.link.intf1, interface.link.intf2)
    return next(end.node.name for end in ends if end.node is not switch)


def described(net: Any) -> dict[str, Any]:
    switches = {
        switch.name: {
            "dpid": int(switch.dpid, 16),
            "ports": {far(switch, i): port for i, port in switch.ports.items() if i.link},
        }
        for switch in net.switches
    }
    hosts = {host.name: {"address": host.IP(), "mac": host.MAC()} for host in net.hosts}
    return {"switches": switches, "hosts": hosts}


def heard(host: Any) -> int:
    """How many echo requests came to a host since it is there."""
    names, values = re.findall(r"^Icmp: (.*?)\r?$", host.cmd("cat /proc/net/snmp"), re.MULTILINE)
    return int(dict(zip(names.split(), values.split(), strict=True))["InEchos"])


def control(net: Any, target: str) -> dict[str, Any]:
    for switch in net.switches:
        switch.vsctl("set-controller", switch.name, target)
        switch.vsctl("set", "controller", switch.name, "max_backoff=1000")
    return {}


def ping(net: Any, count: int) -> dict[str, Any]:
    """Everybody pings everybody: how many answers each got from each, and how many requests came
    to each."""
    before = {host.name: heard(host) for host in net.hosts}
    words = ["ping", "-n", "-q", "-c", str(count), "-i", "0.2", "-W", "1"]
    pings = {
        (a.name, b.name): a.popen([*words, b.IP()]) for a in net.hosts for b in net.hosts if a != b
    }
    answered = []
    for (a, b), process in pings.items():
        said = process.communicate()[0].decode()
        answered.append([a, b, int(re.search(r"(\d+) received", said).group(1))])
    return {
        "answered": answered,
        "heard": {host.name: heard(host) - before[host.name] for host in net.hosts},
    }


def link(net: Any, a: str, b: str, state: str) -> dict[str, Any]:
    net.configLinkStatus(a, b, state)
    return {}


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {
    "control": control,
    "ping": ping,
    "link": link,
}


def main(size: int) -> None:
    Mininet.inited = True  # it would raise limits of the whole machine
    net = Mininet(
        topo=Ring(size), switch=OVSSwitch, controller=None, autoSetMacs=True, autoStaticArp=True
    )
    try:
        net.start()
        print(json.dumps(described(net)), flush=True)
        for line in sys.stdin:
            name, *words = json.loads(line)
            print(json.dumps(COMMANDS[name](net, *words)), flush=True)
    finally:
        net.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
