"""From what switches hold to what they must hold: the changes, and in which order. Pure.

In: programs from overlay/compiler.py or read from switches. Out: changes that a driver applies one
after another or as one bundle; what is the same on both sides is not touched.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from umbel.network.switching.program import (
    Change,
    Delete,
    Field,
    Group,
    GroupKind,
    Meter,
    Program,
    Put,
    Rule,
)

_FARTHEST = 1 << 30
_Rounds = dict[int, dict[str, list[Change]]]


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


def rounds(
    have: Mapping[str, Program],
    want: Mapping[str, Program],
    depths: Mapping[int, Mapping[str, int]],
) -> tuple[Mapping[str, tuple[Change, ...]], ...]:
    """Rounds of changes over several switches that lose no packet: of each stream new ways are
    laid from the leaves up, then old ones are taken away from the root down. Entries that a switch
    may have no room for come before the first one is replaced: until then, packets go as before.
    Those of a round may be made on all switches at the same time. `depths` tells by stream number
    how far from the root nodes are; a stream or node it leaves out counts as farthest. Nodes
    missing on one side hold nothing there."""
    nothing, far = Program(), _FARTHEST
    added, replaced, taken = _Rounds(), _Rounds(), _Rounds()
    for node in sorted(have.keys() | want.keys()):
        both = have.get(node, nothing), want.get(node, nothing)
        puts = _puts(*both)
        new, old = [put for put in puts if put.new], [put for put in puts if not put.new]
        for found, changes in ((added, new), (replaced, old), (taken, _deletes(*both))):
            for change in changes:
                depth = depths.get(stream_of(change.entry), {}).get(node, far)
                found.setdefault(depth, {}).setdefault(node, []).append(change)
    in_order = [laid[depth] for laid in (added, replaced) for depth in sorted(laid, reverse=True)]
    in_order += [taken[depth] for depth in sorted(taken)]
    return tuple({node: tuple(some) for node, some in step.items()} for step in in_order)


def left(have: Program, changes: Sequence[Change]) -> tuple[Change, ...]:
    """Those of the changes that are still to be made where a switch holds `have`."""
    held = {_key(entry): entry for entry in entries(have)}
    found: list[Change] = []
    for change in changes:
        key = _key(change.entry)
        if isinstance(change, Put) and held.get(key) != change.entry:
            found.append(Put(entry=change.entry, new=key not in held))
        elif isinstance(change, Delete) and key in held:
            found.append(change)
    return tuple(found)


def merge(program: Program, kept: Iterable[Rule | Group | Meter]) -> Program:
    """The program, and those of the entries whose keys and ids it does not use."""
    used = {_key(entry) for entry in entries(program)}
    return apply(program, [Put(entry=entry) for entry in kept if _key(entry) not in used])


def entries(program: Program) -> Iterator[Rule | Group | Meter]:
    """All that a program is made of."""
    yield from program.rules
    yield from program.groups
    yield from program.meters


def stream_of(entry: Rule | Group | Meter) -> int:
    """The number of the stream that an entry serves; 0 for one that serves all or none."""
    if isinstance(entry, Group):
        return entry.id >> 16
    if isinstance(entry, Meter):
        return 0
    return entry.metadata or int(dict(entry.match).get(Field.METADATA, 0))


def apply(have: Program, changes: Sequence[Change]) -> Program:
    """What a switch holds after the changes."""
    held = {_key(entry): entry for entry in entries(have)}
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


def _key(entry: Rule | Group | Meter) -> object:
    return entry.key if isinstance(entry, Rule) else (type(entry).__name__, entry.id)


def _puts(have: Program, want: Program) -> list[Put]:
    """Used before user: meters, groups, those that use groups, rules from the last table up."""
    held = {_key(entry): entry for entry in entries(have)}
    changed = [entry for entry in entries(want) if held.get(_key(entry)) != entry]
    return [Put(entry=e, new=_key(e) not in held) for e in sorted(changed, key=_depth)]


def _deletes(have: Program, want: Program) -> list[Delete]:
    """User before used."""
    wanted = {_key(entry) for entry in entries(want)}
    gone = [entry for entry in entries(have) if _key(entry) not in wanted]
    return [Delete(entry=entry) for entry in sorted(gone, key=_depth, reverse=True)]


def _depth(entry: Rule | Group | Meter) -> tuple[int, int, str]:
    if isinstance(entry, Meter):
        return (0, entry.id, "")
    if isinstance(entry, Group):
        return (1 if entry.kind is GroupKind.FAILOVER else 2, entry.id, "")
    return (3, -entry.table, repr(entry.key))
