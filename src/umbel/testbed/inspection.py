"""How a testbed stands now: its plan in, a row for each node and host out."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from umbel.kit import netns
from umbel.testbed import state
from umbel.testbed.plan import Plan


@dataclass(frozen=True, kw_only=True)
class NodeRow:
    """A node or host. `switch` says of a node what runs of its switch; `processes` counts those
    in its namespace; `good` is whether all is there that should be."""

    name: str
    kind: str
    namespace: str
    address: str
    switch: str = ""
    processes: int = 0
    good: bool = True


def rows(testbed: Plan, folder: Path) -> list[NodeRow]:
    """Every node and host, in the network file's order."""
    there = set(netns.named(f"{testbed.name}-"))
    places = netns.pids(there)
    counts = Counter(places.values())
    rows = []
    for node in testbed.nodes:
        pids = {program: state.pid_of(folder, node.name, program) for program in state.DAEMONS}
        missing = [p for p, pid in pids.items() if places.get(pid or 0) != node.namespace]
        is_there = node.namespace in there
        rows.append(
            NodeRow(
                name=node.name,
                kind=node.node.kind.value,
                namespace=node.namespace if is_there else "missing",
                address=node.management,
                switch=f"no {', no '.join(missing)}" if missing else "runs",
                processes=counts[node.namespace],
                good=is_there and not missing,
            )
        )
    for host in testbed.hosts:
        is_there = host.namespace in there
        rows.append(
            NodeRow(
                name=host.name,
                kind=f"host at {host.node}",
                namespace=host.namespace if is_there else "missing",
                address=host.address.partition("/")[0],
                processes=counts[host.namespace],
                good=is_there,
            )
        )
    return rows
