"""Hashes survive scale, light and noise; the dictionary finds what brute force finds."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from umbel.caches import fingerprint
from umbel.caches.dictionary import RADIUS, Dictionary, Index, KnownAddress
from umbel.caches.fingerprint import BITS, BadFrame, Frame, Hash

hashes = st.integers(0, (1 << BITS) - 1)


def picture(seed: int, height: int = 180, width: int = 320) -> Frame:
    """Some soft blobs: most of what a natural picture is."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    light = np.zeros((height, width))
    for _ in range(12):
        y, x, size, weight = random.random(4)
        light += (weight - 0.5) * np.exp(
            -((rows - y) ** 2 + (columns - x) ** 2) / (0.02 + size / 8)
        )
    light = (light - light.min()) / (light.max() - light.min())
    return (40 + 160 * light).astype(np.uint8)


def hash_of(frame: Frame) -> Hash:
    found = fingerprint.hash_frame(frame)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(8))
def test_a_picture_is_known_again(seed: int) -> None:
    frame = picture(seed)
    noise = np.random.default_rng(seed).normal(0, 6, frame.shape)
    same = [
        picture(seed, 720, 1280),
        picture(seed, 97, 131),
        np.stack([frame] * 3, axis=2),
        (frame * 0.7 + 30).astype(np.uint8),
        np.clip(frame + noise, 0, 255).astype(np.uint8),
    ]
    for other in same:
        assert fingerprint.distance(hash_of(frame), hash_of(other)) <= RADIUS


def test_other_pictures_are_far() -> None:
    known = [hash_of(picture(seed)) for seed in range(30)]
    apart = [fingerprint.distance(a, b) for a in known for b in known if a != b]
    assert min(apart) > RADIUS
    assert np.mean(apart) == pytest.approx(BITS / 2, abs=4)


@pytest.mark.parametrize("level", [0, 16, 255])
def test_a_blank_frame_says_nothing(level: int) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (90, 160))
    blank = np.clip(level + noise, 0, 255).astype(np.uint8)
    assert fingerprint.hash_frame(blank) is None


@pytest.mark.parametrize("shape", [(0, 3), (4,), (4, 4, 4), (4, 4, 1), (4, 4, 3, 1)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadFrame):
        fingerprint.hash_frame(np.zeros(shape, dtype=np.uint8))


def flipped(hash_: Hash, bits: Sequence[int]) -> Hash:
    return hash_ ^ sum(1 << bit for bit in set(bits))


@given(
    known=st.lists(hashes, min_size=1, max_size=20),
    asked=hashes,
    changes=st.lists(st.integers(0, BITS - 1), max_size=14),
)
@examples(150)
def test_near_is_what_brute_force_finds(known: list[Hash], asked: Hash, changes: list[int]) -> None:
    index = Index()
    for number, hash_ in enumerate(known):
        index.add(hash_, (number, 0))
    index.add(asked, (-1, 0))
    index.discard(asked, (-1, 0))
    for target in (asked, flipped(known[0], changes)):
        wanted = {
            (number, 0)
            for number, hash_ in enumerate(known)
            if fingerprint.distance(hash_, target) <= RADIUS
        }
        assert index.near(target) == wanted


def content(seed: int, frames: int = 12) -> list[Hash | None]:
    random = np.random.default_rng(seed)
    return [int.from_bytes(random.bytes(8), "big") for _ in range(frames)]


def worn(frames: Sequence[Hash | None], bits: int = 5) -> list[Hash | None]:
    """As another encoder would give them."""
    random = np.random.default_rng(9)
    return [
        None if hash_ is None else flipped(hash_, random.integers(0, BITS, bits).tolist())
        for hash_ in frames
    ]


def test_addresses_of_one_content_meet() -> None:
    known = Dictionary()
    first = known.learn("a", content(1))
    other = known.learn("b", content(2))
    assert first != other
    assert known.learn("a-low", worn(content(1))) == first
    assert known.learn("a-cut", worn(content(1))[3:]) == first
    assert known.learn("a-late", [None, *worn(content(1))]) == first
    assert known.learn("a-low", worn(content(1))) == first
    assert known.addresses_of(first) == ("a", "a-low", "a-cut", "a-late")
    assert known.content_of("b") == other
    assert known.content_of("c") is None
    assert len(known) == 2


def test_shuffled_or_shared_frames_are_another_content() -> None:
    known = Dictionary()
    first = known.learn("a", content(1))
    assert known.learn("backwards", content(1)[::-1]) != first
    assert known.learn("same opening", content(1)[:5] + content(3)[5:]) != first
    assert known.find(worn(content(1))) == first


def test_too_little_matches_nothing() -> None:
    known = Dictionary()
    blank: list[Hash | None] = [None] * 9
    assert known.learn("black", blank) != known.learn("black too", blank)
    assert known.find(content(1)[:2]) is None
    short = known.learn("short", content(1)[:2])
    assert known.learn("short", content(1)[:2]) == short


def test_an_address_that_shows_something_else_is_a_conflict() -> None:
    known = Dictionary()
    first = known.learn("a", content(1))
    with pytest.raises(KnownAddress):
        known.learn("a", content(2))
    known.forget("a")
    second = known.learn("a", content(2))
    assert second != first
    assert known.find(content(1)) is None
    assert known.find(content(2)) == second
    known.forget("nobody")


def test_a_content_goes_with_its_last_address() -> None:
    known = Dictionary()
    first = known.learn("a", content(1))
    known.learn("b", worn(content(1)))
    known.forget("a")
    assert known.find(content(1)) == first
    known.forget("b")
    assert known.find(content(1)) is None
    assert len(known) == 0


@given(st.lists(st.lists(st.one_of(st.none(), hashes), max_size=8), max_size=8))
def test_every_address_has_one_content(many: list[list[Hash | None]]) -> None:
    known = Dictionary()
    for number, frames in enumerate(many):
        found = known.learn(str(number), frames)
        assert known.content_of(str(number)) == found
        assert known.learn(str(number), frames) == found
    assert len(known) == len({known.content_of(str(number)) for number in range(len(many))})
