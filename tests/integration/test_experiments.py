"""The paper's figures: keys, what is kept, pools, rows, pictures, and what the command refuses."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer.testing
from rich.console import Console

from umbel.cli import app
from umbel.kit.errors import UmbelError
from umbel.planner.problem import Variant
from umbel.simulator.config import BadConfig, Config, Phase, Steering, Topology
from umbel.simulator.experiments import crowd, drawing, main, pareto, plans, pools, table, work
from umbel.simulator.experiments.command import NoRay, NoSimulator, check
from umbel.simulator.experiments.experiment import table as csv_of
from umbel.simulator.experiments.pools import WorkerLost
from umbel.simulator.experiments.request import FigureRequest, Name
from umbel.simulator.experiments.results import CannotKeep, Results
from umbel.simulator.experiments.tasks import Optimum, Simulation, Task, key

PNG = b"\x89PNG\r\n\x1a\n"
SMALL = Config(
    steering=Steering.VIRCA3,
    phases=(Phase(duration_s=300.0, loads=(0.05,)),),
    catalogue=300,
    clusters=3,
)
PLAN = Optimum(config=SMALL, load=0.02)
MADE: dict[str, Any] = {"meaning": "optimal", "qoe": 1.5}


class Counting:
    """A pool that gives an answer to so many tasks, then breaks; it remembers what it was given."""

    def __init__(self, answers: int) -> None:
        self.answers = answers
        self.asked: list[Task] = []

    def __call__(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, dict[str, Any]]]:
        self.asked = list(tasks)
        for number, task in enumerate(tasks):
            if number == self.answers:
                raise WorkerLost("as if killed")
            yield task, {**MADE, "seed": task.config.seed}


def quiet() -> Console:
    with Path(os.devnull).open("w") as nowhere:
        return Console(file=nowhere, quiet=True)


def seeds(count: int) -> list[Optimum]:
    return [replace(PLAN, config=replace(SMALL, seed=seed)) for seed in range(count)]


# -- keys and what is kept ------------------------------------------------------------------


def test_a_key_is_that_of_equal_tasks_in_every_process() -> None:
    program = (
        "from umbel.simulator.config import *\n"
        "from umbel.simulator.experiments.tasks import *\n"
        "phases = (Phase(duration_s=300.0, loads=(0.05,)),)\n"
        "small = {'phases': phases, 'catalogue': 300, 'clusters': 3}\n"
        "config = Config(steering=Steering.VIRCA3, **small)\n"
        "print(key(Optimum(config=config, load=0.02)))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert other.stdout.strip() == key(PLAN)


def test_every_field_of_a_task_is_in_its_key() -> None:
    other: list[Optimum | Simulation] = [
        replace(PLAN, load=0.03),
        replace(PLAN, floor=0.5),
        replace(PLAN, gap_share=0.01),
        replace(PLAN, bypass=False),
        replace(PLAN, more_reach=1),
        replace(PLAN, config=replace(SMALL, seed=2)),
        replace(PLAN, config=replace(SMALL, phases=(Phase(duration_s=301.0, loads=(0.05,)),))),
        Simulation(config=SMALL, bin_s=60.0),
        Simulation(config=SMALL, bin_s=61.0),
    ]
    keys = {key(task) for task in [PLAN, *other]}
    assert len(keys) == len(other) + 1


def test_tasks_that_mean_nothing_are_refused() -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"load": 0.0},
        {"load": float("nan")},
        {"floor": 1.1},
        {"floor": -0.1},
    )
    for change in changes:
        with pytest.raises(BadConfig):
            replace(PLAN, **change)
    with pytest.raises(BadConfig):
        Simulation(config=SMALL, bin_s=0.0)


def test_what_is_kept_is_found_again_and_what_is_damaged_is_not(tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    assert results.get(PLAN) is None
    results.keep(PLAN, MADE)
    assert Results(tmp_path / "results").get(PLAN) == MADE
    (kept,) = (tmp_path / "results").iterdir()
    whole = kept.read_text()
    assert json.loads(whole)["task"]["load"] == PLAN.load
    for damaged in (whole[:-5], "", "[1]", '{"made": 3}', "\x00", "null"):
        kept.write_text(damaged)
        assert results.get(PLAN) is None


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotKeep, match="file"):
        Results(tmp_path / "file").keep(PLAN, MADE)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    results, tasks = Results(tmp_path), seeds(5)
    first = Counting(answers=2)
    with pytest.raises(WorkerLost):
        main.compute(tasks, results, first, quiet())
    second = Counting(answers=9)
    main.compute(tasks, results, second, quiet())
    assert second.asked == tasks[2:]
    third = Counting(answers=9)
    main.compute(tasks, results, third, quiet())
    assert third.asked == []
    assert [results.get(task) for task in tasks] == [
        {**MADE, "seed": seed} for seed in range(len(tasks))
    ]


# -- pools ----------------------------------------------------------------------------------


def test_processes_give_what_this_one_gives() -> None:
    ((_task, apart),) = pools.pool(2, ray=False)([PLAN])
    ((task, made),) = pools.pool(1, ray=False)([PLAN])
    assert task == PLAN
    assert {**made, "solver_s": 0.0} == {**apart, "solver_s": 0.0}


def test_a_worker_that_is_killed_is_told() -> None:
    with pytest.raises(WorkerLost, match="kept"):
        list(pools.in_processes([Suicide()], 2))  # type: ignore[list-item]


class Suicide:
    """A task whose worker ends as the out-of-memory killer would end it."""

    @property
    def config(self) -> Config:
        os.kill(os.getpid(), signal.SIGKILL)
        return SMALL


def test_what_is_missing_is_named_with_how_to_install_it() -> None:
    check(ray=False)
    with pytest.raises(NoSimulator, match=r"no_such_package: pip install 'umbel\[simulator\]'"):
        check(ray=False, needed=("json", "no_such_package"))


@pytest.mark.skipif("ray" in sys.modules, reason="Ray is loaded")
def test_ray_is_asked_for_by_name() -> None:
    try:
        check(ray=True)
    except NoRay as error:
        assert "pip install 'ray" in error.message


# -- what is computed -----------------------------------------------------------------------


def test_a_plan_is_within_physics() -> None:
    made = work.done(PLAN)
    parts = [watts for level in made["levels"] for watts in level.values()]
    assert min(parts) >= 0
    assert 0 < sum(parts) <= made["full_w"]
    assert 0 <= made["qoe"] <= made["best_qoe"] * (1 + 1e-9)
    assert made["bound_w"] <= made["objective_w"]
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_a_floor_beyond_reach_is_a_value() -> None:
    made = work.done(replace(PLAN, floor=1.0, config=replace(SMALL, servers=1)))
    assert made["meaning"] == "infeasible"
    assert made["qoe"] is None
    assert "levels" not in made
    assert plans.watts(made)["power_w"] is None


def test_virca_takes_the_best_plan_that_is_also_its_own() -> None:
    def made(objective_w: float | None, bound_w: float) -> dict[str, Any]:
        return {"objective_w": objective_w, "bound_w": bound_w, "gap_w": 7.0, "qoe": 1.0}

    found = {
        (1, "virca", "x"): made(50.0, 20.0),
        (1, "virca2", "x"): made(30.0, 29.0),
        (1, "virca3", "x"): made(None, 0.0),
        (2, "virca", "x"): made(10.0, 9.0),
        (2, "virca2", "x"): made(11.0, 10.0),
    }
    best = plans.best(found)
    assert (best[1, "virca", "x"]["by"], best[1, "virca", "x"]["gap_w"]) == ("virca2", 10.0)
    assert (best[2, "virca", "x"]["by"], best[2, "virca", "x"]["gap_w"]) == ("virca", 1.0)
    assert best[1, "virca2", "x"]["gap_w"] == 7.0
    assert best[1, "virca3", "x"]["objective_w"] is None


def test_a_front_leaves_out_what_is_beaten() -> None:
    points = [(1.0, 5.0), (2.0, 4.0), (2.0, 9.0), (3.0, 20.0), (2.5, 21.0)]
    made = [{"qoe": qoe, "power_w": 1000 * kw} for qoe, kw in points]
    kept = pareto.front([*made, {"qoe": None, "power_w": None}])
    assert [(row["qoe"], row["power_w"]) for row in kept] == [(2.0, 4000.0), (3.0, 20000.0)]


def test_gains_are_at_the_highest_floor_that_both_reach() -> None:
    def row(variant: str, floor: float, power_w: float | None) -> dict[str, Any]:
        return {"variant": variant, "goal": "floor", "value": floor, "power_w": power_w}

    made = [row("virca", 0.5, 60.0), row("virca2", 0.5, 80.0)]
    made += [row("virca", 0.9, 90.0), row("virca2", 0.9, 100.0)]
    made += [row("virca", 0.99, 95.0), row("virca2", 0.99, None)]
    floor, gain = pareto.top_gain(made)
    assert floor == 0.9
    assert gain == pytest.approx(0.1)


def test_all_figures_have_tasks_that_are_no_others() -> None:
    for quick in (True, False):
        assert set(table.named(Name.ALL)) == set(Name) - {Name.ALL}
        every = [e.cases(quick) for e in table.named(Name.ALL).values()]
        assert all(every)
        for cases in every:
            assert len({key(task) for task in cases.values()}) == len(cases)
    figures = table.EXPERIMENTS
    fig8 = set(figures[Name.FIG8].cases(False).values())
    assert fig8 < set(figures[Name.FIG9].cases(False).values())
    assert figures[Name.FIG6].cases(False) == figures[Name.FIG7].cases(False)


# -- one run from end to end ----------------------------------------------------------------


def test_a_simulation_is_within_physics_and_drawn(tmp_path: Path) -> None:
    quarters = tuple(Phase(duration_s=180.0, loads=loads) for loads in crowd.CROWD)
    config = replace(SMALL, phases=quarters, gamma=10.0, sample_s=60.0, rca_s=75.0, virca_s=150.0)
    made = work.done(Simulation(config=config, bin_s=36.0))
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert sum(one["requests"] for one in made["classes"]) == made["totals"]["requests"]
    rows = table.EXPERIMENTS[Name.FIG8].rows({("virca3", 12): made})
    assert len(rows) == 20
    assert sum(float(row["requests"] or 0) for row in rows) == made["totals"]["requests"]
    nodes = made["nodes"]
    for row in rows:
        assert 0 < number(row, "power_w") <= made["full_w"]
        assert 0 <= number(row, "nodes_on") <= nodes
        assert number(row, "nodes_on_share") == pytest.approx(number(row, "nodes_on") / nodes)
        for name in ("relative_rate", "multipath_share"):
            assert row[name] is None or 0 <= number(row, name) <= 1 + 1e-9
        refused = sum(number(row, name) for name, *_look in drawing.CAUSES)
        assert 0 <= refused <= number(row, "requests")
    assert "virca" in " ".join(str(row["marks"]) for row in rows)
    figure = table.EXPERIMENTS[Name.FIG8].draw(rows)
    picture = drawing.png(figure)
    assert picture.startswith(PNG)
    assert picture == drawing.png(table.EXPERIMENTS[Name.FIG8].draw(rows))
    read = list(csv.DictReader(csv_of(rows).splitlines()))
    assert [float(row["power_w"]) for row in read] == pytest.approx(
        [number(row, "power_w") for row in rows], rel=1e-5
    )


def number(row: Any, name: str) -> float:
    return float(row[name])


def small(tasks: Sequence[Task]) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Every task with few contents: seconds for all of a figure's."""
    for task in tasks:
        few = replace(task.config, catalogue=300, clusters=2)
        yield task, work.done(replace(task, config=few))


def test_the_smallest_figure_and_what_a_later_run_finds(tmp_path: Path) -> None:
    main.make(FigureRequest(name=Name.FIG5, out=str(tmp_path), quick=True), quiet(), small)
    table_before = (tmp_path / "fig5.csv").read_bytes()
    picture_before = (tmp_path / "fig5.png").read_bytes()
    assert picture_before.startswith(PNG)
    check_fig5(list(csv.DictReader(table_before.decode().splitlines())))
    assert len(list((tmp_path / "results").iterdir())) == 8
    (tmp_path / "fig5.csv").unlink()
    command = [sys.executable, "-m", "umbel", "simulate", "fig5", "--quick"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env={**os.environ, "COLUMNS": "160"},
    )
    assert done.returncode == 0, done.stderr
    assert "0 computed, 8 kept" in done.stdout
    assert "load 0.05: share of the power above the end nodes" in done.stdout
    assert (tmp_path / "fig5.csv").read_bytes() == table_before
    assert (tmp_path / "fig5.png").read_bytes() == picture_before


def check_fig5(rows: list[dict[str, str]]) -> None:
    """Its shape, and watts between one idle node and everything on."""
    levels = ("PoP", "level 1", "level 2", "end nodes")
    assert [row["where"] for row in rows] == [*levels] * 4
    for load in ("0.01", "0.05", "0.2", "1"):
        some = [row for row in rows if row["load"] == load]
        assert len(some) == len(levels)
        watts = [float(row[part]) for row in some for part, *_look in drawing.PARTS]
        assert min(watts) >= 0
        assert 6570 <= sum(watts) <= float(some[0]["full_w"])
        assert 0 <= float(some[0]["qoe_share"]) <= 1 + 1e-9


# -- what the command refuses ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fig2"], "fig2"),
        (["fig3", "--jobs", "-1"], "--jobs"),
        (["fig3", "--jobs", "many"], "--jobs"),
        (["fig3", "--slow"], "--slow"),
    ],
)
def test_bad_arguments_are_named(words: list[str], said: str) -> None:
    done = typer.testing.CliRunner().invoke(app, ["simulate", *words], env={"COLUMNS": "160"})
    assert done.exit_code == 2
    assert said in done.output
    assert "Traceback" not in done.output


def test_a_folder_that_is_a_file_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UmbelError, match="cannot be written"):
        main.make(
            FigureRequest(name=Name.FIG5, out=str(tmp_path / "file"), quick=True),
            quiet(),
            Counting(answers=100),
        )


def test_the_effort_of_quick_figures_is_bounded() -> None:
    for experiment in table.EXPERIMENTS.values():
        for task in experiment.cases(True).values():
            assert task.config.solver_s <= 6
            assert task.config.end_s <= 3600
    assert plans.network(True) is Topology.FMC_TREE
    assert plans.optimum(True, Topology.FMC_TREE, Variant.VIRCA2, 0.1).config.steering == "virca2"
