"""What is in each image.

In: folders to work in. Out: an image with its parts. All have Debian's cloud kernel, busybox and
the QEMU guest agent. The relay adds one program; the media server adds Debian's Python and this
control plane's own packages, so that guests run what machines run.
"""

import compileall
import hashlib
import lzma
import subprocess
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from py_compile import PycInvalidationMode

from umbel.compute.images import ext4, packages
from umbel.compute.images.model import PARTS, Image, ImageNotBuilt
from umbel.compute.images.tree import Entry, File, Folder, Symlink, Tree, archive
from umbel.compute.machines import bundle

_KERNEL = "linux-image-cloud-amd64"
_MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng", "isofs"),
    *("virtio_scsi", "sr_mod"),  # where a cloud has its drive with the seed
)
_BUSYBOX = "busybox-static"
_COMMANDS = (
    *("base64", "cat", "findfs", "hostname", "insmod", "ip", "kill", "mkdir", "mount", "mv"),
    *("poweroff",),
    *("sh", "sleep", "switch_root", "sync"),
)
"""What the guest's scripts use of busybox."""
_AGENT = (
    *("libatomic1", "libc6", "libcap2", "libglib2.0-0t64|libglib2.0-0", "libnuma1"),
    *("libpcre2-8-0", "libudev1", "liburing2", "qemu-guest-agent"),
)
_NAME = f"python{bundle.PYTHON}"
_PYTHON = (
    *(f"{_NAME}-minimal", f"lib{_NAME}-minimal", f"lib{_NAME}-stdlib", "libbz2-1.0"),
    *("libexpat1", "libffi8", "libgcc-s1", "liblzma5", "libssl3t64|libssl3", "libstdc++6"),
    *("libuuid1", "libzstd1", "zlib1g"),
)
_LIBRARY = f"usr/lib/{_NAME}"
_FOLDERS = ("dev", "proc", "sys", "run", "tmp", "var", "root")
_NEEDED = (
    *("lib", "lib64", "usr/lib64", "usr/lib/x86_64-linux-gnu"),
    *("usr/sbin/qemu-ga", "usr/bin/qemu-ga", f"usr/bin/{_NAME}"),
)
"""What is taken of the packages: no documents, no locales, no maintainers' scripts."""
_PREFIX = "opt/umbel"
"""Where the bundle is, a virtual environment of Debian's Python."""
_LEFT_OUT = ("/gconv/", "/audit/", "/engines-3/", "/ossl-modules/", "/lib2to3/")


def relay(work: Path, made: Path, cache: Path) -> Image:
    """A guest that sends datagrams on."""
    versions = _boot(work, made, cache)
    root = work / "root"
    versions |= packages.unpack(_AGENT, cache, root)
    program = {"usr/sbin/relay": File(_compiled("relay.c", work), 0o755)}
    ext4.write(made / "disk", {**_base(root, work), **program}, 32)
    return _image("relay", ("/usr/sbin/relay",), versions, made, 128)


def media(work: Path, made: Path, cache: Path) -> Image:
    """A guest for this control plane's media servers, those that need no GStreamer."""
    versions = _boot(work, made, cache)
    root = work / "root"
    versions |= packages.unpack((*_AGENT, *_PYTHON), cache, root)
    ours = bundle.collect()
    for name, path in ours.files.items():
        there = root / _PREFIX / name
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
    tree = {**_base(root, work), **_python(root)}
    ext4.write(made / "disk", tree, 384)
    return _image("media", (), versions | {"umbel": ours.id}, made, 384)


def _boot(work: Path, made: Path, cache: Path) -> dict[str, str]:
    """Make the kernel and what it boots with; answers the packages' versions."""
    root = work / "boot"
    for folder in (root, work / "root"):
        folder.mkdir()
    versions = packages.unpack([packages.latest(_KERNEL), _BUSYBOX], cache, root)
    (made / "kernel").write_bytes(next((root / "boot").glob("vmlinuz-*")).read_bytes())
    (made / "initrd").write_bytes(archive(_first_programs(root)))
    return dict(versions)


def _image(
    name: str, command: tuple[str, ...], versions: dict[str, str], made: Path, memory_mb: int
) -> Image:
    return Image(
        name=name,
        command=command,
        packages=versions,
        hashes={part: _hash(made / part) for part in PARTS},
        memory_mb=memory_mb,
    )


def _first_programs(boot: Path) -> Tree:
    modules = _modules(boot)
    order = "".join(f"{path.name}\n" for path in modules)
    tree: dict[str, Entry] = {"init": _ours("init"), "modules/order": File(order.encode())}
    tree |= {folder: Folder() for folder in ("dev", "proc", "sys", "sysroot")}
    tree |= {f"modules/{path.name}": File(path.read_bytes()) for path in modules}
    return {**tree, **_busybox(boot)}


def _busybox(boot: Path) -> Tree:
    links = {f"bin/{name}": Symlink("busybox") for name in _COMMANDS}
    return {"bin/busybox": File((boot / "usr/bin/busybox").read_bytes(), 0o755), **links}


def _modules(boot: Path) -> list[Path]:
    """The kernel modules that a guest needs, each after those that it depends on."""
    folder = next((boot / "usr/lib/modules").iterdir())
    for packed in folder.rglob("*.ko.xz"):
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
    by_name = {path.stem.replace("-", "_"): path for path in folder.rglob("*.ko")}
    found: list[str] = []

    def add(name: str) -> None:
        if name in found or name not in by_name:  # what is built in has no file
            return
        for needed in _depends(by_name[name]):
            add(needed)
        found.append(name)

    for name in _MODULES:
        add(name)
    return [by_name[name] for name in found]


def _depends(module: Path) -> list[str]:
    """The modules that it names in its section .modinfo."""
    start = module.read_bytes().partition(b"\0depends=")[2]
    names = start.partition(b"\0")[0].decode()
    return [name.replace("-", "_") for name in names.split(",") if name]


def _base(root: Path, work: Path) -> Tree:
    """What every guest's disk has."""
    tree: dict[str, Entry] = {folder: Folder() for folder in _FOLDERS}
    tree |= {f"sbin/{name}": _ours(name) for name in ("umbel-guest", "shutdown")}
    tree |= _busybox(work / "boot")
    return {**tree, **dict(_taken(root, _NEEDED))}


def _python(root: Path) -> Tree:
    """Python's own library and our packages, compiled: an emulated guest would take long for it."""
    for folder in (_LIBRARY, _PREFIX):
        compileall.compile_dir(
            root / folder,
            quiet=2,
            stripdir=str(root),
            prependdir="/",
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            workers=1,
        )
    tree: dict[str, Entry] = {
        f"{_PREFIX}/pyvenv.cfg": File(bundle.settings()),
        f"{_PREFIX}/bin/python": Symlink(f"/usr/bin/{_NAME}"),
    }
    return {**tree, **dict(_taken(root, (_LIBRARY, _PREFIX)))}


def _taken(root: Path, paths: Iterable[str]) -> Iterator[tuple[str, Entry]]:
    """The files and links at these paths, and below them."""
    for path in paths:
        top = root / path
        below = () if top.is_symlink() else sorted(top.rglob("*"))
        for one in (top, *below):
            name = one.relative_to(root).as_posix()
            if any(part in f"/{name}" for part in _LEFT_OUT):
                continue
            if one.is_symlink():
                yield name, Symlink(str(one.readlink()))
            elif one.is_file():
                yield name, File(one.read_bytes(), one.stat().st_mode & 0o755 | 0o444)


def _ours(name: str) -> File:
    return File((files("umbel.compute.images") / "guest" / name).read_bytes(), 0o755)


def _compiled(name: str, work: Path) -> bytes:
    source, program = work / name, work / Path(name).stem
    source.write_bytes(_ours(name).content)
    words = ["gcc", "-O2", "-static", "-s", "-Wl,--build-id=none", "-o", str(program), name]
    try:
        done = subprocess.run(words, capture_output=True, text=True, cwd=work, check=False)
    except FileNotFoundError:
        raise ImageNotBuilt("gcc is not installed") from None
    if done.returncode:
        raise ImageNotBuilt(f"gcc cannot compile {name}: {done.stderr.strip()[-400:]}")
    return program.read_bytes()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
