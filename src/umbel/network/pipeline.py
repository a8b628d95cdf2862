"""The flow tables of an overlay switch (br1), as one literal: flows.py fills them.

A packet enters table 0 and leaves where no rule sends it on: it sinks unless a rule makes it swim.
docs/reference/pipeline.md is written from this: `python -m umbel.network.pipeline`.
"""

import sys
from dataclasses import dataclass
from enum import IntEnum

from umbel.network.model import Field, Program, Rule


class Table(IntEnum):
    """The tables by number, in the order packets meet them."""

    CLASSIFIER = 0
    SLICES = 1
    REDIRECT = 2
    PATH = 3
    LEAF = 4


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One table: what its rules match, where they may go on, where a packet goes that no rule
    matches (None: it sinks), and what it is for."""

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
        matches=(Field.IN_PORT, *_FIVE_TUPLE),
        next=(Table.SLICES,),
        miss=None,
        does="writes the stream's number as metadata",
        purpose="Knows a stream by its 5-tuple at the ports it may come in by. Sources are looked "
        "at until the first function on the way, which sends from its own address. "
        "Anything else sinks.",
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
        "first, and only what it sends goes on. Over a spare link they may go on besides.",
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
)

USED = 100
"""The priority of every rule that serves a stream; misses have 0."""


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
        if rule.goto is not None and rule.goto not in (*stage.next, stage.miss):
            found.append(f"table {name}: does not lead to table {rule.goto}")
    return found


_HEAD = """# The overlay switch's flow tables

Generated from `umbel/network/pipeline.py`: run
`python -m umbel.network.pipeline > docs/reference/pipeline.md`.

Every node's overlay bridge (`br1`) holds these tables and nothing else. A packet enters table 0. In
a table the rule of a stream has priority 100; the miss, which hands on what no rule matches, has 0.
Where there is no miss a packet sinks: it goes nowhere.

| table | name | matches | does | then | miss |
| --- | --- | --- | --- | --- | --- |
"""


def markdown() -> str:
    """The pipeline as a page for people."""
    rows = [
        f"| {s.table.value} | {s.table.name.lower()} | {', '.join(f'`{m}`' for m in s.matches)} "
        f"| {s.does} | {', '.join(n.name.lower() for n in s.next) or 'ends'} "
        f"| {s.miss.name.lower() if s.miss else 'sinks'} |"
        for s in PIPELINE
    ]
    parts = [f"## {s.table.name.capitalize()}\n\n{s.purpose}" for s in PIPELINE]
    return _HEAD + "\n".join(rows) + "\n\n" + "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
