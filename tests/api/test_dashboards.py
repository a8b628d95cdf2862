"""The dashboard, the alerts and the page on metrics name metrics that /metrics shows, with labels
that they have, and statuses, roles and states that there are."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from support.http import make_system, world
from umbel.catalogue.model import EventState
from umbel.compute.model import FunctionState
from umbel.kit.db import Database
from umbel.media.model import StreamRole

PACKAGING = Path(__file__).parents[2] / "packaging"
ALERTS = PACKAGING / "prometheus" / "umbel-alerts.yaml"
DASHBOARD = PACKAGING / "grafana" / "dashboard.json"
PAGE = PACKAGING.parent / "docs" / "howto" / "watch-the-platform.md"
ALERT_CASES = Path(__file__).with_name("alert_cases.yaml")
UNPACKED = PACKAGING.parent / "build" / "tools" / "promtool"
PROMTOOL = UNPACKED if UNPACKED.exists() else shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is missing: run scripts/setup test"
)
# Prometheus' own.
OF_THE_SERVER = {"up"}
LABELS_OF_THE_SERVER = {"job", "instance", "le"}
NAME = re.compile(
    r"\b(umbel_[a-z_]+|process_[a-z_]+|up)\b(?=[{\[)\s,]|$)(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})?"
)
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
KNOWN = {
    ("umbel_events", "state"): {state.value for state in EventState},
    ("umbel_functions", "state"): {state.value for state in FunctionState},
    ("umbel_functions", "role"): {role.value for role in StreamRole},
}


def alerts() -> list[str]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


EXPRESSIONS = [*alerts(), *(one["expr"] for panel in panels() for one in panel["targets"])]


@pytest.fixture
async def shown(sqlite: Database, tmp_path: Path) -> dict[str, set[str]]:
    """Each sample's name with its labels, also of those that have no value yet."""
    system = make_system(sqlite, tmp_path, metrics="on")
    async with world(system) as here:
        await here.open_event()
        await here.client.get("/healthz")
        text = (await here.client.get("/metrics")).text
        registry = here.app.state.metrics._registry
    families = text_string_to_metric_families(text)
    samples = {sample.name: set(sample.labels) for one in families for sample in one.samples}
    labels = {
        name: set(getattr(collector, "_labelnames", ()))
        for name, collector in registry._names_to_collectors.items()
    }
    return {
        name: found
        for name, found in (samples | labels).items()
        if not name.endswith(("_created", "_info"))
    }


def test_expressions_are_of_metrics_that_there_are(shown: dict[str, set[str]]) -> None:
    assert [wrong for expression in EXPRESSIONS for wrong in problems(expression, shown)] == []


def problems(expression: str, shown: dict[str, set[str]]) -> Iterator[str]:
    """What an expression names that there is not."""
    found = NAME.findall(expression)
    every = set(LABELS_OF_THE_SERVER)
    for name, braces in found:
        if name not in shown.keys() | OF_THE_SERVER:
            yield f"{expression}: no metric {name}"
        labels = shown.get(name, set()) | LABELS_OF_THE_SERVER
        every |= labels
        for label, value in MATCHER.findall(braces):
            known = KNOWN.get((name, label), set(value.split("|")))
            if label not in labels or not set(value.split("|")) <= known:
                yield f"{expression}: no {label} {value} of {name}"
    grouped = {label.strip() for group in GROUPED.findall(expression) for label in group.split(",")}
    if not found or grouped - every - {""}:
        yield f"{expression}: no metric, or no label {grouped - every}"


def test_what_there_is_not_is_seen(shown: dict[str, set[str]]) -> None:
    for wrong in (
        "sum(umbel_none) / umbel_viewers",
        'umbel_events{state="paused"}',
        'umbel_viewers{stream="a"}',
        "sum by (stream) (umbel_viewers)",
        "vector(1)",
    ):
        assert list(problems(wrong, shown)), wrong


def test_every_metric_of_ours_is_on_the_dashboard(shown: dict[str, set[str]]) -> None:
    used = {name for expression in EXPRESSIONS for name, _ in NAME.findall(expression)}
    suffixes = re.compile(r"_(bucket|count|sum|created|total)$")
    ours = {suffixes.sub("", name) for name in shown if name.startswith("umbel_")}
    assert ours == {suffixes.sub("", name) for name in used if name.startswith("umbel_")}
    page = PAGE.read_text()
    assert [name for name in ours if name not in page] == []


def test_panels_have_places_and_ids_of_their_own() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    cells = [
        (column, row)
        for panel in panels()
        for column in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for row in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(column for column, _ in cells) < 24


def promtool(*words: str) -> str:
    """What it says; it takes what it is given."""
    done = subprocess.run([str(PROMTOOL), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_prometheus_takes_the_rules() -> None:
    assert f"{len(alerts())} rules found" in promtool("check", "rules", str(ALERTS))


@needs_promtool
def test_alerts_fire_when_they_should_and_not_before() -> None:
    promtool("test", "rules", str(ALERT_CASES))


@needs_promtool
def test_an_alert_with_another_limit_is_seen(tmp_path: Path) -> None:
    text = ALERTS.read_text()
    for now, other in (("[15m]) > 3", "[15m]) > 4"), ("> 0.05", "> 0.5"), ("for: 5m", "for: 9m")):
        assert now in text
        (tmp_path / "rules.yaml").write_text(text.replace(now, other))
        cases = yaml.safe_load(ALERT_CASES.read_text()) | {"rule_files": ["rules.yaml"]}
        (tmp_path / "cases.yaml").write_text(yaml.safe_dump(cases))
        with pytest.raises(AssertionError, match="FAILED"):
            promtool("test", "rules", str(tmp_path / "cases.yaml"))


def test_each_alert_is_tried_firing_and_quiet() -> None:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    names = {rule["alert"] for group in groups for rule in group["rules"]}
    cases = [
        (case["alertname"], bool(case["exp_alerts"]))
        for test in yaml.safe_load(ALERT_CASES.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    for fires in (True, False):
        assert {name for name, does in cases if does is fires} == names
