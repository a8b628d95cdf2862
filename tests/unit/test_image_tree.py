"""The archive that a kernel boots from, read again."""

import gzip
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from umbel.compute.images.tree import Entry, File, Folder, Symlink, archive, with_folders

names = st.text("abc.-", min_size=1, max_size=5).filter(lambda name: name.strip("."))
files = st.builds(File, st.binary(max_size=50), st.sampled_from([0o644, 0o755]))
trees = st.dictionaries(names, st.one_of(files, st.builds(Symlink, names), st.just(Folder())))


def entries(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Name, mode and content of each member (cpio(5), new ASCII format)."""
    at = 0
    while True:
        head = data[at : at + 110]
        assert head[:6] == b"070701"
        fields = [int(head[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        start = at + (110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return
        yield name, mode, data[start : start + size]
        at = start + (size + 3) // 4 * 4


@given(trees)
def test_an_archive_holds_the_tree(tree: dict[str, Entry]) -> None:
    found = {
        name: (mode, content) for name, mode, content in entries(gzip.decompress(archive(tree)))
    }
    assert found.keys() == tree.keys()
    for name, entry in tree.items():
        mode, content = found[name]
        match entry:
            case File(content=expected, mode=permissions):
                assert (mode, content) == (0o100000 | permissions, expected)
            case Symlink(target=target):
                assert (mode, content) == (0o120777, target.encode())
            case Folder():
                assert (mode, content) == (0o040755, b"")


def test_folders_come_before_what_is_in_them_and_order_does_not_matter() -> None:
    tree: dict[str, Entry] = {"usr/bin/x": File(b"x"), "bin/sh": Symlink("x"), "dev": Folder()}
    assert list(with_folders(tree)) == ["bin", "bin/sh", "dev", "usr", "usr/bin", "usr/bin/x"]
    turned = dict(reversed(tree.items()))
    assert archive(tree) == archive(turned)
    assert archive(tree) != archive(tree | {"bin/sh": Symlink("y")})
