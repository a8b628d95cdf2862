"""Where the settings say that the repository keeps its bytes."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from umbel.bootstrap.repository import real_storage
from umbel.bootstrap.storage import places, unfit_by
from umbel.compute.model import Node, NodeKind, VimKind
from umbel.kit.config import Settings
from umbel.repository.drivers.files import FileStorage
from umbel.repository.drivers.s3 import BadBucket, Bucket, S3Storage
from umbel.repository.drivers.shards import ShardStorage

SHARDS = ("node://a", "/mnt/b", "node://c")


def storage(**given: Any) -> object:
    return real_storage(Settings(data_dir=Path("/data"), **given), "0123")


def test_a_folder_of_our_own_or_a_part_of_the_one_that_is_named() -> None:
    own, named = storage(), storage(repository_folder="/mnt/a")
    assert isinstance(own, FileStorage)
    assert isinstance(named, FileStorage)
    assert (own.folder, named.folder) == (Path("/data/repository"), Path("/mnt/a/0123"))


def test_shards_have_a_folder_each() -> None:
    made = storage(repository_shards="/mnt/a, /mnt/b,/mnt/c,", repository_parity=1)
    assert isinstance(made, ShardStorage)
    assert (made.k, made.m) == (2, 1)


def test_a_bucket_and_shards_in_buckets() -> None:
    keys = {"repository_s3_key": "k", "repository_s3_secret": "s"}
    made = storage(repository_bucket="https://a:1/umbel/x", repository_folder="/mnt/a", **keys)
    assert isinstance(made, S3Storage)
    assert made.bucket == Bucket(endpoint="https://a:1", name="umbel", prefix="x/0123/")
    shards = "https://a/one,https://b/two,/mnt/a"
    assert isinstance(storage(repository_shards=shards, **keys), ShardStorage)
    with pytest.raises(BadBucket):
        storage(repository_bucket="umbel://media")


@pytest.mark.parametrize(
    ("shards", "parity"), [("/a", 1), ("/a,/b", 2), ("/a," * 65, 1), ("/a,/b", 0)]
)
def test_impossible_numbers_end_the_start(shards: str, parity: int) -> None:
    with pytest.raises(ValidationError, match="repository_parity"):
        storage(repository_shards=shards, repository_parity=parity)


def test_one_folder_is_not_enough_for_the_usual_parity() -> None:
    with pytest.raises(ValidationError, match="repository_parity"):
        storage(repository_shards="/a")


def test_shards_at_nodes_and_elsewhere_keep_their_order() -> None:
    settings = Settings(repository_shards=" , ".join(SHARDS))
    assert [(one.node, one.number) for one in places(settings)] == [("a", 0), ("c", 2)]
    nodes = {name: FileStorage(Path(f"/of/{name}")) for name in ("a", "c")}
    made = real_storage(settings, "0123", nodes)
    assert isinstance(made, ShardStorage)
    folders = [str(one.folder) for one in made._storages if isinstance(one, FileStorage)]
    assert folders == ["/of/a", "/mnt/b/0123", "/of/c"]


@pytest.mark.parametrize(
    "shards",
    [
        "node://a,node://a",
        "node://,node://b",
        "node://a/b,node://b",
        "node://../x,node://b",
        "node://a b,node://b",
        "node://" + "a" * 64 + ",node://b",
    ],
)
def test_what_names_no_node_or_one_twice_ends_the_start(shards: str) -> None:
    with pytest.raises(ValidationError, match="node"):
        Settings(repository_shards=shards)


@pytest.mark.parametrize(
    ("pool", "folder", "said"),
    [
        ("default", None, ""),
        ("default", "/srv", ""),
        ("hosts", "/srv", ""),
        ("hosts", None, "UMBEL_STORAGE_FOLDER"),
        ("mine", None, "UMBEL_STORAGE_FOLDER"),
        ("mine", "/srv", ""),
        ("guests", "/srv", "lost with them"),
        ("tried", "/srv", "lost with them"),
        ("hypervisors", "/srv", "lost with them"),
    ],
)
def test_nodes_whose_disk_goes_with_their_functions_keep_no_shards(
    pool: str, folder: str | None, said: str
) -> None:
    pools = {"mine": VimKind.HOSTS, "guests": VimKind.LIBVIRT, "tried": VimKind.FAKE}
    unfit = unfit_by(pools, Path(folder) if folder else None)
    node = Node(name="a", kind=NodeKind.CORE, address="127.0.0.1", pool=pool)
    assert (said in unfit(node)) if said else unfit(node) == ""
