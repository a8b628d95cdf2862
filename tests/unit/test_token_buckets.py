from hypothesis import given
from hypothesis import strategies as st

from umbel.kit.token_buckets import TokenBuckets


def test_a_full_bucket_gives_its_size_at_once_and_then_one_an_interval() -> None:
    buckets = TokenBuckets(size=4, refill_s=60.0)
    assert [buckets.take("a", 100.0) for _ in range(4)] == [0.0] * 4
    assert round(buckets.take("a", 100.0)) == 15
    assert buckets.take("b", 100.0) == 0.0
    assert buckets.take("a", 115.0) == 0.0
    assert round(buckets.take("a", 120.0)) == 10
    assert [buckets.take("a", 1000.0) > 0 for _ in range(5)] == [False] * 4 + [True]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=80))
def test_it_gives_what_buckets_of_tokens_give(takings: list[tuple[str, int]]) -> None:
    """The model counts tokens, ten for each; one comes back each second."""
    buckets = TokenBuckets(size=10, refill_s=10.0)
    tokens, seen_s = dict[str, int](), dict[str, int]()
    now_s = 0
    for key, later_s in takings:
        now_s += later_s
        left = min(10, tokens.get(key, 10) + now_s - seen_s.get(key, now_s))
        wait_s = buckets.take(key, float(now_s))
        assert (wait_s == 0.0) == (left > 0)
        assert 0.0 <= wait_s <= 1.0
        tokens[key], seen_s[key] = left - (left > 0), now_s


def test_many_keys_take_no_more_memory_than_the_most_that_are_kept() -> None:
    buckets = TokenBuckets(size=1, refill_s=60.0)
    for number in range(20_000):
        assert buckets.take(str(number), 0.0) == 0.0
    assert buckets.take("19999", 0.0) > 0
    assert buckets.take("0", 0.0) == 0.0  # forgotten
