"""Large files go to a disk where there is one: tmpfs is memory."""

import os
from pathlib import Path

from umbel.kit import scratch

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /run rw,nosuid shared:5 master:2 - tmpfs tmpfs rw,size=800k
31 22 0:27 / /a\\040folder rw,nosuid - ramfs none rw
"""


def test_the_type_of_a_file_system() -> None:
    found = [
        scratch.file_system(MOUNTS, os.makedev(major, minor))
        for major, minor in ((8, 1), (0, 26), (0, 27), (0, 99))
    ]
    assert found == ["ext4", "tmpfs", "ramfs", ""]


def test_memory_is_the_last_choice(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    mounts = Path("/proc/self/mountinfo").read_text()
    assert scratch.file_system(mounts, memory.stat().st_dev) == "tmpfs"
    assert scratch.folder([memory, tmp_path]) == tmp_path
    assert scratch.folder([tmp_path, memory]) == tmp_path
    assert scratch.folder([memory]) != memory, "/var/tmp is on a disk"


def test_what_cannot_be_written_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for cannot in ("nowhere", "file"):
        assert scratch.folder([tmp_path / cannot, tmp_path]) == tmp_path
