"""What is installed on a machine: a Python environment that needs nothing from there but Python.

In: this control plane's own installed packages, which its lock chose. Out: a compressed tar that is
a virtual environment wherever it is unpacked, named by its version and content. So no registry is
needed, and every machine has what the control plane has.
"""

import gzip
import io
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

import umbel
from umbel.kit import private

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
"""Native parts of packages fit this minor version alone."""

_CONTROL_PLANE_ONLY = frozenset(
    {
        *("alembic", "asyncssh", "highspy", "imageio-ffmpeg", "matplotlib", "numba", "numpy"),
        *("os-ken", "psycopg", "pwdlib", "scikit-learn", "scipy", "sqlalchemy"),
    }
)
_FURTHER = ("PyGObject",)
"""What functions need in addition to what umbel itself requires."""
_PACKAGES = f"lib/python{PYTHON}/site-packages"
_LEFT_OUT = ("__pycache__", "/portal/static/", "/tests/", ".pyc")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What a bundle holds: files by their path in it. `id` names version and content; `size` is
    that of the unpacked files in bytes."""

    id: str
    files: Mapping[str, Path]
    size: int


def collect() -> Bundle:
    """The bundle of what is installed here. It reads every file: some seconds."""
    files = dict(sorted([*_own_files(), *_foreign_files()]))
    content, size = sha256(settings()), 0
    for name, path in files.items():
        data = path.read_bytes()
        size += len(data)
        content.update(f"{name}\0{len(data)}\0".encode() + data)
    id_ = f"{umbel.__version__}-{content.hexdigest()[:12]}"
    return Bundle(id=id_, files=files, size=size)


def write(bundle: Bundle, folder: Path) -> Path:
    """The bundle as a file of that folder, made if it is not there; the same bundle gives the same
    bytes. Raises OSError."""
    path = folder / f"{bundle.id}.tar.gz"
    if path.exists():
        return path
    private.ensure_folder(folder)
    draft = path.with_suffix(".draft")
    try:
        with (
            draft.open("wb") as raw,
            gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for entry, data in _entries(bundle):
                tar.addfile(entry, io.BytesIO(data))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _entries(bundle: Bundle) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    link = tarfile.TarInfo("bin/python")
    link.type, link.linkname = tarfile.SYMTYPE, f"/usr/bin/python{PYTHON}"
    yield link, b""
    yield _entry("pyvenv.cfg", settings()), settings()
    for name, path in bundle.files.items():
        data = path.read_bytes()
        yield _entry(name, data), data


def _entry(name: str, data: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    return entry


def settings() -> bytes:
    """The file pyvenv.cfg, which makes a folder a virtual environment of Debian's Python."""
    return f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n".encode()


def _own_files() -> Iterator[tuple[str, Path]]:
    """Umbel's own, also where it is used from a working copy."""
    root = Path(umbel.__file__).parent
    for path in root.rglob("*"):
        name = f"{_PACKAGES}/umbel/{path.relative_to(root).as_posix()}"
        if path.is_file() and not _is_left_out(name):
            yield name, path


def _foreign_files() -> Iterator[tuple[str, Path]]:
    for found in _closure().values():
        for file in found.files or ():
            name = f"{_PACKAGES}/{PurePosixPath(file)}"
            path = Path(str(file.locate()))
            # What is installed outside of the packages' folder are programs and headers.
            if ".." not in file.parts and not _is_left_out(name) and path.is_file():
                yield name, path


def _is_left_out(name: str) -> bool:
    return any(part in name for part in _LEFT_OUT)


def _closure() -> dict[str, Distribution]:
    """Every distribution that functions need, by its normalized name."""
    found: dict[str, Distribution] = {}
    todo = [*_requirements(distribution("umbel")), *_FURTHER]
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found or name in _CONTROL_PLANE_ONLY:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # of another platform, or of an extra that is not installed
        todo.extend(_requirements(found[name]))
    return found


def _requirements(of: Distribution) -> list[str]:
    """The names it requires, without those of extras."""
    required = (one for one in of.requires or () if "extra ==" not in one)
    return [match[0] for match in map(_NAME.match, required) if match is not None]
