"""From what switches hold to what they must hold: the changes, and in which order. Pure.

In: programs from flows.py or read from switches. Out: changes that a driver applies one after
another or as one bundle; what is the same on both sides is not touched.
"""

from collections.abc import Iterator, Mapping, Sequence

from umbel.network.model import (
    Change,
    Delete,
    Group,
    GroupKind,
    Meter,
    Program,
    Put,
    Rule,
)

Step = tuple[str, tuple[Change, ...]]
"""A node and what changes in its switch."""


def diff(have: Program, want: Program, *, make_first: bool = False) -> tuple[Change, ...]:
    """What turns `have` into `want`, in an order in which each change is legal by itself.

    Rules go before others come, so that nothing is sent twice, unless `make_first`: then they come
    before others go, so that nothing is lost. Groups and meters always come before the rules that
    use them and go after them; a rule whose key stays is replaced in place.
    """
    puts, deletes = _puts(have, want), _deletes(have, want)
    if make_first:
        return (*puts, *deletes)
    gone = [change for change in deletes if isinstance(change.entry, Rule)]
    unused = [change for change in deletes if not isinstance(change.entry, Rule)]
    return (*gone, *puts, *unused)


def rollout(
    have: Mapping[str, Program], want: Mapping[str, Program], nearest_first: Sequence[str]
) -> tuple[Step, ...]:
    """The steps over several switches that lose no packet: new ways are laid from the leaves up,
    then old ones are taken away from the root down. `nearest_first` are the nodes in the order of
    a tree (SpanningTree.nodes); those it leaves out count as farthest. Nodes missing on one side
    hold nothing there."""
    left_out = sorted((have.keys() | want.keys()) - set(nearest_first))
    nodes = [*nearest_first, *left_out]
    nothing = Program()
    both = {node: (have.get(node, nothing), want.get(node, nothing)) for node in nodes}
    laid: list[Step] = [(node, tuple(_puts(*both[node]))) for node in reversed(nodes)]
    taken: list[Step] = [(node, tuple(_deletes(*both[node]))) for node in nodes]
    return tuple(step for step in (*laid, *taken) if step[1])


def apply(have: Program, changes: Sequence[Change]) -> Program:
    """What a switch holds after the changes."""
    held = {_key(entry): entry for entry in _entries(have)}
    for change in changes:
        if isinstance(change, Put):
            held[_key(change.entry)] = change.entry
        else:
            held.pop(_key(change.entry), None)
    return Program(
        rules=frozenset(entry for entry in held.values() if isinstance(entry, Rule)),
        groups=frozenset(entry for entry in held.values() if isinstance(entry, Group)),
        meters=frozenset(entry for entry in held.values() if isinstance(entry, Meter)),
    )


def _entries(program: Program) -> Iterator[Rule | Group | Meter]:
    yield from program.rules
    yield from program.groups
    yield from program.meters


def _key(entry: Rule | Group | Meter) -> object:
    return entry.key if isinstance(entry, Rule) else (type(entry).__name__, entry.id)


def _puts(have: Program, want: Program) -> list[Put]:
    """Used before user: meters, groups, those that use groups, rules from the last table up."""
    held = {_key(entry): entry for entry in _entries(have)}
    changed = [entry for entry in _entries(want) if held.get(_key(entry)) != entry]
    return [Put(entry=e, new=_key(e) not in held) for e in sorted(changed, key=_depth)]


def _deletes(have: Program, want: Program) -> list[Delete]:
    """User before used."""
    wanted = {_key(entry) for entry in _entries(want)}
    gone = [entry for entry in _entries(have) if _key(entry) not in wanted]
    return [Delete(entry=entry) for entry in sorted(gone, key=_depth, reverse=True)]


def _depth(entry: Rule | Group | Meter) -> tuple[int, int, str]:
    if isinstance(entry, Meter):
        return (0, entry.id, "")
    if isinstance(entry, Group):
        return (1 if entry.kind is GroupKind.FAILOVER else 2, entry.id, "")
    return (3, -entry.table, repr(entry.key))
