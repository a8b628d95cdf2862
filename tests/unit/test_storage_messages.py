"""What storage functions answer: round trips, and bounds for whatever else comes."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.repository.model import StorageFailed
from umbel.repository.node_storage import messages
from umbel.repository.node_storage.messages import MOST_BYTES, MOST_SHARDS, NodeUsage
from umbel.repository.ports import Stored

sizes = st.integers(0, MOST_BYTES)
usages = st.builds(
    NodeUsage,
    shard=st.none() | st.integers(0, MOST_SHARDS - 1),
    used_bytes=sizes,
    limit_bytes=sizes,
    free_bytes=sizes,
)
names = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}", fullmatch=True)
blobs = st.builds(
    Stored,
    blob=names,
    size=sizes,
    changed_s=st.floats(0, 1e12),
    is_whole=st.booleans(),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["shard", "used_bytes", "limit_bytes", "free_bytes", "size", "blob", "changed_s"]
bodies = st.binary(max_size=200) | st.builds(
    lambda found: json.dumps(found).encode(),
    json_values | st.dictionaries(st.sampled_from([*FIELDS, "is_whole", "code"]), json_values),
)


@given(usages)
def test_a_usage_comes_back(usage: NodeUsage) -> None:
    assert messages.decode_usage(messages.encode_usage(usage)) == usage


@given(blobs)
def test_a_listed_blob_comes_back_in_one_line(stored: Stored) -> None:
    line = messages.encode_stored(stored)
    assert line.count(b"\n") == 1
    assert len(line) <= messages.MOST_MESSAGE_BYTES
    assert messages.decode_stored(line) == stored


@given(sizes)
def test_sizes_and_limits_come_back(size: int) -> None:
    assert messages.decode_size(messages.encode_size(size)) == size
    assert messages.decode_limit(messages.encode_limit(size)) == size


@given(st.dictionaries(names, sizes))
def test_names_and_their_sizes_come_back(found: dict[str, int]) -> None:
    assert messages.decode_names(messages.encode_names(list(found))) == list(found)
    assert messages.decode_sizes(messages.encode_sizes(found)) == found


def test_the_longest_list_of_names_fits() -> None:
    longest = {f"{number:04}".ljust(128, "x"): MOST_BYTES for number in range(messages.MOST_NAMES)}
    assert len(messages.encode_names(list(longest))) <= messages.MOST_NAMES_BYTES
    assert len(messages.encode_sizes(longest)) <= messages.MOST_NAMES_BYTES
    with pytest.raises(StorageFailed):
        messages.decode_names(messages.encode_names([*longest, "one"]))


@given(bodies)
def test_whatever_comes_is_a_value_within_bounds_or_a_failure(body: bytes) -> None:
    with suppress(StorageFailed):
        usage = messages.decode_usage(body)
        assert 0 <= usage.used_bytes <= MOST_BYTES
        assert usage.shard is None or 0 <= usage.shard < MOST_SHARDS
    with suppress(StorageFailed):
        assert 0 <= messages.decode_stored(body).size <= MOST_BYTES
    with suppress(StorageFailed):
        assert 0 <= messages.decode_size(body) <= MOST_BYTES
    with suppress(StorageFailed):
        assert all(0 <= one <= MOST_BYTES for one in messages.decode_sizes(body).values())
    with suppress(StorageFailed):
        assert all(0 < len(one) <= 128 for one in messages.decode_names(body))
    with suppress(StorageFailed):
        assert len(messages.parse_error(body).message) <= 500


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"size": true}',
        b'{"size": -1}',
        b'{"size": 1.5}',
        b'{"size": 1e999}',
        b'{"size": "1"}',
        f'{{"size": {MOST_BYTES + 1}}}'.encode(),
        b'{"size": ' + b"9" * 5000 + b"}",
        b'{"size": NaN}',
    ],
)
def test_what_is_no_size_is_refused(body: bytes) -> None:
    with pytest.raises(StorageFailed):
        messages.decode_size(body)


@pytest.mark.parametrize("blob", ["../a", "", "a/b", "x" * 129, ".", None, 7.5])
def test_a_listed_name_that_is_none_is_refused(blob: object) -> None:
    line = json.dumps({"blob": blob, "size": 1, "changed_s": 0, "is_whole": True}).encode()
    with pytest.raises(StorageFailed):
        messages.decode_stored(line)
