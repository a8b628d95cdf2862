"""Debian packages, fetched by apt and unpacked. Nothing of them is run or installed."""

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from umbel.compute.images.model import ImageNotBuilt
from umbel.kit import private

_FETCH_WITHIN_S = 600
_EXTRACT = 'dpkg-deb --fsys-tarfile "$1" | tar --extract --keep-directory-symlink --directory "$2"'
"""`dpkg-deb --extract` makes folders of the links /bin, /lib and /sbin that Debian has."""


def latest(package: str) -> str:
    """What the package of a newest version, such as linux-image-cloud-amd64, depends on."""
    said = _run("apt-cache", "depends", "--important", package)
    found = [line.partition("Depends:")[2].strip() for line in said.splitlines()]
    names = [name for name in found if name]
    if not names:
        raise ImageNotBuilt(f"apt knows no package {package}; run apt-get update")
    return names[0]


def unpack(packages: Iterable[str], cache: Path, root: Path) -> Mapping[str, str]:
    """Unpack the packages below `root`; answers their versions. `a|b` is the first one that apt
    knows. Packages before Debian 13 have files in /bin and /lib, later ones in /usr/bin and
    /usr/lib: here both are in the latter. What was fetched before is taken from `cache`. Raises
    ImageNotBuilt."""
    private.ensure_folder(cache)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (root / name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    versions = dict(_known(names) for names in packages)
    for name, version in sorted(versions.items()):
        file = cache / f"{name}_{version.replace(':', '%3a')}.deb"
        if not file.exists():
            _fetch(name, version, file)
        _run("sh", "-c", _EXTRACT, "sh", str(file), str(root))
    return versions


def _known(names: str) -> tuple[str, str]:
    """The package among these alternatives that apt knows, and its version."""
    for package in names.split("|"):
        for line in _run("apt-cache", "policy", package).splitlines():
            word, _, version = line.strip().partition(": ")
            if word == "Candidate" and version != "(none)":
                return package, version
    raise ImageNotBuilt(f"apt has no package {names}; run apt-get update")


def _fetch(package: str, version: str, file: Path) -> None:
    """In a folder of its own, as another build may fetch the same package."""
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=file.parent) as folder:
        _run("apt-get", "-q", "download", f"{package}={version}", folder=Path(folder))
        found = list(Path(folder).glob("*.deb"))
        if not found:
            raise ImageNotBuilt(f"apt-get downloaded no file of {package} {version}")
        found[0].replace(file)


def _run(*words: str, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, cwd=folder, timeout=_FETCH_WITHIN_S, check=False
        )
    except FileNotFoundError:
        raise ImageNotBuilt(f"{words[0]} is not here: images are built on Debian") from None
    except subprocess.TimeoutExpired:
        raise ImageNotBuilt(f"{' '.join(words)} took longer than {_FETCH_WITHIN_S} s") from None
    if done.returncode:
        raise ImageNotBuilt(f"{' '.join(words)} failed: {done.stderr.strip()[-400:]}")
    return done.stdout
