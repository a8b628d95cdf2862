"""A solver in a process of its own: a pickled Job on stdin, a pickled Answer on stdout.

`python -m umbel.planner.worker`; only its parent writes to it. It yields the CPU to media, and
dies with its parent. A problem that cannot be solved as stated ends it with its error on stdout.
"""

import ctypes
import os
import pickle
import signal
import sys

from umbel.kit.errors import UmbelError
from umbel.planner import jobs

_PR_SET_PDEATHSIG = 1
_NICENESS = 10


def main() -> None:
    """One job."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(_NICENESS)
    job: jobs.Job = pickle.load(sys.stdin.buffer)  # noqa: S301 -- our parent wrote it
    answer: jobs.Answer | UmbelError
    try:
        answer = jobs.run(job)
    except UmbelError as error:
        answer = error
    sys.stdout.buffer.write(pickle.dumps(answer))


if __name__ == "__main__":
    main()
