"""Debian packages, fetched by apt and unpacked. Nothing of them is run or installed."""

import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
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
    versions = _known(list(packages))
    _fetch({n: v for n, v in versions.items() if not _file(cache, n, v).exists()}, cache)
    for name, version in sorted(versions.items()):
        _run("sh", "-c", _EXTRACT, "sh", str(_file(cache, name, version)), str(root))
    return versions


def _known(packages: Sequence[str]) -> dict[str, str]:
    """Of each package's alternatives the first that apt knows, with its version."""
    alternatives = [names.split("|") for names in packages]
    candidates = _candidates([package for names in alternatives for package in names])
    known = {}
    for names in alternatives:
        package = next((name for name in names if name in candidates), None)
        if package is None:
            raise ImageNotBuilt(f"apt has no package {'|'.join(names)}; run apt-get update")
        known[package] = candidates[package]
    return known


def _candidates(packages: Iterable[str]) -> dict[str, str]:
    """The versions that apt would install. One command: apt reads all its lists for each, which
    takes a second of CPU."""
    found, package = {}, ""
    for line in _run("apt-cache", "policy", *packages).splitlines():
        if not line.startswith(" "):
            package = line.removesuffix(":")
        word, _, version = line.strip().partition(": ")
        if word == "Candidate" and version != "(none)":
            found[package] = version
    return found


def _fetch(versions: Mapping[str, str], cache: Path) -> None:
    """By one command, for the same reason, in a folder of its own, as another build may fetch the
    same packages."""
    if not versions:
        return
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as folder:
        wanted = [f"{package}={version}" for package, version in versions.items()]
        within_s = _FETCH_WITHIN_S * len(wanted)
        _run("apt-get", "-q", "download", *wanted, folder=Path(folder), within_s=within_s)
        for package, version in versions.items():
            found = list(Path(folder).glob(f"{package}_*.deb"))
            if not found:
                raise ImageNotBuilt(f"apt-get downloaded no file of {package} {version}")
            found[0].replace(_file(cache, package, version))


def _file(cache: Path, package: str, version: str) -> Path:
    return cache / f"{package}_{version.replace(':', '%3a')}.deb"


def _run(*words: str, folder: Path | None = None, within_s: float = _FETCH_WITHIN_S) -> str:
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, cwd=folder, timeout=within_s, check=False
        )
    except FileNotFoundError:
        raise ImageNotBuilt(f"{words[0]} is not here: images are built on Debian") from None
    except subprocess.TimeoutExpired:
        raise ImageNotBuilt(f"{' '.join(words)} took longer than {within_s} s") from None
    if done.returncode:
        raise ImageNotBuilt(f"{' '.join(words)} failed: {done.stderr.strip()[-400:]}")
    return done.stdout
