"""A media server that is started before it is needed: `python -m umbel.media.prepared ROOM`.

In: one line of JSON on stdin, once it is needed: its words, its environment and its log. Out: the
process is that media server from then on; without a line it ends. Neighbour: the process VIM.
"""

import json
import os
import sys

import typer

from umbel.kit import proctitle
from umbel.media.main import run


def main() -> None:
    """Wait, then be it."""
    line = sys.stdin.buffer.readline()
    if not line:  # who prepared it has ended, or needs it no more
        return
    order = json.loads(line)
    os.environ.clear()
    os.environ.update(order["environment"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, own in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(target, own)
    proctitle.show(order["words"], order["environment"], order["name"])
    sys.argv = ["umbel.media", *order["words"][order["begin"] :]]
    typer.run(run)


if __name__ == "__main__":
    main()
