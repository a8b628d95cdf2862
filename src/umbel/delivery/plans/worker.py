"""`python -m umbel.delivery.plans.worker`: one request from stdin, progress and the end on stdout.

In: one line of JSON, a request as `child` writes it, or a result to draw; stdin stays open while
the asker lives, and its end ends this process, so that no solver is left behind. Out: lines of JSON
with `progress`, and at last one with `result` or `error`.
"""

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umbel.delivery.plans import drawing, work
from umbel.delivery.plans.model import Asked
from umbel.kit.errors import UmbelError

_ORPHANED = 3


def main() -> None:
    """Do one request."""
    request: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with, args=(sys.stdin.fileno(),), daemon=True).start()
    pictures = request.pop("pictures", None)
    if "made" in request:
        _say({"result": {"pictures": drawing.draw(request["made"], Path(pictures))}})
        return
    asked = Asked(**{**request, "rows": tuple(request["rows"])})
    try:
        made = work.run(asked, lambda progress: _say({"progress": progress}))
        if pictures:
            _say({"progress": {"stage": "drawing"}})
            made["pictures"] = drawing.draw(made, Path(pictures))
        _say({"result": made})
    except UmbelError as error:
        told = {"code": error.code, "message": error.message, "details": dict(error.details)}
        _say({"error": told})


def _say(message: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(message, default=str) + "\n")
    sys.stdout.flush()


def _end_with(asker: int) -> None:
    # Not sys.stdin: its lock would be held by this thread when the interpreter ends.
    while os.read(asker, 4096):
        pass
    os._exit(_ORPHANED)


if __name__ == "__main__":
    main()
