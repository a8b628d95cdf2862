"""The compiled engine in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"

COMPILE_SOMETHING = """
import numpy as np
from umbel.simulator import core
print(core._lane_of(7, 0, 0, np.zeros(0, dtype=np.int64)))
"""


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same() -> None:
    """As in an installation of root's, run by a user without a home."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILE_SOMETHING],
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": str(SRC),
            "NUMBA_CACHE_LOCATOR_CLASSES": "ZipCacheLocator",
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stdout == "-1\n", done.stderr
