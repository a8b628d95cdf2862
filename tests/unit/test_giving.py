"""What is given to one edge at once: a recording that takes long holds up no other."""

import asyncio

from support.virtual import scenario
from umbel.media.replay.messages import MOST_WANTED
from umbel.media.replay.pieces import Piece
from umbel.recordings.giving import GIVE_S, Giving


class Edge:
    """Gets pieces; those of `held` recordings only once these are let go."""

    def __init__(self, *held: str) -> None:
        self.held = {capture_id: asyncio.Event() for capture_id in held}
        self.got: list[Piece] = []
        self.at_once = self.most_at_once = 0
        self.giving = Giving(self.give)

    async def give(self, piece: Piece) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if piece.capture_id in self.held:
                await self.held[piece.capture_id].wait()
            self.got.append(piece)
        finally:
            self.at_once -= 1

    async def until_got(self, pieces: list[Piece], within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while not set(pieces) <= set(self.got):
                await asyncio.sleep(0.1)


def segments(capture_id: str, count: int = 6) -> list[Piece]:
    return [Piece(capture_id=capture_id, kind="segment", number=n) for n in range(count)]


@scenario
async def test_slow_recordings_hold_up_no_other() -> None:
    edge = Edge("slow", "slower")
    for piece in (*segments("slow"), *segments("slower"), *segments("quick")):
        edge.giving.begin(piece)
    await edge.until_got(segments("quick"), within_s=1.0)
    assert edge.got == segments("quick")
    for one in edge.held.values():
        one.set()
    await edge.until_got([*segments("slow"), *segments("slower")], within_s=1.0)
    await edge.giving.close()


@scenario
async def test_what_does_not_come_in_time_may_be_asked_for_again() -> None:
    edge = Edge("slow")
    for _ in range(3):
        edge.giving.begin(segments("slow")[0])
    await asyncio.sleep(GIVE_S - 1)
    assert edge.at_once == 1, "once, however often it is asked for"
    await asyncio.sleep(2)
    assert edge.at_once == 0
    edge.held["slow"].set()
    edge.giving.begin(segments("slow")[0])
    await edge.until_got(segments("slow", 1), within_s=1.0)
    assert (edge.giving._coming, edge.giving._turns) == ({}, {}), "nothing is left of it"


@scenario
async def test_it_is_bounded_and_ends() -> None:
    edge = Edge(*(f"c{n}" for n in range(50)))
    for number in range(50):
        for piece in segments(f"c{number}"):
            edge.giving.begin(piece)
    await asyncio.sleep(1)
    assert len(edge.giving._coming) == MOST_WANTED
    assert edge.most_at_once == 8
    await edge.giving.close()
    await asyncio.sleep(0)
    assert (edge.at_once, edge.giving._coming, edge.giving._turns) == (0, {}, {})
