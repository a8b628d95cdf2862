"""The documents are as the code is, their links lead somewhere, and they name no machine."""

import importlib.util
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from support.chaos import checkers
from umbel.kit.config import Settings
from umbel.kit.errors import UmbelError
from umbel.kit.states import Table

ROOT = Path(__file__).parents[2]
FOREIGN = {".pytest_cache", "node_modules", ".venv", ".node", ".umbel", "build", "dist"}
DOCUMENTS = sorted(
    path for path in ROOT.rglob("*.md") if not FOREIGN & set(path.relative_to(ROOT).parts)
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
MOST_COLUMNS = 140
TREES = "src|tests|docs|scripts|examples|benchmarks|web|make"
NAMED_PATH = re.compile(rf"(?<![\w/.-])((?:{TREES})/[\w*./-]*[\w*/])")
NAMED_MODULE = re.compile(r"(?<![\w/.*-])((?:[a-z_]+/)+[a-z_]+\.(?:py|yaml))")
NAMED_TARGET = re.compile(r"\bmake ([a-z][\w-]*)")
TARGET = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)
NAMED_REQUEST = re.compile(r"\b(GET|POST|PUT|DELETE) (/(?:api|oauth)/[^\s`?\"')]+)")
NAMED_SETTING = re.compile(r"\bUMBEL_[A-Z_]+\b")
NAMED_ERROR = re.compile(r"(?:\b(\d{3}) )?`(umbel\.[a-z_]+)`")
CODE_BLOCK = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
MACHINE = re.compile(r"(?<![\w.])/(work|root|home/\w+|tmp/\w+_jobs)\b|\bpytest-of-")
WRITTEN = [
    path
    for path in DOCUMENTS
    if "changes" not in path.relative_to(ROOT).parts and path.name != "CHANGELOG.md"
]
"""Without the changelog: its entries are lines, and name what was."""


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_docs = load()
WANTED = make_docs.pages()


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """Heading anchors as the usual renderers make them."""
    titles = re.findall(r"^#{1,6} (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", WANTED, ids=name)
def test_generated_page_is_current(path: Path) -> None:
    assert path.read_text() == WANTED[path], "run `make docs`"


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        is_there = found.exists() and found.is_relative_to(ROOT)
        if not is_there or (anchor and anchor not in anchors(found.read_text())):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_paths_and_targets_that_are_named_exist(path: Path) -> None:
    code = "\n".join(FENCE.findall(path.read_text()))
    missing = [one for one in NAMED_PATH.findall(code) if not any(ROOT.glob(one))]
    modules = {one for one in NAMED_MODULE.findall(code) if not NAMED_PATH.match(one)}
    sources = [found.as_posix() for found in (ROOT / "src").rglob("*.*")]
    missing += [one for one in modules if not any(s.endswith(f"/{one}") for s in sources)]
    makefiles = [ROOT / "Makefile", *(ROOT / "make").glob("*.mk")]
    targets = {target for file in makefiles for target in TARGET.findall(file.read_text())}
    missing += [f"make {one}" for one in NAMED_TARGET.findall(code) if one not in targets]
    assert missing == []


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_requests_settings_and_errors_that_are_named_exist(path: Path) -> None:
    assert wrong_names(path.read_text()) == []


def wrong_names(text: str) -> list[str]:
    """Requests that no route takes, variables that no code reads, codes that no error has or that
    come with another status."""
    requests, settings, codes = references()
    found = [
        f"{method} {url}"
        for method, url in NAMED_REQUEST.findall(text)
        if not any(method == m and re.fullmatch(form, url) for m, form in requests)
    ]
    found += sorted(set(NAMED_SETTING.findall(text)) - settings)
    for status, code in NAMED_ERROR.findall(text):
        is_module = (ROOT / "src" / code.replace(".", "/")).exists()
        known = {str(kind.http_status) for kind in codes.get(code, ())}
        if not is_module and (not known or (status and status not in known)):
            found.append(f"{status} {code}".strip())
    return found


@cache
def references() -> tuple[list[tuple[str, str]], set[str], Mapping[str, list[type[UmbelError]]]]:
    """What may be named: methods with patterns of paths, variables, errors by code."""
    rest = WANTED[ROOT / "docs" / "reference" / "rest.md"]
    rows = re.findall(r"^\| `([A-Z]+) (\S+)`", rest, re.MULTILINE)
    requests = [(method, re.sub(r"\{\w+\}", "[^/]+", url)) for method, url in rows]
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    settings = {f"UMBEL_{one.upper()}" for one in Settings.model_fields}
    return requests, settings | set(NAMED_SETTING.findall(sources)), make_docs.errors_by_code()


def test_a_wrong_request_setting_or_error_is_seen() -> None:
    text = (
        "`GET /api/v1/nodez`, `UMBEL_NONE`, `umbel.none`, 404 `umbel.no_capacity`, `umbel.portal`"
    )
    found = ["GET /api/v1/nodez", "UMBEL_NONE", "umbel.none", "404 umbel.no_capacity"]
    assert wrong_names(text) == found


@pytest.mark.parametrize("path", WRITTEN, ids=name)
def test_lines_wrap(path: Path) -> None:
    """Tables and code cannot wrap."""
    prose = CODE_BLOCK.sub("", path.read_text())
    lines = [line for line in prose.splitlines() if not line.lstrip().startswith("|")]
    assert [line for line in lines if len(line) > MOST_COLUMNS] == []


def cut_rows(text: str) -> list[str]:
    """The rows of tables that do not end on their line: Markdown has no longer ones."""
    lines = CODE_BLOCK.sub("", text).splitlines()
    return [line for line in lines if re.match(r" *\|", line) and not line.endswith("|")]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_a_row_of_a_table_is_one_line(path: Path) -> None:
    assert cut_rows(path.read_text()) == []


def test_a_row_that_is_cut_in_two_is_seen() -> None:
    text = "| a | b |\n| --- | --- |\n| c | d\ne |\n\n```\n| code\n```\n"
    assert cut_rows(text) == ["| c | d"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_document_names_no_path_of_this_machine(path: Path) -> None:
    text = path.read_text()
    assert [match.group() for match in MACHINE.finditer(text)] == []
    assert str(ROOT) not in text


def test_an_error_class_has_a_code_of_its_own() -> None:
    codes = make_docs.errors_by_code()
    shared = {code: [kind.__name__ for kind in kinds] for code, kinds in codes.items()}
    assert {code: names for code, names in shared.items() if len(names) > 1} == {}


def test_every_code_has_advice_once() -> None:
    codes = [code for group in make_docs.advice().values() for code in group]
    codes += [code for code, _ in make_docs.shared_advice()]
    assert len(codes) == len(set(codes))
    assert sorted(codes) == sorted(make_docs.errors_by_code())


def test_a_retry_that_each_error_has_for_itself_is_given_as_a_range() -> None:
    page = WANTED[ROOT / "docs" / "reference" / "errors.md"]
    assert "| `umbel.sign_in_too_soon` | 429 (retry 1 to 300 s) |" in page


def test_every_table_literal_is_drawn() -> None:
    literals = [
        path
        for path in (ROOT / "src" / "umbel").rglob("*.py")
        if re.search(r"^\w+(: Table\S.*)? = Table(\[.*\])?\($", path.read_text(), re.M)
    ]
    drawn = make_docs.state_tables()
    assert {Path(module.__file__) for module, _, _ in drawn} == set(literals)
    assert all(isinstance(table, Table) for _, _, table in drawn)
    page = WANTED[ROOT / "docs" / "reference" / "states.md"]
    for _, variable, table in drawn:
        assert f".{variable}`" in page
        assert table.mermaid().split("\n", 1)[1] in page


def test_every_route_tells_who_may() -> None:
    page = WANTED[ROOT / "docs" / "reference" / "rest.md"]
    assert "| `POST /api/v1/events/{event_id}/ingest` | the event's provider" in page
    assert "| `GET /api/v1/functions` | operators |" in page
    assert "| `GET /api/v1/events` | anyone |" in page
    assert "| `GET /api/v1/me` | any user who signed in |" in page


def test_the_options_of_a_group_of_commands_are_listed() -> None:
    page = WANTED[ROOT / "docs" / "reference" / "cli.md"]
    group = page.partition("## `umbel node [OPTIONS] COMMAND`")[2].partition("\n## ")[0]
    for option in ("--url", "--user", "--token"):
        assert f"| `{option}` |" in group
    assert "UMBEL_PASSWORD" in group
    assert "--install-completion" not in page


def test_the_invariants_of_the_fault_run_have_their_names() -> None:
    page = (ROOT / "docs" / "howto" / "replay-a-fault.md").read_text()
    named = re.findall(r"^\| ([a-z ]+) \| [A-Z]", page, re.MULTILINE)
    assert named == [checker.name for checker in checkers.every()]


def test_pictures_are_small() -> None:
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size < 250_000, picture.name


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for path in sorted((ROOT / "docs").rglob("*.md")):
        relative = path.relative_to(ROOT / "docs")
        if path.name != "README.md" and relative.parts[0] != "decisions":
            assert str(relative) in index, relative


def test_a_bench_has_one_name_in_documents_in_json_and_on_the_command_line() -> None:
    files = {path.stem.replace("_", "-"): path for path in (ROOT / "benchmarks").glob("[a-z]*.py")}
    rows = (ROOT / "docs" / "reference" / "benchmarks.md").read_text()
    told = set(re.findall(r"^\| ([a-z][a-z-]*) \| .*\|$", rows, re.MULTILINE)) - {"bench"}
    pages = "".join(path.read_text() for path in DOCUMENTS)
    told |= set(re.findall(r"bench ONLY=([a-z_-]+)", pages))
    assert told <= set(files)
    for name, path in files.items():
        printed = set(re.findall(r'(?:bench=|_planning\.report\()"([^"]+)"', path.read_text()))
        assert printed <= {name}
