"""`python -m umbel.playout.inside.main`: one worker process, for one file.

In: a JSON line on stdin that says what to do, the file's bytes on a socket. Out: JSON lines on
stdout. It ends with its parent, and with what it does. Neighbour: umbel.playout.worker.
"""

import base64
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from umbel.kit import prctl
from umbel.kit.errors import UmbelError
from umbel.playout.inside.blocks import Blocks

_MIB = 1 << 20
_NICENESS = 5


def main() -> None:
    """Do it."""
    prctl.die_with_parent(signal.SIGKILL)
    asked = json.loads(sys.stdin.readline())
    if os.getppid() != asked["parent"]:
        os._exit(3)
    # Libraries may print: keep stdout for our lines alone.
    out = os.dup(1)
    os.dup2(2, 1)
    size = asked["memory_mb"] * _MIB
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    blocks = Blocks(socket.socket(fileno=asked["blocks"]), asked["size"])
    try:
        is_probe = asked["op"] == "probe"
        _tell(out, _probed(blocks, asked) if is_probe else _played(blocks, asked, out))
    except UmbelError as error:
        _tell(out, {"event": "refused", "message": error.message})
    sys.stderr.flush()
    os._exit(0)  # GStreamer's threads are not waited for


def _probed(blocks: Blocks, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    from umbel.playout.inside.probe import probe  # noqa: PLC0415 -- GStreamer, after the limits

    os.nice(_NICENESS)
    facts, jpeg = probe(blocks, asked["size"], asked["most_pixels"])
    return {"event": "probed", "facts": facts, "jpeg": base64.b64encode(jpeg).decode()}


def _played(blocks: Blocks, asked: Mapping[str, Any], out: int) -> Mapping[str, Any]:
    from umbel.playout.inside.play import Player  # noqa: PLC0415 -- GStreamer, after the limits

    player = Player(blocks, asked["size"], asked["uri"], asked["key"])
    player.run(asked["position_s"], lambda at: _tell(out, {"event": "position", "position_s": at}))
    return {"event": "ended"}


def _tell(out: int, message: Mapping[str, Any]) -> None:
    line = json.dumps(message).encode() + b"\n"
    while line:
        line = line[os.write(out, line) :]


if __name__ == "__main__":
    main()
