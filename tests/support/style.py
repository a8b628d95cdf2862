"""What tests/unit/test_style.py refuses: words that were given up, sentences that read translated,
waits for fixed times. The reasons are in CONTRIBUTING.md, "Language"."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

RETIRED_NAMES = {
    "AskedPath": "PathRequest",
    "BadCarriage": "InvalidRoute",
    "BadStay": "InvalidBinding",
    "Carriage": "RoutedStream",
    "Course": "SteeringPlan",
    "Door": "Side, or PortalAddress, or IngestGate",
    "Ears": "WorkerCallbacks",
    "Gatekeeper": "IngestPolicy",
    "Ground": "Context, or LinkState",
    "Guest": "InlineFunction",
    "Guests": "InlineFunctions",
    "Hands": "Rollout",
    "Keeper": "Controller",
    "EdgeFabric": "ProgrammableFabric",
    "Land": "ProgrammableFabric",
    "Latch": "SenderLock",
    "NotAway": "NotRegistered",
    "Passage": "Decision",
    "Perhaps": "OptionalUser",
    "Plugs": "PortMap",
    "Ruins": "Leftovers",
    "Stay": "Binding",
    "The": "SystemDep",
    "Wish": "StreamIntent",
    "WishStore": "OperatorStore",
    "Woven": "Compiled",
    "asked_service": "virtual_service",
    "bury": "fail_abandoned",
    "come_home": "deregister",
    "fire": "transition",
    "settle_service": "close_old_connections",
    "shun": "cordon",
    "shunned": "cordoned",
    "stir": "notify",
    "weave": "compile",
}
RETIRED_MODULES = {
    "asked": "name what is requested",
    "border_words": "edge/explain",
    "carriage": "overlay/streams",
    "courses": "steering_plans",
    "guests": "operator/functions",
    "hands": "rollout",
    "keeper": "controller",
    "latch": "sender_lock",
    "redirection": "virtual_services",
    "ruins": "teardown",
    "told": "serialize, or reported",
}
PHRASES = {
    re.compile(pattern, re.IGNORECASE): better
    for pattern, better in {
        r"\b(is|are|was|were|be|been|being) told\b(?! apart)": "say: is reported, is shown",
        r"\b(sink or swim|swims?)\b": "say: follows its path",
        r"\banew\b": "say: again",
        r"\bno error\b(?! (code|message|occur|is|was|at))": "say: is not an error",
        r"\bwhoever\b": "say: any caller, who",
        r"\bbesides?\b": "say: next to, in addition to, compared with, also",
        r"\bcannot be [a-z ]+ so\b": "say: with these settings, that way",
        r"\bdoing it twice\b": "say: idempotent",
        r"\bas it is wanted\b": "say: desired",
        r"\bgone around\b": "say: cordoned",
        r"\bmeanwhile\b": "say: in the meantime, since",
        r"\bnobody('s| (who|that|else|knows|asks|served|is on)\b)": "say: no viewer, no node",
        r"\b(is|by|names|asks|interrupts|to) nobody\b": "say: no viewer, no node, not served",
        r"\bso\s*[.;:](?=[\s\"]|$)": "say: like this, this way",
    }.items()
}
_ANY = re.compile("|".join(pattern.pattern for pattern in PHRASES), re.IGNORECASE)
_RETIRED = re.compile(rf"(?<![\w-])({'|'.join(RETIRED_NAMES)})(?![\w-])")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_SUFFIXES = {".py", ".md", ".ts", ".tsx", ".toml", ".yaml"}
_FILES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "Makefile")
VIRTUAL_FILES = (
    "tests/scenarios/",
    "tests/support/chaos/",
    "tests/support/hls_live.py",
    "tests/support/world.py",
)
"""What runs on virtual time as a whole, or helps those that do."""
_VIRTUAL = ("looptime", "scenario")


def texts(root: Path) -> list[Path]:
    """Everything people read."""
    found = [
        root / "README.md",
        root / "ARCHITECTURE.md",
        root / "CONTRIBUTING.md",
        root / "Makefile",
    ]
    for folder in (
        "src",
        "web/src",
        "docs",
        "changes",
        "examples",
        "scripts",
        "make",
        "benchmarks",
    ):
        inside = (path for path in (root / folder).rglob("*") if path.suffix in _SUFFIXES)
        found += [path for path in inside if "static" not in path.parts]
    return sorted(found)


def translated(text: str) -> list[str]:
    """Line number, better words and line, for each line that reads translated."""
    return [
        f"{number}: {better}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), 1)
        if _ANY.search(line)
        for pattern, better in PHRASES.items()
        if pattern.search(line)
    ]


def retired(path: Path, text: str) -> list[str]:
    """The retired names in a text for people: in TypeScript anywhere, in Markdown where it shows
    code. `The` and names that are words of English are known by their capital letter."""
    code = "\n".join(_CODE.findall(text)) if path.suffix == ".md" else text
    return sorted({found for found in _RETIRED.findall(code) if found != "The"})


def is_command(path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """It is one of the command line's commands, which typer calls."""
    decorators = " ".join(map(ast.unparse, node.decorator_list))
    by_table = path.parent.name == "cli" or (node.name == "run" and path.stem == "main")
    return "command(" in decorators or by_table


def fixed_waits(tree: ast.Module) -> list[int]:
    """The lines that wait for a fixed real time."""
    on_virtual = any(
        isinstance(node, ast.Assign)
        and "pytestmark" in ast.unparse(node.targets[0])
        and any(word in ast.unparse(node.value) for word in _VIRTUAL)
        for node in tree.body
    )
    return [] if on_virtual else sorted(_waits(tree, polls=False))


def _waits(node: ast.AST, *, polls: bool) -> Iterator[int]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        marks = " ".join(map(ast.unparse, node.decorator_list))
        if any(word in marks for word in _VIRTUAL):
            return
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        nothing = bool(node.args) and ast.unparse(node.args[0]) == "0"
        sleeps = called in {"asyncio.sleep", "time.sleep"} and not nothing and not polls
        if sleeps or called.endswith("wait_for_timeout"):
            yield node.lineno
    inside = polls or isinstance(node, ast.While)
    for child in ast.iter_child_nodes(node):
        yield from _waits(child, polls=inside)
