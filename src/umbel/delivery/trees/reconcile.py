"""Compares the wanted tree with what the functions carry and names the steps between them. Pure.

Level-triggered: the caller does the steps, looks again and asks again until none are left. A step
appears only when its inputs are known, so leaves come first: a parent needs its children's ports.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from umbel.delivery.model import RECORDER, Branch, Tree


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What a function does with one stream now. `targets` are where it sends, `port` where it
    takes packets (0: it takes none) from `sources` (none: from any host); `srtp_key_id` tells which
    key protects them; `keys` and `revoked` are what was last sent to it. `is_over`: a recorder that
    knows that the stream is; `is_held`: one that waits to take over."""

    role: str
    address: str
    port: int
    sources: frozenset[str] = frozenset()
    targets: frozenset[tuple[str, int]] = frozenset()
    keys: frozenset[str] = frozenset()
    revoked: int = 0
    srtp_key_id: str = ""
    is_over: bool = False
    is_held: bool = False


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who is let in: the hashes of the stream keys that the acquirer is to accept, the number of
    the list of viewers that edges are to refuse, and which key protects packets in between."""

    keys: frozenset[str] = frozenset()
    revoked: int = 0
    srtp_key_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The functions that run, and what each carries of the stream; `silent` are those that do not
    answer now: they go on, and nothing is asked of them. `addresses` are those
    of functions; `upstream` those from which one without a parent gets what it carries: a
    transcoder the source's stream, an acquirer its publisher's packets. `cut_off` are those to
    which the network lays no way."""

    active: frozenset[str]
    addresses: Mapping[str, str] = field(default_factory=dict)
    upstream: Mapping[str, frozenset[str]] = field(default_factory=dict)
    carried: Mapping[str, Carried] = field(default_factory=dict)
    cut_off: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Carry:
    """Make the function take the stream from the sources, if it takes RTP, and send it to those
    children. `is_over`: make a recorder end what it has; `is_held`: make it wait
    until another has ended. Those of `bursts` begin with pictures of before where they are new."""

    function: str
    role: str
    children: tuple[str, ...]
    targets: frozenset[tuple[str, int]]
    sources: frozenset[str] = frozenset()
    is_over: bool = False
    is_held: bool = False
    bursts: frozenset[tuple[str, int]] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, kw_only=True)
class Drop:
    """Make the function carry the stream no more."""

    function: str


Step = Carry | Drop


def steps(want: Tree, have: Observed, access: Access) -> list[Step]:
    """What can be done at once, carrying before dropping, so that no viewer is cut off between."""
    carries = [carry(want, branch, have) for branch in want.branches]
    todo: list[Step] = [step for step in carries if step and not _does(step, have, access)]
    if todo:
        return todo
    wanted = {branch.function for branch in want.branches}
    asked = have.active - have.silent - wanted
    return [Drop(function=f) for f in sorted(have.carried) if f in asked]


def is_settled(want: Tree, have: Observed, function: str) -> bool:
    """Whether the stream's way from the root to `function` is laid."""
    branch = want.branch(function)
    if branch is None or branch.function in have.silent or not _carries(branch, have):
        return False
    while branch.parent:
        carried, parent = have.carried[branch.function], _feeder(want, branch, have)
        if parent is None:
            return False
        if (carried.address, carried.port) not in have.carried[parent.function].targets:
            return False
        branch = parent
    return True


def carry(want: Tree, branch: Branch, have: Observed) -> Carry | None:
    """What the branch's function is to do now; None while it does not answer, and for a leaf that
    makes another stream of this one: that stream's tree says what it does."""
    is_asked = branch.function in have.active - have.silent
    if not is_asked or (branch.role == "transcoder" and branch.parent):
        return None
    if branch.role == RECORDER and not branch.parent:
        return _over(branch, have)
    fed = list(_fed(want, branch, have))
    return Carry(
        function=branch.function,
        role=branch.role,
        children=tuple(child.function for child in fed),
        targets=_targets(fed, have),
        sources=sources(want, branch, have) if branch.parent else _upstream(branch, have),
        is_held=branch.role == RECORDER and _waits(want, branch),
        bursts=_bursts(want, fed, have),
    )


def _upstream(branch: Branch, have: Observed) -> frozenset[str]:
    return have.upstream.get(branch.function, frozenset())


def _waits(want: Tree, branch: Branch) -> bool:
    """Whether another recorder comes before this one."""
    first = next(b for b in want.branches if b.role == RECORDER and b.parent)
    return first != branch


def _over(branch: Branch, have: Observed) -> Carry:
    """What a recorder is to do whose stream is over: nobody feeds it."""
    now = have.carried.get(branch.function)
    return Carry(
        function=branch.function,
        role=branch.role,
        children=(),
        targets=frozenset(),
        sources=now.sources if now is not None else frozenset(),
        is_over=True,
    )


def sources(want: Tree, branch: Branch, have: Observed) -> frozenset[str]:
    """The addresses from which the branch's function may get the stream: those of the functions
    above it, any of which feeds it when those between are down, and of who feeds it now. Where the
    network gives the stream an address of its own, packets come from that one, too."""
    found, parent = [], want.branch(branch.parent)
    while parent is not None:
        found.append(have.addresses.get(parent.function, ""))
        parent = want.branch(parent.parent)
    now = have.carried.get(branch.function)
    if now is not None:
        found.append(_seen_from(branch, now, "", have))
        found += [
            have.addresses.get(function, "")
            for function, other in have.carried.items()
            if (now.address, now.port) in other.targets
        ]
    return frozenset(address for address in found if address)


def _seen_from(branch: Branch, now: Carried, feeder: str, have: Observed) -> str:
    """The address that the branch's function sees as that of its feeder, which has this one."""
    own = have.addresses.get(branch.function, now.address)
    return feeder if now.address == own else now.address


def _fed(want: Tree, branch: Branch, have: Observed, sender: str = "") -> Iterator[Branch]:
    """Whom the branch sends to: its children, and past a forwarder that is down, its children's:
    `sender` is the function that does it then.

    So a lost forwarder costs a step, not the time to start another; and one that has come takes
    over once it sends itself.
    """
    sender = sender or branch.function
    for child in want.children(branch.function):
        if (
            _carries(child, have)
            and _is_source(sender, child, have)
            and _may_feed(want, branch, child, have)
        ):
            yield child
        elif child.role == "forwarder":
            yield from _fed(want, child, have, sender)


def _is_source(sender: str, child: Branch, have: Observed) -> bool:
    """Whether the child takes packets of that function."""
    now = have.carried[child.function]
    return not now.sources or _seen_from(child, now, have.addresses.get(sender, ""), have) in (
        now.sources
    )


def _may_feed(want: Tree, branch: Branch, child: Branch, have: Observed) -> bool:
    """Whether no viewer behind the child is cut off when the branch sends to it alone."""
    now, feeder = have.carried[child.function], have.carried.get(branch.function)
    if child.role != "forwarder" or (feeder and (now.address, now.port) in feeder.targets):
        return True
    return _targets(_fed(want, child, have), have) <= now.targets


def _targets(branches: Iterable[Branch], have: Observed) -> frozenset[tuple[str, int]]:
    found = (have.carried.get(branch.function) for branch in branches)
    return frozenset((carried.address, carried.port) for carried in found if carried)


def _bursts(want: Tree, fed: Iterable[Branch], have: Observed) -> frozenset[tuple[str, int]]:
    """The targets behind which are edges alone. A recorder would record twice what another one had;
    a transcoder would have to catch up. Where the network copies, several are one target."""
    fed = list(fed)
    others = _targets((child for child in fed if not _serves_only(want, child)), have)
    return _targets(fed, have) - others


def _serves_only(want: Tree, branch: Branch) -> bool:
    """Whether all that the branch feeds, itself too, serve viewers or feed those that do."""
    is_kind = branch.role in ("edge", "forwarder")
    return is_kind and all(_serves_only(want, c) for c in want.children(branch.function))


def _feeder(want: Tree, branch: Branch, have: Observed) -> Branch | None:
    """The nearest function above that carries the stream."""
    parent = want.branch(branch.parent)
    while parent is not None and not _carries(parent, have):
        parent = want.branch(parent.parent) if parent.role == "forwarder" else None
    return parent


def _carries(branch: Branch, have: Observed) -> bool:
    is_reached = branch.function in have.active and branch.function not in have.cut_off
    return is_reached and branch.function in have.carried


def _does(step: Carry, have: Observed, access: Access) -> bool:
    now = have.carried.get(step.function)
    if now is None or now.role != step.role:
        return False
    knows_keys = step.role != "acquirer" or now.keys == access.keys
    knows_revoked = step.role != "edge" or now.revoked == access.revoked
    has_srtp_key = step.role == "forwarder" or now.srtp_key_id == access.srtp_key_id
    knows_end = (now.is_over or not step.is_over) and (step.is_over or now.is_held == step.is_held)
    is_connected = (now.sources, now.targets) == (step.sources, step.targets)
    return is_connected and knows_keys and knows_revoked and knows_end and has_srtp_key
