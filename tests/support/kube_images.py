"""Container images without a registry: archives that containerd reads.

In: the files of a machine. Out: an archive with one layer. The image of functions has Debian's
Python, busybox and what this control plane would install on a machine.
"""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from umbel.compute.drivers.kubernetes.pods import PYTHON
from umbel.compute.images import packages
from umbel.compute.machines import bundle

PAUSE, FUNCTION = "umbel.invalid/pause:1", "umbel.invalid/umbel:1"
STAND_IN = "/opt/media_stand_in.py"

_BUSYBOX = "busybox-static"
_PACKAGES = (
    *("libc6", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"),
    *("libbz2-1.0", "libexpat1", "libffi8", "libgcc-s1", "liblzma5", "libssl3", "libstdc++6"),
    *("libuuid1", "libsqlite3-0", "zlib1g"),
)
_ENVIRONMENT = PYTHON.removesuffix("/bin/python").removeprefix("/")
_LEFT_OUT = ("usr/share/", "etc/")


def pause(file: Path, cache: Path) -> None:
    """The image whose only program keeps a pod's namespaces."""
    with _unpacked((_BUSYBOX,), cache) as root:
        program = (root / "bin/busybox").read_bytes()
    command = ["/busybox", "sleep", "2147483647"]
    _write(file, PAUSE, {"busybox": program}, {"Entrypoint": command})


def function(file: Path, cache: Path) -> None:
    """The image of functions, for pods with a command."""
    ours = bundle.collect().files
    with _unpacked((_BUSYBOX, *_PACKAGES), cache) as root:
        files: dict[str, bytes | Path | str] = dict(_taken(root))
        files |= {f"bin/{name}": "busybox" for name in ("sh", "test", "sleep")}
        files |= {f"{_ENVIRONMENT}/{name}": path for name, path in ours.items()}
        files[f"{_ENVIRONMENT}/pyvenv.cfg"] = bundle.settings()
        files[f"{_ENVIRONMENT}/bin/python"] = f"/usr/bin/python{bundle.PYTHON}"
        files[STAND_IN.removeprefix("/")] = Path(__file__).with_name("media_stand_in.py")
        files["etc/passwd"] = b"root:x:0:0:root:/:/bin/sh\n"
        _write(file, FUNCTION, files, {"Entrypoint": ["/bin/sh"]})


@contextmanager
def _unpacked(names: tuple[str, ...], cache: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=cache.parent) as folder:
        packages.unpack(names, cache, Path(folder))
        yield Path(folder)


def _taken(root: Path) -> Iterator[tuple[str, Path | str]]:
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.startswith(_LEFT_OUT):
            continue
        if path.is_symlink():
            yield name, str(path.readlink())
        elif path.is_file():
            yield name, path


def _write(
    file: Path,
    name: str,
    files: Mapping[str, bytes | Path | str],
    config: Mapping[str, object],
) -> None:
    """The archive (docker-archive). A text is a link's target, a path a file here."""
    layer = _layer(files)
    digest = hashlib.sha256(layer).hexdigest()
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    about = {"architecture": "amd64", "os": "linux", "config": config, "rootfs": rootfs}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    parts = {
        "config.json": json.dumps(about).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    draft = file.with_suffix(".draft")
    with tarfile.open(draft, "w") as archive:
        for part, content in parts.items():
            _add(archive, part, content)
    draft.replace(file)


def _layer(files: Mapping[str, bytes | Path | str]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as layer:
        for name, content in sorted(files.items()):
            if isinstance(content, Path):
                mode = 0o755 if content.stat().st_mode & 0o100 else 0o644
                _add(layer, name, content.read_bytes(), mode)
            elif isinstance(content, str):
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                layer.addfile(entry)
            else:
                _add(layer, name, content, 0o755)
    return raw.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
