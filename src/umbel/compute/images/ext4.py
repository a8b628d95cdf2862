"""A tree as a disk image with an ext4 file system, made by e2fsprogs and without root. The same
tree gives the same bytes."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from umbel.compute.images.model import ImageNotBuilt
from umbel.compute.images.tree import Entry, File, Folder, Symlink, Tree, with_folders

ROOT_LABEL = "umbel-root"
_UUID = "6f1d2a40-0000-4000-8000-756d62656c00"
_FIXED = {"E2FSPROGS_FAKE_TIME": "1"}  # 0 would mean: not given


def write(path: Path, tree: Tree, size_mb: int) -> None:
    """Make the disk image. Raises ImageNotBuilt."""
    size = f"{size_mb}M"
    options = f"hash_seed={_UUID},root_owner=0:0,lazy_itable_init=0"
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-U", _UUID, "-L", ROOT_LABEL, "-m", "0"]
    _run(*words, "-O", "^has_journal", "-E", options, str(path), size)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script"
        script.write_text("\n".join(_commands(tree, Path(folder))) + "\n")
        # It ends with 0 whatever happens, and reports failures.
        said = _run("debugfs", "-w", "-f", str(script), str(path))
        problems = [line for line in said.splitlines() if not line.startswith("debugfs")]
        problems = [line for line in problems if line and not line.startswith("Allocated inode")]
        if problems:
            raise ImageNotBuilt(f"debugfs cannot write {path}: {problems[0]}")


def _commands(tree: Tree, folder: Path) -> Iterator[str]:
    for number, (path, entry) in enumerate(with_folders(tree).items()):
        yield from _command(path, entry, folder / str(number))


def _command(path: str, entry: Entry, content: Path) -> Iterator[str]:
    parent, _, name = f"/{path}".rpartition("/")
    yield f"cd {parent or '/'}"  # debugfs takes the folder of /NAME for the one where it is
    match entry:
        case Folder():
            yield f"mkdir {name}"
        case Symlink(target=target):
            yield f"symlink {name} {target}"
        case File(content=data, mode=mode):
            content.write_bytes(data)
            yield f"write {content} {name}"
            yield f"set_inode_field {name} mode 0{0o100000 | mode:o}"


def _run(*words: str) -> str:
    environment = dict(os.environ) | _FIXED
    environment["PATH"] = f"{environment.get('PATH', '')}:/usr/sbin:/sbin"
    try:
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    except FileNotFoundError:
        raise ImageNotBuilt(f"{words[0]} is not installed (package e2fsprogs)") from None
    if done.returncode:
        raise ImageNotBuilt(f"{words[0]} failed: {done.stderr.strip()[-400:]}")
    return done.stdout + done.stderr
