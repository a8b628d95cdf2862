"""`umbel simulate`: options in; the process becomes one that has numpy, HiGHS and numba.

They take seconds and a hundred megabytes to import, and `umbel media` starts by the same command
line: so nothing of them is imported here, and nothing is left of this process once it is asked.
"""

import json
import os
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from umbel.kit.errors import Unavailable
from umbel.kit.terminal import errors_on_stderr
from umbel.simulator.experiments.request import FigureRequest, Name

_NEEDED = ("highspy", "matplotlib", "numba", "numpy", "scipy", "sklearn")


class NoSimulator(Unavailable):
    """The simulator's packages are not installed."""

    code = "umbel.no_simulator"


class NoRay(Unavailable):
    """Ray is not installed."""

    code = "umbel.no_ray"


def run(
    figure: Annotated[Name, typer.Argument(help="a figure of the paper, or all")],
    out: Annotated[
        Path, typer.Option(help="folder for tables, pictures and the results behind them")
    ] = Path("figures"),
    quick: Annotated[
        bool, typer.Option("--quick", help="a small instance: under a minute a figure")
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=0, max=1024, help="number of processes; 0: one for each CPU")
    ] = 0,
    ray: Annotated[bool, typer.Option("--ray", help="distribute the work by Ray")] = False,
) -> None:
    """Make a figure of the ViRCA paper, as CSV and PNG. Figures are fig3 to fig10, assumptions
    (what changes its two power gains), or all. A second run continues where the first one stopped.
    """
    request = FigureRequest(
        name=figure,
        out=str(out),
        quick=quick,
        jobs=jobs or len(os.sched_getaffinity(0)),
        ray=ray,
    )
    with errors_on_stderr():
        check(ray=ray)
    sys.stdout.flush()
    sys.stderr.flush()
    words = [sys.executable, "-m", "umbel.simulator.experiments", json.dumps(asdict(request))]
    # One thread for each process: they share the machine by processes.
    os.execve(sys.executable, words, {**os.environ, "OMP_NUM_THREADS": "1"})  # noqa: S606


def check(*, ray: bool, needed: tuple[str, ...] = _NEEDED) -> None:
    """Raises NoSimulator, NoRay: what to install is in the message."""
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise NoSimulator(
            f"the simulator needs {', '.join(missing)}: pip install 'umbel[simulator]'"
        )
    if ray and find_spec("ray") is None:
        raise NoRay("--ray needs Ray, which Umbel does not install: pip install 'ray>=2.40'")
