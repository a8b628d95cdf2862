"""What is written of a testbed: FOLDER/NAME/state.json, sites.yaml, and a folder per node.

The state file is written before anything is made and again when all is. It helps `down`; what is
there is found by the testbed's name as well, so a lost file leaves nothing behind.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from umbel.kit.errors import NotFound
from umbel.network.documents import read_document
from umbel.testbed import hypervisor
from umbel.testbed import plan as plans
from umbel.testbed.plan import OCTETS, Plan

FOLDER = Path("/run/umbel/testbed")
DAEMONS = ("ovsdb-server", "ovs-vswitchd")


class NoSuchTestbed(NotFound):
    """There is no testbed of this name."""

    code = "umbel.no_such_testbed"


@dataclass(frozen=True, kw_only=True)
class State:
    """A testbed as noted. `pids` by node and program; empty until it is complete."""

    name: str
    octet: int | None = None
    complete: bool = False
    pids: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def sites_file(folder: Path) -> Path:
    """Where the sites file of the testbed in a folder is."""
    return folder / "sites.yaml"


def write(folder: Path, state: State) -> None:
    """Note it; the file appears whole or not at all."""
    document = {
        "name": state.name,
        "octet": state.octet,
        "complete": state.complete,
        "pids": {node: dict(pids) for node, pids in state.pids.items()},
    }
    draft = folder / "state.draft"
    draft.write_text(json.dumps(document, indent=1) + "\n")
    draft.replace(folder / "state.json")


def read(folder: Path, name: str) -> State:
    """What is noted; as good as nothing where the file is damaged or lost."""
    try:
        raw = json.loads((folder / "state.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return State(name=name)
    octet = raw.get("octet") if isinstance(raw, dict) else None
    if not isinstance(octet, int) or octet not in OCTETS:
        return State(name=name)
    return State(
        name=name,
        octet=octet,
        complete=raw.get("complete") is True,
        pids=_pids(raw.get("pids")),
    )


def pid_of(folder: Path, node: str, program: str) -> int | None:
    """The pid that a node's program wrote; None where it wrote none."""
    try:
        return int((folder / node / f"{program}.pid").read_text())
    except (OSError, ValueError):
        return None


def pids(folder: Path, nodes: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """The pids of all programs of these nodes."""
    found = {
        node: {program: pid_of(folder, node, program) for program in DAEMONS} for node in nodes
    }
    return {
        node: {program: pid for program, pid in mine.items() if pid is not None}
        for node, mine in found.items()
    }


def write_sites(folder: Path, testbed: Plan) -> None:
    """Write the sites file, which is a network file too."""
    guests = [hypervisor.described(node, folder, testbed.name) for node in testbed.nodes]
    document = plans.document(testbed, guests if testbed.has_guests else ())
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None)
    draft = folder / "sites.draft"
    draft.write_text(f"# Testbed {testbed.name}: written by `umbel testbed up`.\n{text}")
    draft.replace(sites_file(folder))


def load(folder: Path, name: str) -> Plan:
    """The plan of a testbed that is up. Raises NoSuchTestbed, BadNetwork."""
    state = read(folder, name)
    if state.octet is None or not sites_file(folder).exists():
        raise NoSuchTestbed(f"There is no testbed {name}", name=name, folder=str(folder))
    return plans.plan(read_document(sites_file(folder)), name, state.octet)


def _pids(raw: object) -> dict[str, dict[str, int]]:
    if not isinstance(raw, dict):
        return {}
    return {
        str(node): {str(p): pid for p, pid in mine.items() if isinstance(pid, int) and pid > 0}
        for node, mine in raw.items()
        if isinstance(mine, dict)
    }
