"""The guard in conftest.py catches what unit tests may not use."""

import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    "impure",
    [
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        lambda: subprocess.run([sys.executable, "-V"], check=False),
        lambda: sqlite3.connect(":memory:"),
    ],
)
def test_what_is_impure_is_refused(impure: Callable[[], object], pure: list[str]) -> None:
    with pytest.raises(AssertionError, match="a unit test may not use"):
        impure()
    assert len(pure) == 1
    pure.clear()
