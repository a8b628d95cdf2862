"""Addresses of buckets, and the sizes of parts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.repository.drivers import s3
from umbel.repository.drivers.s3 import BadBucket, Bucket


@pytest.mark.parametrize(
    ("url", "bucket"),
    [
        ("https://s3.example.org/media", ("https://s3.example.org", "media", "")),
        ("http://127.0.0.1:9000/media/", ("http://127.0.0.1:9000", "media", "")),
        ("https://[::1]:9000/media/a/b", ("https://[::1]:9000", "media", "a/b/")),
    ],
)
def test_addresses_of_buckets(url: str, bucket: tuple[str, str, str]) -> None:
    found = Bucket.parse(url)
    assert (found.endpoint, found.name, found.prefix) == bucket
    assert found.inside("x").prefix == f"{bucket[2]}x/"


@pytest.mark.parametrize(
    "url",
    [
        *("", "media", "ftp://a/media", "https://a", "https://a/", "https:///media", "https://a/M"),
        *(
            "https://key:word@a/media",
            "https://a/media?x=1",
            "https://a/media#x",
            "https://a:x/media",
        ),
        *("https://a:0/media", "https://a/media/../b c", "https://[::1/media", "https://a/m"),
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(BadBucket) as refused:
        Bucket.parse(url)
    assert "word" not in str(refused.value)


@given(st.text(max_size=60) | st.text(max_size=40).map("https://a/".__add__))
def test_any_address_is_read_or_refused(url: str) -> None:
    try:
        found = Bucket.parse(url)
    except BadBucket:
        return
    assert Bucket.parse(f"{found.endpoint}/{found.name}/{found.prefix}") == found


async def test_parts_grow_before_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_MANY", 3)
    sent: list[int] = []

    async def call(operation: str, **values: Any) -> dict[str, Any]:
        if operation == "upload_part":
            sent.append(len(values["Body"]))
            assert values["PartNumber"] == len(sent)
        return {"UploadId": "1", "ETag": "e"}

    upload = s3._PartUpload(call, "key")
    for _ in range(21):
        await upload.add(b"x")
    await upload.complete()
    assert sent == [1, 1, 1, 8, 8, 2]
