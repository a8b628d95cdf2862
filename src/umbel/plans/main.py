"""`umbel plan`: a network file and a demand file in, the plan printed, drawn and written.

The solving is `child`'s; here files are read, progress and the result are shown.
"""

import asyncio
import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from umbel.kit.terminal import errors_on_stderr
from umbel.network.documents import read_document
from umbel.planner.problem import Variant
from umbel.plans import child, demands, report, requests
from umbel.plans.model import PlanRequest
from umbel.plans.requests import BadPlanRequest


def run(  # noqa: PLR0913, PLR0917 -- one argument per option
    network: Annotated[Path, typer.Argument(help="the network file (YAML)")],
    demand: Annotated[Path, typer.Argument(help="the bundles of requests (CSV)")],
    gamma: Annotated[
        float | None, typer.Option(help="weight of quality; 1: as much as all the power")
    ] = None,
    qoe: Annotated[
        str | None, typer.Option(help="least power for this quality: a QoE, or a share as 90%")
    ] = None,
    variant: Annotated[
        Variant, typer.Option(help="virca2: no base band moves; virca3: caches at the ends only")
    ] = Variant.VIRCA,
    pareto: Annotated[int, typer.Option(help="compute a Pareto front of so many points")] = 0,
    time_s: Annotated[float, typer.Option(help="seconds of solving, for each point")] = 60.0,
    gap_share: Annotated[
        float, typer.Option(help="largest gap to the optimum, as a share of full power")
    ] = 0.005,
    out: Annotated[Path, typer.Option(help="folder for the plan, the front and pictures")] = Path(
        "plan"
    ),
    why: Annotated[bool, typer.Option("--why", help="also explain the plan")] = False,
) -> None:
    """Plan a network: which nodes are on, where base bands, caches and transcoders run, and the
    paths of requests. Without --gamma, --qoe and --pareto, gamma is 1.
    """
    console = Console()
    with errors_on_stderr():
        rows, wrong = demands.read_csv(_text(demand))
        request = PlanRequest(
            document=read_document(network),
            rows=rows,
            gamma=1.0 if gamma is None and qoe is None and not pareto else gamma,
            qoe=qoe,
            variant=variant.value,
            points=pareto,
            time_s=time_s,
            gap_share=gap_share,
        )
        if wrong:
            raise BadPlanRequest(f"{demand} cannot be read", problems=wrong)
        requests.problem_of(request)
        made = asyncio.run(_solved(request, out, console))
    _write(made, out)
    report.show(made, console, why=why)
    names = ", ".join(str(out / name) for name in _names(made))
    console.print(f"written: {names}", highlight=False, soft_wrap=True)
    if not _is_there(made):
        raise typer.Exit(1)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadPlanRequest(f"{path} cannot be read", problems=[str(error)]) from None


async def _solved(request: PlanRequest, out: Path, console: Console) -> dict[str, Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=request.points or None)

        async def on_progress(progress: Mapping[str, object]) -> None:
            done = progress.get("done")
            bar.update(
                task,
                description=_stage(progress),
                completed=done if isinstance(done, int) else None,
            )

        return await child.run(request, on_progress, pictures=out)


def _stage(progress: Mapping[str, object]) -> str:
    gap = progress.get("gap")
    return f"{progress.get('stage')}" + (f", gap {gap:.0f} W" if isinstance(gap, float) else "")


def _is_there(made: Mapping[str, Any]) -> bool:
    return "front" in made or made["plan"] is not None


def _names(made: Mapping[str, Any]) -> list[str]:
    tables = ["front.csv", "front.json"] if "front" in made else ["plan.json"]
    return [*tables, *made.get("pictures", ())]


def _write(made: Mapping[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({k: v for k, v in made.items() if k != "pictures"}, indent=1)
    (out / ("front.json" if "front" in made else "plan.json")).write_text(text + "\n")
    if "front" in made:
        with (out / "front.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(made["front"][0]))
            writer.writeheader()
            writer.writerows(made["front"])
