"""The flow tables of an overlay switch (br1), as one literal: overlay/compiler.py fills them.

A packet enters table 0. It is dropped where no rule sends it on.
docs/reference/pipeline.md is written from this: `python -m umbel.network.switching.tables`.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from textwrap import fill

from umbel.network.switching.program import Field, Program, Rule, Translate


class Table(IntEnum):
    """The tables by number, in the order packets meet them."""

    CLASSIFIER = 0
    SLICES = 1
    REDIRECT = 2
    PATH = 3
    LEAF = 4
    ACCESS = 5
    SERVICES = 6
    HOMES = 7


class PipelineStep(StrEnum):
    """The tables' names; `other` is a table that is not part of the pipeline."""

    CLASSIFIER = "classifier"
    SLICES = "slices"
    REDIRECT = "redirect"
    PATH = "path"
    LEAF = "leaf"
    ACCESS = "access"
    SERVICES = "services"
    HOMES = "homes"
    OTHER = "other"


STEPS: Mapping[int, PipelineStep] = {table.value: PipelineStep[table.name] for table in Table}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One table: what its rules match, where they may go on, where a packet goes that no rule
    matches (None: it is dropped), and what it is for."""

    table: Table
    matches: tuple[Field, ...]
    next: tuple[Table, ...]
    miss: Table | None
    does: str
    purpose: str


_FIVE_TUPLE = (
    Field.ETH_TYPE,
    Field.IP_PROTO,
    Field.IPV4_SRC,
    Field.IPV4_DST,
    Field.UDP_SRC,
    Field.UDP_DST,
)

PIPELINE: tuple[Stage, ...] = (
    Stage(
        table=Table.CLASSIFIER,
        matches=(Field.IN_PORT, Field.ETH_SRC, Field.ETH_DST, *_FIVE_TUPLE, Field.ARP_SPA),
        next=(Table.SLICES, Table.ACCESS, Table.SERVICES, Table.HOMES),
        miss=None,
        does="writes the stream's number as metadata; sends reports up",
        purpose="Knows a stream by its 5-tuple at the ports it may come in by; one of whatever a "
        "host sends (port 0), by its addresses. Sources are looked at until the first function on "
        "the way, which sends from its own address. What a receiver reports to a stream's address "
        "goes up the tree to the sender, and what the sender sends again goes to that receiver "
        "alone, each by one rule a switch. At a border "
        "(edge/compiler.py) what else comes from the access network or the node goes to the tables "
        "below, except to streams' addresses. While the platform looks for a receiver, the answers "
        "to its ARP request go up to it. All else is dropped.",
    ),
    Stage(
        table=Table.SLICES,
        matches=(Field.IN_PORT, Field.METADATA, Field.ETH_TYPE, Field.IP_PROTO),
        next=(Table.REDIRECT,),
        miss=Table.REDIRECT,
        does="meters, sets the DSCP",
        purpose="Where a function gives a stream to the overlay, holds it to its slice's rate and "
        "marks it for the queues under the tunnels.",
    ),
    Stage(
        table=Table.REDIRECT,
        matches=(Field.IN_PORT, Field.METADATA, Field.ETH_TYPE, Field.IP_PROTO),
        next=(Table.PATH,),
        miss=Table.PATH,
        does="sends to the function's port; to a process of the node by an ALL group",
        purpose="Packets that come by a tunnel to a node where a function runs go to the function "
        "first, and only what it sends goes on. Over a spare link they may also go on directly.",
    ),
    Stage(
        table=Table.PATH,
        matches=(Field.IN_PORT, Field.METADATA),
        next=(Table.LEAF,),
        miss=Table.LEAF,
        does="sends to the next hops: a port, a failover group, or an ALL group at a branch",
        purpose="Carries the stream along the paths asked for, from the root to the leaves.",
    ),
    Stage(
        table=Table.LEAF,
        matches=(Field.METADATA, Field.ETH_TYPE, Field.IP_PROTO),
        next=(),
        miss=None,
        does="rewrites the destination and sends by the patch port or the inner port; an ALL "
        "group for several",
        purpose="Where a path ends: packets jump from the overlay to the receiver the path names, "
        "in the network outside or a process of the node.",
    ),
    Stage(
        table=Table.ACCESS,
        matches=(
            *(Field.IN_PORT, Field.ETH_SRC, Field.ETH_TYPE, Field.IP_PROTO),
            *(Field.IPV4_SRC, Field.IPV4_DST, Field.TCP_DST, Field.UDP_SRC, Field.UDP_DST),
        ),
        next=(Table.SERVICES, Table.HOMES),
        miss=None,
        does="lets pass who is signed in; leads others' web requests to the front end",
        purpose="Who may pass from the access network to the node. Where the network has no gate "
        "everybody may. Where it has one, clients are known by their Ethernet and IP addresses; "
        "others may only find their way (ARP, DHCP, DNS) and sign in.",
    ),
    Stage(
        table=Table.SERVICES,
        matches=(
            *(Field.IN_PORT, Field.ETH_TYPE, Field.IP_PROTO, Field.IPV4_SRC, Field.IPV4_DST),
            *(Field.TCP_SRC, Field.TCP_DST, Field.UDP_SRC, Field.UDP_DST),
        ),
        next=(Table.HOMES,),
        miss=None,
        does="translates to the chosen surrogate, and answers back",
        purpose="A virtual service address is answered by a surrogate, which the network has "
        "chosen for the clients of this node. The switch tracks connections, so that each stays "
        "with the surrogate it began with.",
    ),
    Stage(
        table=Table.HOMES,
        matches=(
            *(Field.IN_PORT, Field.ETH_DST, Field.ETH_TYPE, Field.IPV4_SRC, Field.IPV4_DST),
            *(Field.ARP_SPA, Field.ARP_TPA),
        ),
        next=(),
        miss=None,
        does="sends by a tunnel, a guest's port, the patch port or the inner port",
        purpose="What is for a function that moved to another node goes there by tunnels, and what "
        "it sends comes back by them, as if it were at home. What is for a guest goes to its port, "
        "and to both places while it moves. The rest passes between the access network and the "
        "node.",
    ),
)

USED = 100
"""The priority of every rule that serves a stream; misses have 0."""

RETURNS = 105
"""Of the classifier's rules for what receivers report, and for what is sent again to one."""

ASKED = 110
"""Of the classifier's rule for the answers to an ARP request of the platform."""

SUNK, AWAY, BORDER = 60, 55, 50
"""Of the classifier's rules at a border: streams' addresses that no stream has; functions away from
home; all else."""


def misses() -> tuple[Rule, ...]:
    """The rules every switch holds, so that a table without a match hands on."""
    return tuple(Rule(table=s.table, priority=0, goto=s.miss) for s in PIPELINE if s.miss)


def problems(program: Program) -> list[str]:
    """Where a switch's rules leave the pipeline: an unknown table, match or next table."""
    stages = {stage.table: stage for stage in PIPELINE}
    found = []
    for rule in program.rules:
        stage = next((s for number, s in stages.items() if number == rule.table), None)
        if stage is None:
            found.append(f"table {rule.table}: not in the pipeline")
            continue
        name = stage.table.name.lower()
        wrong = [field for field, _ in rule.match if field not in stage.matches]
        found += [f"table {name}: {field} is not matched there" for field in wrong]
        later = [a.table for a in rule.actions if isinstance(a, Translate)]
        for table in (rule.goto, *later):
            if table is not None and table not in (*stage.next, stage.miss):
                found.append(f"table {name}: does not lead to table {table}")
    return found


_HEAD = """# The overlay switch's flow tables

Generated from `umbel/network/switching/tables.py`: run
`python -m umbel.network.switching.tables > docs/reference/pipeline.md`.

Every node's overlay bridge (`br1`) holds these tables and nothing else. A packet enters table 0. In
a table a stream's rule has priority 100; the miss, which passes on what no rule matches, has 0.
A table without a miss drops the packet. The last three tables have rules where a node has an access
network.

| table | name | matches | does | then | miss |
| --- | --- | --- | --- | --- | --- |
"""


def markdown() -> str:
    """The pipeline as a page for people."""
    rows = [
        f"| {s.table.value} | {s.table.name.lower()} | {', '.join(f'`{m}`' for m in s.matches)} "
        f"| {s.does} | {', '.join(n.name.lower() for n in s.next) or 'ends'} "
        f"| {s.miss.name.lower() if s.miss else 'drops'} |"
        for s in PIPELINE
    ]
    parts = [f"## {s.table.name.capitalize()}\n\n{fill(s.purpose, 100)}" for s in PIPELINE]
    return _HEAD + "\n".join(rows) + "\n\n" + "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
