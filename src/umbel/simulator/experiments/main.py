"""Makes what was asked for: missing results first, each kept as it comes; then tables, pictures,
and how they compare with the paper. Files and the terminal are here, decisions elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from umbel.simulator.experiments import drawing, pools, table
from umbel.simulator.experiments.experiment import Claim, Experiment
from umbel.simulator.experiments.experiment import table as csv_of
from umbel.simulator.experiments.pools import Pool
from umbel.simulator.experiments.request import FigureRequest, Name
from umbel.simulator.experiments.results import Results, write
from umbel.simulator.experiments.tasks import Task, label


def make(request: FigureRequest, console: Console, pool: Pool | None = None) -> None:
    """Everything. Raises CannotKeep, WorkerLost, and what a task raises; results stand."""
    out = Path(request.out)
    results = Results(out / "results")
    pool = pool or pools.pool(request.jobs, ray=request.ray)
    wanted = table.named(request.name)
    tasks = {task: None for each in wanted.values() for task in each.cases(request.quick).values()}
    compute(list(tasks), results, pool, console)
    for name, experiment in wanted.items():
        show(name, experiment, publish(name, experiment, results, request), out, console)


def compute(tasks: Sequence[Task], results: Results, pool: Pool, console: Console) -> None:
    """Do those tasks that were not done before."""
    missing = [task for task in tasks if results.get(task) is None]
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        kept = len(tasks) - len(missing)
        shown = bar.add_task("computing", total=len(tasks), completed=kept)
        for task, made in pool(missing):
            results.keep(task, made)
            bar.update(shown, advance=1, description=label(task))
        bar.update(shown, description=f"{len(missing)} computed, {kept} kept from before")


def publish(
    name: Name, experiment: Experiment, results: Results, request: FigureRequest
) -> list[Claim]:
    """NAME.csv and NAME.png, out of results that are all there."""
    found = {}
    for case, task in experiment.cases(request.quick).items():
        made = results.get(task)
        assert made is not None, "computed before"
        found[case] = made
    rows = experiment.rows(found)
    out = Path(request.out)
    write(out / f"{name.value}.csv", csv_of(rows).encode())
    write(out / f"{name.value}.png", drawing.png(experiment.draw(rows)))
    return experiment.claims(rows)


def show(
    name: Name, experiment: Experiment, claims: Sequence[Claim], out: Path, console: Console
) -> None:
    """The claims as a table, and what was written."""
    shown = Table(title=f"{name.value}: {experiment.title}", title_justify="left")
    for heading in ("what", "the paper", "this run"):
        shown.add_column(heading)
    for claim in claims:
        shown.add_row(claim.what, claim.paper, claim.ours)
    console.print(shown)
    names = ", ".join(str(out / f"{name.value}.{kind}") for kind in ("csv", "png"))
    console.print(f"written: {names}", highlight=False, soft_wrap=True)
