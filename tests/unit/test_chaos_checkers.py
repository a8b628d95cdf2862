"""The fault run's checkers: silent where all is well; they name what is broken on purpose."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from support.chaos import checkers
from support.chaos.snapshot import Branch, Carried, Held, Process, Room, Session, Snapshot

EVENT, RENDITION = "ev_1", "ev_1-360p"
ACQUIRER, FORWARDER, TRANSCODER = "acquirer-1", "forwarder-1", "transcoder-1"
EDGE, SMALL_EDGE = "edge-1", "edge-2"
ADDRESSES = {
    ACQUIRER: ("10.0.0.1", 0),
    FORWARDER: ("10.0.0.2", 20),
    TRANSCODER: ("10.0.0.3", 30),
    EDGE: ("10.0.0.4", 40),
    SMALL_EDGE: ("10.0.0.5", 50),
}
COSTS = {
    role: Room(cores=0.1, memory_mb=100.0, mbps=0.0)
    for role in ("acquirer", "forwarder", "transcoder", "edge")
}


def branch(function: str, node: str, parent: str = "") -> Branch:
    return Branch(function=function, role=function.partition("-")[0], node=node, parent=parent)


def process(function: str, node: str) -> Process:
    role = function.partition("-")[0]
    return Process(function=function, node=node, role=role, is_alive=True, is_active=True)


def carried(function: str, *targets: str, mbps: float = 2.0, viewer: str = "") -> Carried:
    address, port = ADDRESSES[function]
    return Carried(
        role=function.partition("-")[0],
        address=address,
        port=port,
        targets=frozenset(ADDRESSES[target] for target in targets),
        mbps=mbps,
        viewers=frozenset({viewer} if viewer else ()),
    )


def viewer(number: int, stream: str, function: str, node: str) -> tuple[Session, Held]:
    id_ = f"se_{number}"
    return (
        Session(id=id_, stream=stream, function=function, node=node),
        Held(id=id_, viewer=f"viewer {number}", stream=stream, function=function),
    )


VIEWERS = (viewer(1, EVENT, EDGE, "pe2"), viewer(2, RENDITION, SMALL_EDGE, "pe3"))
TREES = {
    EVENT: (
        branch(ACQUIRER, "pe1"),
        branch(FORWARDER, "c1", ACQUIRER),
        branch(EDGE, "pe2", FORWARDER),
        branch(TRANSCODER, "c2", FORWARDER),
    ),
    RENDITION: (branch(TRANSCODER, "c2"), branch(SMALL_EDGE, "pe3", TRANSCODER)),
}
WELL = Snapshot(
    now_s=100.0,
    owners={"fleet": ("A1",), EVENT: ("A1",), RENDITION: ("B1",)},
    processes=tuple(process(b.function, b.node) for b in (*TREES[EVENT][:3], *TREES[RENDITION])),
    trees=TREES,
    sessions={session.id: session for session, _ in VIEWERS},
    events={EVENT: "live"},
    carried={
        ACQUIRER: {EVENT: carried(ACQUIRER, FORWARDER)},
        FORWARDER: {EVENT: carried(FORWARDER, EDGE, TRANSCODER)},
        TRANSCODER: {RENDITION: carried(TRANSCODER, SMALL_EDGE)},
        EDGE: {EVENT: carried(EDGE, viewer="se_1")},
        SMALL_EDGE: {RENDITION: carried(SMALL_EDGE, mbps=0.7, viewer="se_2")},
    },
    wired=frozenset(TREES),
    rooms={
        n: Room(cores=0.5, memory_mb=500.0, mbps=10.0) for n in ("pe1", "pe2", "pe3", "c1", "c2")
    },
    held={held.id: held for _, held in VIEWERS},
    publishing=frozenset({EVENT}),
    pushed=frozenset({EVENT}),
    ends_s={EVENT: 200.0},
    costs=COSTS,
    viewer_cores=0.02,
    mbps={EVENT: 2.0, RENDITION: 0.7},
)
"""A live event with a rendition, one viewer of each, and all as it should be."""


def carries(function: str, stream: str, **changes: object) -> Snapshot:
    """The function does something else with the stream than it should."""
    does = replace(WELL.carried[function][stream], **changes)  # type: ignore[arg-type]
    return replace(WELL, carried={**WELL.carried, function: {stream: does}})


def without(function: str) -> Snapshot:
    """The function died, and with it what it carried."""
    left = {f: streams for f, streams in WELL.carried.items() if f != function}
    processes = tuple(p for p in WELL.processes if p.function != function)
    return replace(WELL, processes=processes, carried=left)


def tree(*branches: Branch) -> Snapshot:
    return replace(WELL, trees={**TREES, EVENT: branches})


@dataclass(frozen=True)
class Break:
    """What is broken on purpose, which checker finds it, when, and what it says."""

    what: str
    checker: str
    when: str
    says: str
    snapshot: Snapshot


BREAKS = [
    Break(
        "two act",
        "one owner",
        "now",
        "A1 and B1 both own ev_1",
        replace(WELL, owners={**WELL.owners, EVENT: ("A1", "B1")}),
    ),
    Break(
        "a stranger acts",
        "one owner",
        "now",
        "B1 does start",
        replace(WELL, violations=("B1 does start",)),
    ),
    Break(
        "nobody acts",
        "one owner",
        "at_rest",
        "nobody owns fleet",
        replace(WELL, owners={EVENT: ("A1",), RENDITION: ("A1",)}),
    ),
    Break("an edge died", "no stray viewer", "at_rest", "se_1 is at edge-1", without(EDGE)),
    Break(
        "a viewer at a forwarder",
        "no stray viewer",
        "at_rest",
        "se_1 is at edge-1",
        carries(EDGE, EVENT, role="forwarder"),
    ),
    Break(
        "a second copy",
        "no double function",
        "now",
        "forwarder-1 runs 2 times",
        replace(WELL, processes=(*WELL.processes, process(FORWARDER, "c2"))),
    ),
    Break(
        "too many cores",
        "no overload",
        "now",
        "pe2 has 0.11 cores",
        replace(WELL, rooms={**WELL.rooms, "pe2": Room(cores=0.11, memory_mb=500, mbps=10)}),
    ),
    Break(
        "too much memory",
        "no overload",
        "now",
        "c1 has 99 MiB",
        replace(WELL, rooms={**WELL.rooms, "c1": Room(cores=1, memory_mb=99, mbps=10)}),
    ),
    Break(
        "too high a rate",
        "no overload",
        "now",
        "pe2 has 1.9 Mbit/s",
        replace(WELL, rooms={**WELL.rooms, "pe2": Room(cores=1, memory_mb=500, mbps=1.9)}),
    ),
    Break(
        "an end undone",
        "nothing of the ended",
        "now",
        "the end of ev_1 was acknowledged",
        replace(WELL, over=frozenset({EVENT})),
    ),
    Break(
        "a late end",
        "nothing of the ended",
        "at_rest",
        "the time of ev_1 is over",
        replace(WELL, ends_s={EVENT: 90.0}),
    ),
    *(
        Break(
            f"a leftover {number}",
            "nothing of the ended",
            "at_rest",
            says,
            replace(WELL, events={EVENT: "ended"}),
        )
        for number, says in enumerate(
            (
                "ev_1 has a tree",
                "ev_1-360p is in the network",
                "se_2 is a session",
                "edge-1 carries ev_1",
            )
        )
    ),
    Break(
        "a lost session",
        "no lost answer",
        "now",
        "viewer 1's session se_1",
        replace(WELL, sessions={"se_2": WELL.sessions["se_2"]}),
    ),
    Break(
        "a lost event",
        "no lost answer",
        "now",
        "ev_1 was acknowledged and is gone",
        replace(WELL, events={}),
    ),
    Break(
        "a session of nobody",
        "no lost answer",
        "at_rest",
        "nobody holds se_1",
        replace(WELL, held={"se_2": WELL.held["se_2"]}),
    ),
    Break(
        "a function in standby",
        "nothing in standby",
        "now",
        "forwarder-1 runs on c1",
        replace(WELL, standby=frozenset({"c1"})),
    ),
    Break(
        "a lost parent",
        "sound trees",
        "now",
        "edge-1 hangs in the air",
        tree(branch(ACQUIRER, "pe1"), branch(EDGE, "pe2", FORWARDER)),
    ),
    Break(
        "a circle",
        "sound trees",
        "now",
        "edge-1 hangs in the air",
        tree(
            branch(ACQUIRER, "pe1"), branch(EDGE, "pe2", FORWARDER), branch(FORWARDER, "c1", EDGE)
        ),
    ),
    Break(
        "twice in a tree",
        "sound trees",
        "now",
        "a function stands twice",
        tree(branch(ACQUIRER, "pe1"), branch(ACQUIRER, "pe1")),
    ),
    Break(
        "an idle edge",
        "sound trees",
        "at_rest",
        "edge-1 has nobody",
        replace(WELL, sessions={"se_2": WELL.sessions["se_2"]}),
    ),
    Break(
        "a foreign error",
        "no crash",
        "now",
        "KeyError",
        replace(WELL, crashes=("A1: a request raised KeyError()",)),
    ),
    Break(
        "a dead function",
        "as wanted",
        "at_rest",
        "forwarder-1 is wanted on c1 and does not run",
        without(FORWARDER),
    ),
    Break(
        "a function too many",
        "as wanted",
        "at_rest",
        "edge-9 is there on c2",
        replace(WELL, processes=(*WELL.processes, process("edge-9", "c2"))),
    ),
    Break(
        "a stream too many",
        "as wanted",
        "at_rest",
        "edge-1 carries ev_2, unwanted",
        replace(
            WELL, carried={**WELL.carried, EDGE: {**WELL.carried[EDGE], "ev_2": carried(EDGE)}}
        ),
    ),
    Break(
        "a hop missing",
        "as wanted",
        "at_rest",
        "forwarder-1 sends ev_1 to",
        carries(FORWARDER, EVENT, targets=frozenset({ADDRESSES[EDGE]})),
    ),
    Break(
        "a hop too many",
        "as wanted",
        "at_rest",
        "acquirer-1 sends ev_1 to",
        carries(ACQUIRER, EVENT, targets=frozenset({ADDRESSES[FORWARDER], ADDRESSES[EDGE]})),
    ),
    Break(
        "a wrong role",
        "as wanted",
        "at_rest",
        "forwarder-1 does not carry ev_1",
        carries(FORWARDER, EVENT, role="edge"),
    ),
    Break(
        "a player away",
        "pictures",
        "at_rest",
        "viewer 1 is not connected",
        carries(EDGE, EVENT, viewers=frozenset()),
    ),
    Break(
        "pictures twice",
        "pictures",
        "at_rest",
        "viewer 1 gets 4 Mbit/s",
        carries(EDGE, EVENT, mbps=4.0),
    ),
    Break(
        "no pictures",
        "pictures",
        "at_rest",
        "viewer 2 gets 0 Mbit/s",
        carries(SMALL_EDGE, RENDITION, mbps=0.0),
    ),
    Break(
        "a viewer outside",
        "pictures",
        "at_rest",
        "viewer 3 waits",
        replace(WELL, waiting=("viewer 3",)),
    ),
    Break(
        "an encoder outside",
        "pictures",
        "at_rest",
        "the encoder of ev_1 is not let in",
        replace(WELL, publishing=frozenset()),
    ),
    Break(
        "a live event called open",
        "pictures",
        "at_rest",
        "ev_1 is live, and open in the calendar",
        replace(WELL, events={EVENT: "open"}),
    ),
]


def found(when: str, snapshot: Snapshot) -> dict[str, list[str]]:
    """What each checker says, by its name."""
    calls: dict[str, Callable[[checkers.Checker], list[str]]] = {
        "now": lambda checker: list(checker.now(snapshot)),
        "at_rest": lambda checker: list(checker.at_rest(snapshot)),
    }
    return {c.name: said for c in checkers.every() if (said := calls[when](c))}


@pytest.mark.parametrize("when", ["now", "at_rest"])
def test_every_checker_is_silent_where_all_is_well(when: str) -> None:
    assert found(when, WELL) == {}


@pytest.mark.parametrize("one", BREAKS, ids=[one.what for one in BREAKS])
def test_what_is_broken_on_purpose_is_found(one: Break) -> None:
    said = found(one.when, one.snapshot).get(one.checker, [])
    assert any(one.says in line for line in said), said


def test_every_checker_is_tried() -> None:
    assert {one.checker for one in BREAKS} == {checker.name for checker in checkers.every()}


def test_a_stray_viewer_is_found_once_its_time_is_up() -> None:
    checker, stray = checkers.NoStrayViewer(), without(EDGE)
    bound_s = checker.bound_s
    at_s = (0.0, bound_s - 1, bound_s, bound_s + 1)
    said = [list(checker.now(replace(stray, now_s=now_s))) for now_s in at_s]
    assert [bool(lines) for lines in said] == [False, False, False, True]
    assert not list(checker.now(replace(WELL, now_s=bound_s + 2))), "it found an edge"
    assert not list(checker.now(replace(stray, now_s=bound_s + 3))), "and its time begins again"
