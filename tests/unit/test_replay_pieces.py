"""Replays at an edge without I/O: grants, names, messages from outside, blocks, the allowance."""

import json
import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from umbel.kit import tokens
from umbel.kit.errors import UmbelError
from umbel.kit.tokens import Claims, Signer, TokenInvalid, Verifier
from umbel.media.replay import grants, messages, pieces
from umbel.media.replay.allowance import Allowance
from umbel.media.replay.blocks import Blocks, Kept
from umbel.media.replay.messages import Orders, ReplayMessageMalformed, Report
from umbel.media.replay.pieces import NoSuchPiece, Piece, Span

TIMES = st.none() | st.floats(0, 2e9)


@given(TIMES, TIMES)
def test_a_grant_says_what_it_covers(from_s: float | None, until_s: float | None) -> None:
    signer = Signer(tokens.new_private_key())
    claims = Claims(
        subject="cap_1",
        scope=grants.scope_of(from_s, until_s) + "/share/x/y",
        expires_s=2_000_000_000.0,
    )
    token = signer.sign(claims, tokens.REPLAY)
    read = Verifier(signer.public_key).verify(token, tokens.REPLAY, now_s=0.0)
    grant = grants.parse(read, token)
    assert (grant.capture_id, grant.from_s, grant.until_s) == ("cap_1", from_s, until_s)
    assert (grant.id, grant.right) == (grants.id_of(token), "share/x/y")
    assert grant.id not in token
    assert grant.covers(-math.inf, math.inf), "a section belongs to all times"
    assert grant.covers(5.0, 7.0) == (
        (from_s is None or from_s < 7.0) and (until_s is None or until_s > 5.0)
    )


@pytest.mark.parametrize("scope", ["", "1", "1/2", "x/2/3", "a/b", "one"])
def test_a_strange_scope_grants_nothing(scope: str) -> None:
    with pytest.raises(TokenInvalid):
        grants.parse(Claims(subject="cap_1", scope=scope, expires_s=1.0), "token")


@given(st.text(max_size=30), st.text(max_size=30))
def test_names_from_outside_are_pieces_or_unknown(capture_id: str, name: str) -> None:
    try:
        piece = pieces.parse(capture_id, name)
    except NoSuchPiece:
        return
    assert (piece.capture_id, piece.name) == (capture_id, name)


@pytest.mark.parametrize(
    "name",
    ["segment-01.m4s", "segment-1.mp4", "init-1.m4s", "segment--1.m4s", "../x", "media.m3u8"],
)
def test_other_names_are_no_pieces(name: str) -> None:
    with pytest.raises(NoSuchPiece):
        pieces.parse("cap_1", name)


@pytest.mark.parametrize("name", ["segment-0.m4s", "segment-4294967295.m4s", "init-12.mp4"])
def test_pieces_keep_their_names(name: str) -> None:
    assert pieces.parse("cap_1", name).name == name


NAMES = st.lists(st.text(max_size=64), max_size=5).map(tuple)
PIECES = st.builds(
    Piece,
    capture_id=st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z"),
    kind=st.sampled_from(["segment", "init"]),
    number=st.integers(0, 9_999_999_999),
)


@given(st.floats(0, 1e6), st.text(max_size=100), NAMES)
def test_orders_arrive(mbps: float, home: str, dropped: tuple[str, ...]) -> None:
    orders = Orders(mbps=mbps, home=home, dropped=dropped, ended=dropped)
    assert messages.decode_orders(messages.encode_orders(orders)) == orders


@given(st.lists(PIECES, max_size=5).map(tuple), NAMES)
def test_reports_arrive(wanted: tuple[Piece, ...], names: tuple[str, ...]) -> None:
    report = Report(wanted=wanted, captures=names, used=names)
    assert messages.decode_report(messages.encode_report(report)) == report


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["mbps", "home", "dropped", "wanted", "captures", "used"]),
            inner,
        )
    ),
)


@given(st.binary(max_size=80) | JSON.map(lambda given: json.dumps(given).encode()))
def test_whatever_comes_is_a_message_or_refused(body: bytes) -> None:
    for decode in (messages.decode_orders, messages.decode_report):
        try:
            decode(body)
        except UmbelError as error:
            assert error.code == ReplayMessageMalformed.code


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"mbps": NaN}',
        b'{"mbps": -1}',
        b'{"mbps": true}',
        b'{"mbps": 1, "dropped": "x"}',
        b"[" * 100_000,
        b'{"mbps": 1, "home": "' + b"x" * messages.MOST_MESSAGE_BYTES + b'"}',
    ],
)
def test_bad_orders_are_refused(body: bytes) -> None:
    with pytest.raises(ReplayMessageMalformed):
        messages.decode_orders(body)


def test_replays_send_no_more_than_allowed() -> None:
    allowance = Allowance()
    assert not allowance.take(1, 0.0), "nothing before it was told"
    allowance.set(8.0, 10.0)
    sent = sum(allowance.take(500_000, 10.0 + tick / 10) for tick in range(600))
    assert sent * 0.5 == pytest.approx(60 * 1.0, abs=3.0), "8 Mbit/s are 1 MB a second"
    allowance.set(0.0, 80.0)
    assert not allowance.take(1, 1_000.0), "live viewers need all of it"
    allowance.set(8.0, 1_000.0)
    assert allowance.take(1, 1_000.0)


def segment(number: int, capture_id: str = "cap_1") -> Piece:
    return Piece(capture_id=capture_id, kind="segment", number=number)


class BlocksMachine(RuleBasedStateMachine):
    """Readers and writers over a small file: no block belongs to two."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = Blocks(10 * 4, block_bytes=4)
        self.reading: list[tuple[Kept, tuple[int, ...]]] = []
        self.now_s = 0.0

    def _piece(self, number: int) -> Piece:
        return segment(number, f"cap_{number % 3}")

    @rule(number=st.integers(0, 12), size=st.integers(0, 50))
    def add(self, number: int, size: int) -> None:
        self.now_s += 1
        kept = self.blocks.add(self._piece(number), size, Span(), self.now_s)
        if kept is not None:
            assert len(kept.blocks) == -(-size // 4)
            kept.is_written = True

    @rule(number=st.integers(0, 12))
    def find(self, number: int) -> None:
        self.now_s += 1
        kept = self.blocks.find(self._piece(number), self.now_s)
        if kept is not None:
            self.blocks.begin(kept)
            self.reading.append((kept, kept.blocks))

    @precondition(lambda self: self.reading)
    @rule()
    def end(self) -> None:
        kept, blocks = self.reading.pop(0)
        assert kept.blocks == blocks, "nobody took them from a reader"
        self.blocks.end(kept)

    @rule(number=st.integers(0, 2))
    def drop(self, number: int) -> None:
        self.blocks.drop(f"cap_{number}")
        assert f"cap_{number}" not in self.blocks.captures

    def _used(self) -> Iterator[int]:
        seen = {id(kept): kept.blocks for kept in self.blocks._kept.values()}
        seen |= {id(kept): kept.blocks for kept, _ in self.reading}
        for blocks in seen.values():
            yield from blocks

    @invariant()
    def every_block_has_one_place(self) -> None:
        assert sorted([*self._used(), *self.blocks._free]) == list(range(10))
        assert self.blocks.kept_bytes == sum(k.size for k in self.blocks._kept.values()) <= 40


TestBlocks = BlocksMachine.TestCase


def test_what_is_played_again_and_again_stays() -> None:
    blocks = Blocks(4 * 4, block_bytes=4)
    for number in range(40):
        for piece in (segment(0), segment(100 + number)):
            kept = blocks.find(piece, number) or blocks.add(piece, 4, Span(), number)
            assert kept is not None
            kept.is_written = True
    assert segment(0) in blocks
