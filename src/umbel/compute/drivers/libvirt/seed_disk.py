"""A guest's seed as a disk, made by xorriso."""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from umbel.compute.drivers.libvirt.seed import LABEL
from umbel.compute.ports import CannotRun

_MAKE_WITHIN_S = 60


class SeedNotMade(CannotRun):
    """The guest's seed cannot be made here; install xorriso."""

    code = "umbel.seed_not_made"


def disk_image(contents: Mapping[str, str]) -> bytes:
    """The files as a disk that is read only (ISO 9660). Raises SeedNotMade."""
    with tempfile.TemporaryDirectory(prefix="umbel-seed-") as folder:  # for its owner alone
        for name, text in contents.items():
            (Path(folder) / name).write_text(text)
        words = ["xorriso", "-as", "genisoimage", "-quiet", "-volid", LABEL, "-joliet", "-rock"]
        try:
            done = subprocess.run(
                [*words, "-output", "-", folder],
                capture_output=True,
                timeout=_MAKE_WITHIN_S,
                check=False,
            )
        except FileNotFoundError:
            raise SeedNotMade("xorriso is not installed") from None
        except subprocess.TimeoutExpired:
            raise SeedNotMade(f"xorriso took longer than {_MAKE_WITHIN_S} s") from None
    if done.returncode:
        raise SeedNotMade(f"xorriso failed: {done.stderr.decode(errors='replace')[-300:]}")
    return done.stdout
