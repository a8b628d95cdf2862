"""Disks of guests, made by the real programs and read again by them."""

import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from umbel.compute.drivers.libvirt.seed_disk import disk_image
from umbel.compute.images import build, ext4, packages
from umbel.compute.images.folder import Images
from umbel.compute.images.model import Image, ImageNotBuilt, NoSuchImage
from umbel.compute.images.tree import Entry, File, Folder, Symlink

TREE: dict[str, Entry] = {
    "sbin/init": File(b"#!/bin/sh\n", 0o755),
    "bin/sh": Symlink("busybox"),
    "run": Folder(),
    "etc/empty": File(b""),
}


def debugfs(disk: Path, request: str) -> str:
    words = ["/usr/sbin/debugfs", "-R", request, str(disk)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_the_same_tree_gives_the_same_disk(tmp_path: Path) -> None:
    for name in ("a", "b"):
        ext4.write(tmp_path / name, TREE, 4)
    ext4.write(tmp_path / "c", {**TREE, "etc/empty": File(b"no")}, 4)
    first, second, third = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == second != third
    assert debugfs(tmp_path / "a", "cat /sbin/init") == "#!/bin/sh\n"
    stat = debugfs(tmp_path / "a", "stat /sbin/init")
    assert "Mode:  0755" in stat
    assert "mtime: 0x00000001" in stat  # no disk says when it was made
    assert 'Fast link dest: "busybox"' in debugfs(tmp_path / "a", "stat /bin/sh")
    assert "Type: directory" in debugfs(tmp_path / "a", "stat /run")


def test_a_tree_that_does_not_fit_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ImageNotBuilt, match="debugfs cannot write"):
        ext4.write(tmp_path / "disk", {"big": File(bytes(range(256)) * 40960)}, 4)


@pytest.mark.skipif(which("apt-cache") is None, reason="images are built on Debian")
def test_a_package_that_apt_does_not_know_is_named(tmp_path: Path) -> None:
    wanted = ("no-such-package|nor-this-one", "busybox-static")
    with pytest.raises(ImageNotBuilt, match=r"no package no-such-package\|nor-this-one"):
        packages.unpack(wanted, tmp_path / "cache", tmp_path / "root")


def test_a_seed_is_read_again(tmp_path: Path) -> None:
    contents = {"meta-data": "{}\n", "user-data": "#cloud-config\n", "start": "exec true\n"}
    (tmp_path / "seed").write_bytes(disk_image(contents))
    words = ["xorriso", "-osirrox", "on", "-indev", str(tmp_path / "seed")]
    found = tmp_path / "found"
    subprocess.run([*words, "-extract", "/", str(found)], capture_output=True, check=True)
    assert {path.name: path.read_text() for path in found.iterdir()} == contents
    assert b"cidata" in (tmp_path / "seed").read_bytes()[0x8000:0x8800]


def test_images_are_kept_by_name_and_hash(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    images.folder.mkdir()
    kept = []
    for kernel in ("1", "2", "2"):
        image = Image(name="relay", command=("relay",), hashes={"kernel": kernel})
        (tmp_path / "made").mkdir(exist_ok=True)
        images.add(image, tmp_path / "made")
        kept.append(image)
    assert images.get("relay") == kept[1] == images.get(kept[1].id)
    assert images.get(kept[0].id) == kept[0]
    assert sorted(one.id for one in images.list()) == sorted({one.id for one in kept})
    damaged = images.folder / "relay-0" / "image.json"
    damaged.parent.mkdir()
    damaged.write_text('{"name": "relay"')
    assert sorted(one.id for one in images.list()) == sorted({one.id for one in kept})
    for name in ("other", "../relay", "", "relay/", "relay-0"):
        with pytest.raises(NoSuchImage):
            images.get(name)
    with pytest.raises(NoSuchImage, match="not one of the images: relay"):
        build.build("fax", images)


def test_without_a_hypervisor_libvirt_is_not_loaded() -> None:
    code = (
        "import sys; import umbel.cli, umbel.bootstrap, umbel.compute.drivers.libvirt.vim;"
        "sys.exit('libvirt' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
