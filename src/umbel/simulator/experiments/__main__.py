"""`python -m umbel.simulator.experiments JSON`: what `umbel simulate` becomes. `request` says what
the JSON holds."""

import json
import os
import sys

import typer
from rich.console import Console

from umbel.kit.terminal import errors_on_stderr
from umbel.simulator.experiments import main
from umbel.simulator.experiments.request import FigureRequest, Name

_INTERRUPTED = 130


def _run() -> int:
    given = json.loads(sys.argv[1])
    request = FigureRequest(**{**given, "name": Name(given["name"])})
    console = Console()
    try:
        with errors_on_stderr():
            main.make(request, console)
    except typer.Exit as end:
        return end.exit_code
    except KeyboardInterrupt:
        console.print("stopped; what was computed is kept: run it again to go on")
        return _INTERRUPTED
    return 0


if __name__ == "__main__":
    code = _run()
    sys.stdout.flush()
    sys.stderr.flush()
    if code:
        # Processes of the pool die with this one; waiting for their tasks would take minutes.
        os._exit(code)
