"""Every policy keeps the rules of a cache; each keeps its own; Che's formula foretells them."""

from collections.abc import Callable, Hashable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from umbel.caches import approximation
from umbel.caches.approximation import Law
from umbel.caches.deduplicated import Deduplicated
from umbel.caches.policies import POLICIES, Policy, make
from umbel.caches.ports import BadCache, BadObject, Cache
from umbel.caches.tinylfu import MOST_COUNT, Sketch

every_policy = pytest.mark.parametrize("policy", Policy)


def ask(cache: Cache, keys: str, size_bytes: int = 1) -> list[str]:
    """What each request did: `h` hit, `.` passed by, else what left for it (`+` nothing)."""
    said = []
    for at, key in enumerate(keys):
        answer = cache.request(key, size_bytes, float(at))
        left = "".join(str(old) for old in answer.evicted) or "+"
        said.append("h" if answer.hit else left if answer.admitted else ".")
    return said


def test_every_policy_has_a_maker() -> None:
    assert set(POLICIES) == set(Policy)


@every_policy
@given(
    capacity=st.integers(0, 60),
    sizes=st.lists(st.integers(1, 70), min_size=1, max_size=12),
    data=st.data(),
)
@examples(60)
def test_a_cache_holds_what_it_says(
    policy: Policy, capacity: int, sizes: list[int], data: st.DataObject
) -> None:
    cache = make(policy, capacity)
    held: dict[Hashable, int] = {}
    keys = st.integers(0, len(sizes) - 1)
    for at, key in enumerate(data.draw(st.lists(keys, max_size=80))):
        answer = cache.request(key, sizes[key], float(at))
        assert answer.hit == (key in held)
        if answer.hit:
            assert not answer.admitted
            assert not answer.evicted
        if answer.admitted:
            held[key] = sizes[key]
        elif sizes[key] > capacity:
            assert not answer.evicted
        for old in answer.evicted:
            assert old != key
            del held[old]
        assert cache.used_bytes == sum(held.values()) <= cache.capacity_bytes == capacity
        assert len(cache) == len(held)
        assert [other in cache for other in range(len(sizes))] == [
            other in held for other in range(len(sizes))
        ]


@every_policy
def test_what_fits_is_kept_for_good(policy: Policy) -> None:
    cache = make(policy, 1000)
    letters = "abcdefgh"
    ask(cache, letters)
    assert ask(cache, letters * 3) == ["h"] * 24


@every_policy
def test_nonsense_is_refused(policy: Policy) -> None:
    with pytest.raises(BadCache):
        make(policy, -1)
    with pytest.raises(BadObject):
        make(policy, 10).request("a", 0, 0.0)


@pytest.mark.parametrize(
    ("policy", "keys", "said"),
    [
        (Policy.LRU, "abcad", "+++hb"),
        (Policy.FIFO, "abcad", "+++ha"),
        (Policy.LFU, "aabbcdd", "+h+h+ch"),
        (Policy.LFU, "abcabd", "+++hhc"),
        (Policy.LFU, "abcd", "+++a"),
        # The hand passes a, which was asked for, takes b, and goes on from there, not back to a.
        (Policy.SIEVE, "abcadefag", "+++hbcdhe"),
    ],
)
def test_the_right_one_leaves(policy: Policy, keys: str, said: str) -> None:
    assert "".join(ask(make(policy, 3), keys)) == said


def test_s3_fifo_remembers_who_left() -> None:
    """Of ten places one is small: a once-seen object leaves first, and returns to main."""
    cache = make(Policy.S3_FIFO, 10)
    # The first fill puts one in small, the rest straight into main, for nothing is at stake yet.
    ask(cache, "abcdefghij")
    assert ask(cache, "k") == ["a"]
    assert ask(cache, "a") == ["k"]
    assert ask(cache, "l") == ["b"]  # main is over its share: its oldest leaves
    assert "a" in cache


@pytest.mark.parametrize(("asked", "leaves"), [("", "x"), ("x", "x"), ("xx", "a")])
def test_s3_fifo_moves_to_main_what_is_asked_for_twice(asked: str, leaves: str) -> None:
    cache = make(Policy.S3_FIFO, 10)
    ask(cache, "sabcdefghix")  # s was in small and left for x
    ask(cache, asked)
    assert ask(cache, "y") == [leaves]


def test_w_tinylfu_keeps_the_famous_from_a_scan() -> None:
    cache = make(Policy.W_TINYLFU, 100)
    famous = [f"famous-{number}" for number in range(90)]
    for _ in range(3):
        for key in famous:
            cache.request(key, 1, 0.0)
    for number in range(2000):
        cache.request(f"scan-{number}", 1, 0.0)
    assert sum(key in cache for key in famous) >= 85


def test_w_tinylfu_forgets_old_fame() -> None:
    cache = make(Policy.W_TINYLFU, 100)
    for number in range(100_000):
        cache.request(("old", number % 90), 1, 0.0)
    for number in range(100_000):
        cache.request(("new", number % 90), 1, 0.0)
    assert sum(("new", number) in cache for number in range(90)) >= 80


@given(st.lists(st.one_of(st.integers(), st.text(max_size=5)), max_size=300))
def test_a_sketch_never_counts_too_few(keys: list[int | str]) -> None:
    sketch = Sketch(16)
    for number, key in enumerate(keys):
        sketch.add(key)
        if number % 20 == 0:
            sketch.grow(16 + number)
    for key in set(keys):
        assert min(keys.count(key), MOST_COUNT) <= sketch.count(key)


def test_a_sketch_halves_itself() -> None:
    sketch = Sketch(64)
    for _ in range(200):
        sketch.add("a")
    for number in range(64 * 32 - 200):
        sketch.add(number)
    assert 100 <= sketch.count("a") < 110


def popularity(contents: int) -> np.ndarray:
    weight = np.arange(1, contents + 1) ** -0.8
    return weight / weight.sum()


@pytest.mark.parametrize(
    ("law", "policy"), [(Law.LRU, Policy.LRU), (Law.FIFO, Policy.FIFO), (Law.RANDOM, Policy.FIFO)]
)
def test_che_foretells_the_hit_ratio_of_each_content(law: Law, policy: Policy) -> None:
    random = np.random.default_rng(1)
    share = popularity(2000)
    sizes = random.choice([240, 900, 3600], 2000, p=[0.6, 0.27, 0.13])
    capacity = int(sizes.sum() * 0.1)
    steady = approximation.approximate(law, share * 0.4, sizes.astype(float), capacity)
    cache = make(policy, capacity)
    hits, asked = np.zeros(2000), np.zeros(2000)
    for number, key in enumerate(random.choice(2000, 150_000, p=share).tolist()):
        hit = cache.request(key, int(sizes[key]), 0.0).hit
        if number >= 40_000:
            hits[key] += hit
            asked[key] += 1
    assert hits.sum() / asked.sum() == pytest.approx(steady.hit_ratio, abs=0.01)
    assert hits[:20] / asked[:20] == pytest.approx(steady.hits[:20], abs=0.06)


@given(
    rates=st.lists(st.floats(0, 100, allow_subnormal=False), min_size=1, max_size=20),
    share=st.floats(0, 1.5),
    law=st.sampled_from(Law),
)
def test_a_steady_cache_is_just_full(rates: list[float], share: float, law: Law) -> None:
    rate = np.array(rates)
    sizes = np.arange(1.0, len(rates) + 1.0)
    asked = sizes[rate > rate.max() * 1e-12].sum()
    steady = approximation.approximate(law, rate, sizes, share * asked)
    assert (steady.hits >= 0).all()
    assert (steady.hits <= 1).all()
    assert sizes @ steady.hits == pytest.approx(min(share, 1.0) * asked, rel=1e-6, abs=1e-9)
    assert 0.0 <= steady.hit_ratio <= 1.0 + 1e-12


@pytest.mark.parametrize(
    ("rates", "sizes", "capacity"),
    [
        ([-1.0], [1.0], 1.0),
        ([np.nan], [1.0], 1.0),
        ([1.0], [0.0], 1.0),
        ([1.0], [1.0], -1.0),
        ([1.0], [1.0], np.inf),
        ([1.0, 2.0], [1.0], 1.0),
    ],
)
def test_approximation_refuses_nonsense(
    rates: list[float], sizes: list[float], capacity: float
) -> None:
    with pytest.raises(BadCache):
        approximation.approximate(Law.LRU, np.array(rates), np.array(sizes), capacity)


def test_addresses_of_one_content_share_a_copy() -> None:
    known = {"mirror-1": 7, "mirror-2": 7, "other": 8}
    content_of: Callable[[str], int | None] = known.get
    cache = Deduplicated(make(Policy.LRU, 10), content_of)
    assert cache.request("mirror-1", 6, 0.0).admitted
    assert cache.request("mirror-2", 6, 1.0).hit
    assert cache.request("7", 4, 2.0).admitted  # an address of its own, not content 7
    assert cache.used_bytes == 10
    assert len(cache) == 2
    assert cache.request("other", 3, 3.0).evicted == (("content", 7),)
    assert "mirror-1" not in cache
    assert "7" in cache
    assert cache.capacity_bytes == 10
