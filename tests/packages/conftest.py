"""The Debian package that all tests of packages share."""

import os
from pathlib import Path

import pytest

from support.packages import INSTALLS_S, ROOT, run


@pytest.fixture(scope="session")
def deb() -> Path:
    """The package, built now: UMBEL_DEB names one that is there."""
    if ready := os.environ.get("UMBEL_DEB"):
        return Path(ready).resolve()
    run("scripts/package", "deb", within_s=INSTALLS_S)
    (built,) = (ROOT / "build" / "packages").glob("umbel_*.deb")
    return built
