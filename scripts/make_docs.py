"""Writes the pages of docs/ that come from the code, so that they cannot drift from it.

In: the command line, Settings, the REST routes, the state tables, the error classes, the element
API, and advice.toml. Out: files under docs/. `--check` writes nothing and names what is stale.
Neighbour: tests/unit/test_docs.py.
"""

import enum
import importlib
import inspect
import pkgutil
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal, get_args, get_origin

import typer
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic.fields import FieldInfo

import umbel
from umbel.catalogue.sign_in_limits import LONGEST_DELAY_S, SignInTooSoon
from umbel.cli import app as command_line
from umbel.kit.config import Settings
from umbel.kit.errors import UmbelError
from umbel.kit.states import Table
from umbel.media.api import SCHEMA
from umbel.media.api import reference as elements
from umbel.portal import app as portal

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
ADVICE = Path(__file__).with_name("advice.toml")
NOTE = "<!-- Written by scripts/make_docs.py: `make docs`. Do not edit. -->\n"
LONGEST_LINE = 120
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"

# What a handler refers to that narrows who may call it, beyond what its dependencies say.
_NARROWED = {
    "theirs": "the event's provider, or an operator",
    "_close": "the event's provider, or an operator",
    "may_run": "the event's provider, or an operator",
    "may_hold": "anyone who holds the session's token, or an operator",
    "owned": "the item's provider, or an operator",
    "_searched": "providers and operators",
    "read_by_address": "anyone who has the address",
    "write_by_address": "anyone who has the address",
    "_admit": "as the setting `metrics` says",
}
_ADMITTED = {"_operator": "operators", "_signed_in": "any user who signed in"}
_STANDALONE_ENTRY = re.compile(r"\.(__main__|migrations\.env)$")
_NEEDS_AN_EXTRA = re.compile(
    r"\.drivers\.(kubernetes\.(client|link|transport)|libvirt\.(connection|domains|link|storage)|"
    r"openstack\.(client|link|transport))$"
)


def pages() -> dict[Path, str]:
    """Every generated page: its path and its text."""
    reference = DOCS / "reference"
    written = {
        reference / "cli.md": cli_page(),
        reference / "settings.md": settings_page(),
        reference / "rest.md": rest_page(),
        reference / "states.md": states_page(),
        reference / "errors.md": errors_page(),
        reference / "elements.md": elements.markdown(SCHEMA),
        DOCS / "howto" / "troubleshoot.md": troubleshoot_page(),
    }
    return {path: _wrapped(text) for path, text in written.items()}


def _wrapped(text: str) -> str:
    """Long lines outside of tables and fences, wrapped."""
    lines, fenced = [], False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        if fenced or len(line) <= LONGEST_LINE or line.startswith(("|", "#", "<", "```")):
            lines.append(line)
        else:
            indent = "  " if line.startswith("- ") else ""
            lines += textwrap.wrap(
                line,
                LONGEST_LINE,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(lines)


# -- the command line -----------------------------------------------------------------------


def cli_page() -> str:
    """Every command with its arguments and options."""
    root = typer.main.get_command(command_line)
    parts = [
        NOTE,
        "# The command line\n",
        "`umbel COMMAND --help` says the same. Errors are one line on stderr and exit code 2. An"
        " option without\na default here has the one of its [setting](settings.md), if it has a"
        " setting.\n",
    ]
    parts += [_command(name, command) for name, command in _commands("umbel", root)]
    return "\n".join(parts)


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "list_commands"):
        if name != "umbel" and command.params:
            yield f"{name} [OPTIONS] COMMAND", command
        for child in sorted(command.list_commands(None)):
            yield from _commands(f"{name} {child}", command.get_command(None, child))
    else:
        yield name, command


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = " ".join([name, *(str(p.name).upper() for p in arguments)])
    said = " ".join(inspect.cleandoc(command.help or "").split())
    rows = [_option(p) for p in command.params if p.param_type_name == "option"]
    table = _table(("option", "default", "what it does"), rows) if rows else ""
    return f"## `{words}`\n\n{said}\n\n{table}".rstrip("\n") + "\n"


def _option(param: Any) -> tuple[str, str, str]:
    names = " / ".join(f"`{name}`" for name in [*param.opts, *param.secondary_opts])
    kind = _choices(param.type_descriptor.annotation)
    text = "; ".join(part for part in (kind, param.help or "") if part)
    if param.envvar:
        text += f" (also `{param.envvar}`)"
    if param.required:
        return names, "required", text
    default = "" if param.default in (None, "", False, ()) else f"`{_plain(param.default)}`"
    return names, default, text


def _choices(kind: object) -> str:
    if not (inspect.isclass(kind) and issubclass(kind, enum.Enum)):
        return ""
    return " or ".join(f"`{_plain(one)}`" for one in kind)


# -- settings -------------------------------------------------------------------------------


def settings_page() -> str:
    """Every setting."""
    rows = [_setting(name, field) for name, field in Settings.model_fields.items()]
    return "\n".join(
        [
            NOTE,
            "# Settings\n",
            "`umbel serve` reads them from the environment; an option takes precedence\n"
            "(`--network` over `UMBEL_NETWORK_FILE`, else the same names).\n"
            "Names that end in `_s` are seconds. A value that cannot be used ends the start.\n",
            _table(("variable", "default", "values", "meaning"), rows),
            "Functions get none of these but `UMBEL_LOG_LEVEL`: the others may hold secrets, such"
            " as the\ndatabase's password. `umbel user`, `umbel provider` and `umbel node` also"
            " read a password\nfrom `UMBEL_PASSWORD`, and `umbel media` its control channel's"
            " secret from `UMBEL_MEDIA_SECRET`.\n",
        ]
    )


def _setting(name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    prefix = Settings.model_config["env_prefix"].upper()
    default = "" if field.default in (None, "") else f"`{_plain(field.default)}`"
    return f"`{prefix}{name.upper()}`", default, _values(field), field.description or ""


def _values(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{_plain(one)}`" for one in get_args(field.annotation))
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    bounds = [
        f"{sign} {getattr(rule, name)}"
        for rule in field.metadata
        for name, sign in signs.items()
        if hasattr(rule, name)
    ]
    kinds: dict[object, str] = {
        bool: "true or false",
        int: "whole number",
        float: "number",
        str: "text",
    }
    kind = {**kinds, str: "text"}.get(field.annotation, "path")
    return f"{kind} {', '.join(bounds)}".strip()


# -- REST -----------------------------------------------------------------------------------


def rest_page() -> str:
    """Every path of the control plane, and who may use it."""
    system: Any = SimpleNamespace(journal=None, settings=Settings(), clock=None)
    app = portal.create_app(system)
    document = app.openapi()
    routes = {route.name: route for route in _routes(app.routes)}
    by_tag: dict[str, list[tuple[str, str, str]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            route = routes[operation["operationId"]]
            said = " ".join(operation.get("description", operation["summary"]).split())
            row = (f"`{method.upper()} {path}`", _who(route), said)
            by_tag.setdefault(operation["tags"][0], []).append(row)
    parts = [
        NOTE,
        "# REST\n",
        "The whole contract is the OpenAPI document of a running `umbel serve`: `/openapi.json`,"
        " and `/docs`\nto try it. Sign in at `/oauth/token` (form fields `grant_type=password`,"
        " `username`, `password`) and send\n`Authorization: Bearer TOKEN`. Bodies are JSON, times"
        " RFC 3339 in UTC. Unknown fields are refused.\nEvery failure is"
        ' `{"code", "message", "details"}`: [errors](errors.md).\nBrowsers sign in by a cookie at'
        " `/api/v1/web-session`; what changes something needs the header\n`X-CSRF-Protection: 1`"
        " with it.\n",
        "## Sign in\n",
        "The how-to guides use these variables. A token is valid for"
        " `UMBEL_ACCESS_TOKEN_TTL_S` (eight hours).\n",
        "```sh\nU=http://127.0.0.1:8000\n"
        "TOKEN=$(curl -s $U/oauth/token -d grant_type=password -d username=NAME \\\n"
        '        --data-urlencode "password=$PASSWORD" | jq -r .access_token)\n'
        'curl -s $U/api/v1/me -H "Authorization: Bearer $TOKEN"\n```\n',
    ]
    for tag, rows in by_tag.items():
        parts.append(f"## {tag.capitalize()}\n")
        parts.append(_table(("request", "who may", "what"), rows))
    return "\n".join(parts)


def _routes(routes: Any) -> Iterator[APIRoute]:
    """FastAPI's routes, also those of included routers, which newer releases keep nested."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from _routes(route.original_router.routes)


def _who(route: APIRoute) -> str:
    named = set(route.endpoint.__code__.co_names)
    narrowed = next((text for name, text in _NARROWED.items() if name in named), "")
    needed = {call.__name__ for call in _calls(route.dependant)}
    admitted = next((text for name, text in _ADMITTED.items() if name in needed), "anyone")
    return narrowed or admitted


def _calls(dependant: Dependant) -> Iterator[Any]:
    for inner in dependant.dependencies:
        if inspect.isfunction(inner.call):
            yield inner.call
        yield from _calls(inner)


# -- states ---------------------------------------------------------------------------------


def states_page() -> str:
    """A diagram and a table of every state machine of the code."""
    parts = [
        NOTE,
        "# Life cycles\n",
        "Each is one `kit.states.Table` literal. An event that a state does not list is refused"
        " with\n`umbel.illegal_transition` and changes nothing.\n",
    ]
    parts += [_machine(module, name, table) for module, name, table in state_tables()]
    return "\n".join(parts)


def state_tables() -> list[tuple[ModuleType, str, Table[Any, Any]]]:
    """Every table literal: the module that has it, its name there, and itself."""
    found = [
        (module, name, value)
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, Table) and re.search(rf"(?m)^{name}\b.*=", inspect.getsource(module))
    ]
    return list({id(value): (module, name, value) for module, name, value in found}.values())


def _machine(module: ModuleType, name: str, table: Table[Any, Any]) -> str:
    (state, event) = next(iter(table.transitions))
    said = " ".join((inspect.getdoc(type(state)) or "").split())
    told = " ".join((inspect.getdoc(type(event)) or "").split())
    start = state.value
    diagram = table.mermaid().replace("\n", f"\n    [*] --> {start}\n", 1)
    title = _title(module, type(state))
    return (
        f"## {title}\n\n`{module.__name__}.{name}`. {said} {told}\n\n```mermaid\n{diagram}\n```\n"
    )


def _title(module: ModuleType, state: type[enum.Enum]) -> str:
    owner = module.__name__.split(".")
    words = state.__name__.removesuffix("State") or owner[-1].capitalize()
    return f"{words} ({' '.join(owner[1:-1])})"


# -- errors ---------------------------------------------------------------------------------


def errors_page() -> str:
    """Every code, its numbers and its meaning."""
    parts = [
        NOTE,
        "# Errors\n",
        'Every interface answers a failure with `{"code", "message", "details"}` and an HTTP'
        " status; over\nJSON-RPC the code is in the error's `data`. A code never changes its"
        " meaning. Codes with a\n`Retry-After` may succeed when asked again.\n",
    ]
    rows = [
        (f"`{code}`", _numbers(kinds), "; ".join(dict.fromkeys(map(meaning, kinds))), _do(code))
        for code, kinds in sorted(errors_by_code().items())
    ]
    parts.append(_table(("code", "HTTP", "what it means", "what to do"), rows))
    return "\n".join(parts)


def troubleshoot_page() -> str:
    """The written page with the table of advice between its marks."""
    path = DOCS / "howto" / "troubleshoot.md"
    head, _, rest = path.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    known = errors_by_code()
    tables = [
        f"### For {_article(who)}\n\n"
        + _table(
            ("code", "what it means", "what to do"),
            [
                (
                    f"`{code}`",
                    "; ".join(dict.fromkeys(map(meaning, known.get(code, [])))),
                    _do(code, "../"),
                )
                for code in codes
            ],
        )
        for who, codes in advice().items()
    ]
    return head + BEGIN + "\n" + "\n".join(tables) + "\n" + END + tail


def errors_by_code() -> dict[str, list[type[UmbelError]]]:
    """The error classes by their code."""
    for _ in modules():
        pass  # a class exists once its module was imported
    found: dict[str, list[type[UmbelError]]] = {}
    # In the order of their names: that of their birth depends on who was imported first.
    for kind in sorted(_descendants(UmbelError), key=lambda k: (k.__module__, k.__qualname__)):
        # Neither tests' own nor the copies that the media client makes of a server's errors.
        is_ours = kind.__module__.partition(".")[0] == umbel.__name__
        if is_ours and vars(sys.modules[kind.__module__]).get(kind.__name__) is kind:
            found.setdefault(kind.code, []).append(kind)
    return found


def advice() -> dict[str, dict[str, str]]:
    """What to do about the codes that people meet: for whom, by code."""
    return {who: codes for who, codes in _written().items() if who != "shared"}


def shared_advice() -> list[tuple[str, str]]:
    """Each further code with what to do about it and others like it."""
    return [(code, group["do"]) for group in _written()["shared"] for code in group["codes"]]


@cache
def _written() -> dict[str, Any]:
    return tomllib.loads(ADVICE.read_text())


def meaning(kind: type[UmbelError]) -> str:
    """What the class says of itself."""
    return " ".join((inspect.getdoc(kind) or "").split())


def _descendants(kind: type[UmbelError]) -> Iterator[type[UmbelError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _descendants(child)


def _numbers(kinds: list[type[UmbelError]]) -> str:
    return ", ".join(
        dict.fromkeys(
            f"{k.http_status}" + (f" (retry {retry})" if (retry := _retry(k)) else "")
            for k in kinds
        )
    )


def _retry(kind: type[UmbelError]) -> str:
    if kind is SignInTooSoon:
        return f"1 to {LONGEST_DELAY_S:.0f} s"
    return f"{kind.retry_after_s} s" if kind.retry_after_s else ""


def _do(code: str, up: str = "") -> str:
    known = dict(shared_advice()) | {
        c: text for codes in advice().values() for c, text in codes.items()
    }
    text = known.get(code, "")
    return text.replace("](STATES)", f"]({up}{'reference/' if up else ''}states.md)")


def _article(who: str) -> str:
    return {"user": "anyone who signs in"}.get(who, f"{who}s")


# -- common ---------------------------------------------------------------------------------


def modules() -> Iterator[ModuleType]:
    """Every module of the package, imported; programs that run on import are left out, and what
    needs an extra (libvirt, kubernetes, openstack)."""
    for found in pkgutil.walk_packages(umbel.__path__, "umbel."):
        if not _STANDALONE_ENTRY.search(found.name) and not _NEEDS_AN_EXTRA.search(found.name):
            yield importlib.import_module(found.name)


def _plain(value: object) -> str:
    if isinstance(value, enum.Enum):
        return str(value.value)
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(_cell(c) for c in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()


def stale(wanted: Mapping[Path, str]) -> list[Path]:
    """The pages that are not as the code says."""
    return [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]


def main(arguments: list[str]) -> int:
    """Write what is stale, or with `--check` only tell."""
    wanted = pages()
    old = stale(wanted)
    for path in old:
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path])
    return 1 if old and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
