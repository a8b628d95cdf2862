"""The documents are as the code is, their links lead somewhere, and they name no machine."""

import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from support.chaos import checkers
from umbel.kit.config import Settings
from umbel.kit.errors import UmbelError
from umbel.kit.states import Table

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
FOREIGN = {".git", ".pytest_cache", "node_modules", ".venv", ".node", ".umbel", "build", "dist"}
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
BOLD = re.compile(r"\*\*([^*]+)\*\*")
TEXT = re.compile(r"'((?:[^'\\\n]|\\.)+)',?$| (?:one|other): '((?:[^'\\]|\\.)+)'", re.MULTILINE)
OTHERS_WORDS = {"360p", "Server", "Stream Key"}
"""What tutorials print in bold and the web app's catalogue has not: a quality, and OBS's fields."""
MACHINE = re.compile(r"(?<![\w.])/(work|root|home/\w+|tmp/\w+_jobs)\b|\bpytest-of-")


@cache
def documents() -> list[Path]:
    """Every document of the project."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [one for one in folders if one not in FOREIGN]
        found += [Path(folder, file) for file in files if file.endswith(".md")]
    return sorted(found)


def written() -> list[Path]:
    """Without the changelog: its entries are lines, and name what was."""
    return [
        path
        for path in documents()
        if "changes" not in path.relative_to(ROOT).parts and path.name != "CHANGELOG.md"
    ]


@pytest.fixture(scope="module")
def make_docs() -> ModuleType:
    """The script, with the whole package imported: only who runs these tests pays for that, and
    some modules start a process when they are imported."""
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts" / "make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert len(list(module.modules())) > 100
    return module


@pytest.fixture(scope="module")
def generated(make_docs: ModuleType) -> Mapping[Path, str]:
    """Each generated page as it should be."""
    pages: Mapping[Path, str] = make_docs.pages()
    return pages


@dataclass(frozen=True)
class References:
    """What may be named: methods with patterns of paths, variables, errors by code."""

    requests: list[tuple[str, str]]
    settings: set[str]
    codes: Mapping[str, list[type[UmbelError]]]


@pytest.fixture(scope="module")
def references(make_docs: ModuleType, generated: Mapping[Path, str]) -> References:
    rows = re.findall(r"^\| `([A-Z]+) (\S+)`", generated[REFERENCE / "rest.md"], re.MULTILINE)
    sources = [path for kind in ("*.py", "*.c") for path in (ROOT / "src").rglob(kind)]
    code = "".join(path.read_text() for path in sources)
    settings = {f"UMBEL_{one.upper()}" for one in Settings.model_fields}
    return References(
        requests=[(method, re.sub(r"\{\w+\}", "[^/]+", url)) for method, url in rows],
        settings=settings | set(NAMED_SETTING.findall(code)),
        codes=make_docs.errors_by_code(),
    )


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def check(paths: Iterable[Path], find: Callable[[Path], Iterable[str]]) -> None:
    """Fails with everything that is wrong in these documents."""
    wrong = [f"{name(path)}: {what}" for path in paths for what in find(path)]
    assert not wrong, "\n".join(wrong)


def anchors(text: str) -> set[str]:
    """Heading anchors as the usual renderers make them."""
    titles = re.findall(r"^#{1,6} (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_generated_pages_are_current(generated: Mapping[Path, str]) -> None:
    stale = [name(path) for path, text in generated.items() if path.read_text() != text]
    assert stale == [], "run `make docs`"


def broken_links(path: Path) -> Iterator[str]:
    """Links of a document that lead nowhere."""
    for target in LINK.findall(FENCE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        is_there = found.exists() and found.is_relative_to(ROOT)
        if not is_there or (anchor and anchor not in anchors(found.read_text())):
            yield target


def test_links_lead_somewhere() -> None:
    assert len(documents()) > 100
    check(documents(), broken_links)


def missing_names(path: Path) -> Iterator[str]:
    """Files and targets of make that a document names and that are not there."""
    code = "\n".join(FENCE.findall(path.read_text()))
    yield from (one for one in NAMED_PATH.findall(code) if not is_path(one))
    modules = {one for one in NAMED_MODULE.findall(code) if not NAMED_PATH.match(one)}
    yield from (one for one in sorted(modules) if not any(s.endswith(f"/{one}") for s in sources()))
    yield from (f"make {one}" for one in NAMED_TARGET.findall(code) if one not in targets())


@cache
def is_path(pattern: str) -> bool:
    return any(ROOT.glob(pattern))


@cache
def sources() -> list[str]:
    return [found.as_posix() for found in (ROOT / "src").rglob("*.*")]


@cache
def targets() -> frozenset[str]:
    makefiles = [ROOT / "Makefile", *(ROOT / "make").glob("*.mk")]
    return frozenset(target for file in makefiles for target in TARGET.findall(file.read_text()))


def test_paths_and_targets_that_are_named_exist() -> None:
    check(written(), missing_names)


def test_requests_settings_and_errors_that_are_named_exist(references: References) -> None:
    check(written(), lambda path: wrong_names(path.read_text(), references))


def wrong_names(text: str, known: References) -> list[str]:
    """Requests that no route takes, variables that no code reads, codes that no error has or that
    come with another status."""
    found = [
        f"{method} {url}"
        for method, url in NAMED_REQUEST.findall(text)
        if not any(method == m and re.fullmatch(form, url) for m, form in known.requests)
    ]
    found += sorted(set(NAMED_SETTING.findall(text)) - known.settings)
    for status, code in NAMED_ERROR.findall(text):
        is_module = (ROOT / "src" / code.replace(".", "/")).exists()
        statuses = {str(kind.http_status) for kind in known.codes.get(code, ())}
        if not is_module and (not statuses or (status and status not in statuses)):
            found.append(f"{status} {code}".strip())
    return found


def test_a_wrong_request_setting_or_error_is_seen(references: References) -> None:
    text = (
        "`GET /api/v1/nodez`, `UMBEL_NONE`, `umbel.none`, 404 `umbel.no_capacity`, `umbel.portal`"
    )
    found = ["GET /api/v1/nodez", "UMBEL_NONE", "umbel.none", "404 umbel.no_capacity"]
    assert wrong_names(text, references) == found


def long_lines(path: Path) -> list[str]:
    """Lines of prose that are too long: tables and code cannot wrap."""
    prose = CODE_BLOCK.sub("", path.read_text())
    lines = [line for line in prose.splitlines() if not line.lstrip().startswith("|")]
    return [line for line in lines if len(line) > MOST_COLUMNS]


def test_lines_wrap() -> None:
    check(written(), long_lines)


def cut_rows(text: str) -> list[str]:
    """The rows of tables that do not end on their line: Markdown has no longer ones."""
    lines = CODE_BLOCK.sub("", text).splitlines()
    return [line for line in lines if re.match(r" *\|", line) and not line.endswith("|")]


def test_a_row_of_a_table_is_one_line() -> None:
    check(documents(), lambda path: cut_rows(path.read_text()))


def test_a_row_that_is_cut_in_two_is_seen() -> None:
    text = "| a | b |\n| --- | --- |\n| c | d\ne |\n\n```\n| code\n```\n"
    assert cut_rows(text) == ["| c | d"]


def paths_of_machine(path: Path) -> Iterator[str]:
    """Paths in a document that only this machine, or one like it, has."""
    text = path.read_text()
    yield from (match.group() for match in MACHINE.finditer(text))
    if str(ROOT) in text:
        yield str(ROOT)


def test_documents_name_no_path_of_this_machine() -> None:
    check(documents(), paths_of_machine)


def test_an_error_class_has_a_code_of_its_own(make_docs: ModuleType) -> None:
    codes = make_docs.errors_by_code()
    shared = {code: [kind.__name__ for kind in kinds] for code, kinds in codes.items()}
    assert {code: names for code, names in shared.items() if len(names) > 1} == {}


def test_every_code_has_advice_once(make_docs: ModuleType) -> None:
    codes = [code for group in make_docs.advice().values() for code in group]
    codes += [code for code, _ in make_docs.shared_advice()]
    assert len(codes) == len(set(codes))
    assert sorted(codes) == sorted(make_docs.errors_by_code())


def test_a_retry_that_each_error_has_for_itself_is_given_as_a_range(
    generated: Mapping[Path, str],
) -> None:
    text = generated[REFERENCE / "errors.md"]
    assert "| `umbel.sign_in_too_soon` | 429 (retry 1 to 300 s) |" in text


def test_every_table_literal_is_drawn(make_docs: ModuleType, generated: Mapping[Path, str]) -> None:
    literals = [
        path
        for path in (ROOT / "src" / "umbel").rglob("*.py")
        if re.search(r"^\w+(: Table\S.*)? = Table(\[.*\])?\($", path.read_text(), re.M)
    ]
    drawn = make_docs.state_tables()
    assert {Path(module.__file__) for module, _, _ in drawn} == set(literals)
    assert all(isinstance(table, Table) for _, _, table in drawn)
    text = generated[REFERENCE / "states.md"]
    for _, variable, table in drawn:
        assert f".{variable}`" in text
        assert table.mermaid().split("\n", 1)[1] in text


def test_every_route_tells_who_may(generated: Mapping[Path, str]) -> None:
    text = generated[REFERENCE / "rest.md"]
    assert "| `POST /api/v1/events/{event_id}/ingest` | the event's provider" in text
    assert "| `GET /api/v1/functions` | operators |" in text
    assert "| `GET /api/v1/events` | anyone |" in text
    assert "| `GET /api/v1/me` | any user who signed in |" in text


def test_the_options_of_a_group_of_commands_are_listed(generated: Mapping[Path, str]) -> None:
    text = generated[REFERENCE / "cli.md"]
    group = text.partition("## `umbel node [OPTIONS] COMMAND`")[2].partition("\n## ")[0]
    for option in ("--url", "--user", "--token"):
        assert f"| `{option}` |" in group
    assert "UMBEL_PASSWORD" in group
    assert "--install-completion" not in text


def test_the_invariants_of_the_fault_run_have_their_names() -> None:
    page = (ROOT / "docs" / "howto" / "replay-a-fault.md").read_text()
    named = re.findall(r"^\| ([a-z ]+) \| [A-Z]", page, re.MULTILINE)
    assert named == [checker.name for checker in checkers.every()]


def test_pictures_are_small() -> None:
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size < 250_000, picture.name


@pytest.mark.parametrize("tutorial", ["first-broadcast", "first-event", "first-visit"])
def test_tutorials_call_buttons_what_pages_call_them(tutorial: str) -> None:
    catalogue = (ROOT / "web" / "src" / "i18n" / "en.ts").read_text()
    texts = {line or form for line, form in TEXT.findall(catalogue)}
    # "Mute (m)" and "Team of {name}" are "Mute" and "Team" in a document.
    shortened = {re.split(r" \(| of \{", text)[0] for text in texts}
    document = (ROOT / "docs" / "tutorial" / f"{tutorial}.md").read_text()
    named = {" ".join(found.split()) for found in BOLD.findall(document)}
    assert len(named) > 3
    assert named - texts - shortened - OTHERS_WORDS == set()


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
    pages = "".join(path.read_text() for path in documents())
    told |= set(re.findall(r"bench ONLY=([a-z_-]+)", pages))
    assert told <= set(files)
    for name, path in files.items():
        printed = set(re.findall(r'(?:bench=|_planning\.report\()"([^"]+)"', path.read_text()))
        assert printed <= {name}
