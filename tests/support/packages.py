"""What tests of packages share: programs run to their end, and the Debian that this machine has."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALLS_S = 1200.0
MARKS = [
    pytest.mark.packages,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mmdebstrap and chroot"),
]


def run(*words: str | Path, within_s: float = 120.0, **env: str) -> str:
    """What the command says; it must succeed."""
    done = subprocess.run(
        list(map(str, words)),
        cwd=ROOT,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def release() -> str:
    """The code name of this machine's Debian."""
    found = re.search(r"VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text())
    assert found is not None
    return found[1]
