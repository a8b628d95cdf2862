"""Two containers that share a folder: their processes have the same numbers."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]
WRITE = """
import sys
from pathlib import Path
from umbel.kit import private
for _ in range(300):
    private.write(Path(sys.argv[1]), sys.argv[2].encode() * 100_000)
"""


def test_processes_of_the_same_number_do_not_write_into_each_others_drafts(tmp_path: Path) -> None:
    file = tmp_path / "key"
    first_of_its_namespace = ("unshare", "--pid", "--fork", "--kill-child")
    both = [
        subprocess.Popen([*first_of_its_namespace, sys.executable, "-c", WRITE, str(file), word])
        for word in ("a", "b")
    ]
    try:
        assert [one.wait(timeout=120) for one in both] == [0, 0]
    finally:
        for one in both:
            one.kill()
    assert file.read_bytes() in {b"a" * 100_000, b"b" * 100_000}
    assert list(tmp_path.iterdir()) == [file]
