"""`umbel plan`: the plan printed, written and drawn by a real worker; faults are told."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.testing

from support import plan_files
from umbel.cli import app

Run = Callable[..., Any]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The command on the small network, with the files' texts to choose."""

    def call(
        *options: str, network: str = plan_files.NETWORK, demand: str = plan_files.DEMAND
    ) -> Any:
        (tmp_path / "network.yaml").write_text(network)
        (tmp_path / "demand.csv").write_text(demand)
        files = [str(tmp_path / "network.yaml"), str(tmp_path / "demand.csv")]
        command = ["plan", *files, "--out", str(tmp_path / "out"), *options]
        return typer.testing.CliRunner().invoke(app, command, env={"COLUMNS": "160"})

    return call


def test_a_plan_is_printed_written_and_drawn(run: Run, tmp_path: Path) -> None:
    done = run("--gamma", "2", "--why")
    assert done.exit_code == 0, done.output
    assert "optimal within the gap" in done.output
    for text in ("cell-1", "base bands of", "homes hang on it"):
        assert text in done.output
    made = json.loads((tmp_path / "out" / "plan.json").read_text())
    on = [node["name"] for node in made["plan"]["nodes"] if node["switch_on"]]
    assert {"pop", "home"} <= set(on)
    assert (tmp_path / "out" / "plan.png").read_bytes().startswith(PNG)


def test_a_floor_is_kept_at_least_power(run: Run, tmp_path: Path) -> None:
    done = run("--qoe", "50%", "--variant", "virca3")
    assert done.exit_code == 0, done.output
    made = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert made["plan"]["qoe"] >= 0.499 * made["full_qoe"]
    assert made["plan"]["variant"] == "virca3"


def test_a_front_is_a_table_and_a_picture(run: Run, tmp_path: Path) -> None:
    done = run("--pareto", "4")
    assert done.exit_code == 0, done.output
    with (tmp_path / "out" / "front.csv").open(newline="") as file:
        points = list(csv.DictReader(file))
    assert len(points) == 4
    ideal = [float(point["power_w"]) for point in points if point["ideal"] == "True"]
    assert len(ideal) >= 2
    assert ideal == sorted(ideal)
    assert (tmp_path / "out" / "front.png").read_bytes().startswith(PNG)


def test_no_plan_names_what_is_short(run: Run) -> None:
    network = plan_files.NETWORK.replace("mobile,", "mobile, bbu_vcpus: 900,")
    done = run(network=network)
    assert done.exit_code == 1
    assert "there is no plan" in done.output
    assert "(6a) servers" in done.output


def test_faults_are_listed_without_a_traceback(run: Run, tmp_path: Path) -> None:
    demand = plan_files.DEMAND.replace(",5,", ",-5,").replace("home,a", "mars,a")
    done = run(
        "--gamma", "-1", network=plan_files.NETWORK.replace("b: agg", "b: mars"), demand=demand
    )
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)
    for text in ("unknown node mars", "parallel is -5.0", "'mars' is not an end", "gamma is -1.0"):
        assert text in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["network.yaml", "demand.csv"])
def test_files_that_cannot_be_read_are_named(run: Run, tmp_path: Path, name: str) -> None:
    assert run().exit_code == 0
    (tmp_path / name).write_bytes(b"\xff\xfe\x00")
    files = [str(tmp_path / "network.yaml"), str(tmp_path / "demand.csv")]
    done = typer.testing.CliRunner().invoke(app, ["plan", *files])
    assert done.exit_code == 2
    assert name in done.stderr


MOVES = Path(__file__).parents[2] / "examples" / "plan" / "moves.yaml"


def plan_moves(*words: str) -> Any:
    command = ["plan", "moves", *words]
    return typer.testing.CliRunner().invoke(app, command, env={"COLUMNS": "160"})


def test_moves_are_printed_and_written(tmp_path: Path) -> None:
    out = tmp_path / "moves.json"
    done = plan_moves(str(MOVES), "--power", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "168 to 122 W" in done.output
    made = json.loads(out.read_text())
    assert {move["function"] for move in made["moves"]} == {"edge-2", "game-1"}
    assert made["mb"] == sum(move["mb"] for move in made["moves"])
    assert "Nothing has to move" in plan_moves(str(MOVES), "--most-moves", "0").output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nodes: [", "cannot be read"),
        ("nodes: 3", "functions: Field required"),
        ("{nodes: [], functions: [], colour: red}", "colour: Extra inputs are not permitted"),
        ("{nodes: [], functions: []}", "there are no nodes"),
    ],
)
def test_a_bad_file_of_moves_is_told(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "moves.yaml"
    file.write_text(text)
    done = plan_moves(str(file))
    assert done.exit_code != 0
    assert said in done.stderr


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = plan_moves(str(MOVES), "--out", str(tmp_path / "absent" / "moves.json"))
    assert done.exit_code == 1
    assert "absent" in done.stderr


def test_moves_that_cannot_be_have_a_reason() -> None:
    done = plan_moves(str(MOVES), "--drain", "pe2", "--most-moves", "0")
    assert done.exit_code != 0
    assert "allow more moves" in done.stderr
