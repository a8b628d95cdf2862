"""A process takes all the descriptors that it is allowed to have."""

import subprocess
import sys

_PROGRAM = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
from umbel.kit import descriptors
raised = descriptors.raise_limit()
print(raised, resource.getrlimit(resource.RLIMIT_NOFILE), descriptors.raise_limit())
"""


def test_the_limit_of_open_files_is_raised_to_what_is_allowed() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "512 (512, 512) 512"
