"""`python -m umbel.kit.apart_child MODULE:FUNCTION ASKER_PID`: does one thing for `apart` and ends.

In: the pickled arguments on stdin; only the asker writes there. Out: messages on stdout. It yields
the CPU to media, and dies with its asker. What libraries print goes to stderr.
"""

import ctypes
import importlib
import os
import pickle
import signal
import sys
from typing import BinaryIO

from umbel.kit.apart import HEAD
from umbel.kit.errors import UmbelError

_PR_SET_PDEATHSIG = 1
_NICENESS = 10
_ORPHANED = 3


def main(target: str, asker: int) -> None:
    """Do it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != asker:
        sys.exit(_ORPHANED)
    os.nice(_NICENESS)
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        arguments, tells = pickle.load(sys.stdin.buffer)  # noqa: S301 -- our asker wrote it
        module, _, name = target.partition(":")
        function = getattr(importlib.import_module(module), name)
        more = [lambda progress: _send(out, "progress", progress)] if tells else []
        try:
            made = function(*arguments, *more)
        except UmbelError as error:
            _send(out, "raised", error)
        else:
            _send(out, "returned", made)


def _send(out: BinaryIO, kind: str, what: object) -> None:
    message = pickle.dumps((kind, what))
    out.write(HEAD.pack(len(message)) + message)
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
