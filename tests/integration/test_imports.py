"""What is imported at start: nothing that the command does not need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from umbel import cli

HELP = """
from umbel.cli import app
try: app(["--help"])
except SystemExit: pass
"""
SERVE = """
import asyncio, sys
from pathlib import Path
import umbel.serve
from umbel import bootstrap
from umbel.kit.config import Settings

async def start():
    async with bootstrap.opened(Settings(data_dir=Path(sys.argv[1]))):
        pass

asyncio.run(start())
"""
ROOTS = """
import json, sys
found = {name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names
ours = {'.'.join(name.split('.')[:2]) for name in sys.modules if name.startswith('umbel.')}
print(json.dumps([sorted(found - {'umbel'}), sorted(ours)]))
"""
# What Python itself, its packaging and typing bring along in some environments.
ALWAYS = {"__main__", "__mp_main__", "_distutils_hack", "typing_extensions", "sitecustomize"}
# `attr` (attrs) is not required: rich imports it where another package has installed it.
SHOWN = {
    "typer",
    "rich",
    "pygments",
    "shellingham",
    "markdown_it",
    "mdurl",
    "annotated_doc",
    "attr",
}
GSTREAMER = {"gi", "cairo", "glib", "gobject", "gio", "gtk"}
MEDIA = {
    *SHOWN,
    *("aioice", "dns", "idna", "ifaddr"),  # ICE
    *("cryptography", "_cffi_backend", "OpenSSL", "_openssl", "pylibsrtp", "jwt", "bcrypt"),
    *("uvicorn", "uvloop", "starlette", "anyio", "click", "h11", "httptools", "websockets"),
    *("python_multipart", "multipart", "prometheus_client", "structlog", "greenlet"),
    *("pyrtmp", "bitstring", "bitarray", "cython_runtime"),
}
STORAGE = {
    *SHOWN,
    *("cryptography", "_cffi_backend", "uvicorn", "uvloop", "starlette", "anyio", "click"),
    *("h11", "httptools", "websockets", "python_multipart", "multipart", "structlog", "idna"),
    *("bcrypt", "_openssl", "greenlet", "cython_runtime"),
}
DEMO = {
    *SHOWN,
    *("httpx", "httpcore", "h11", "certifi", "idna", "anyio", "sniffio", "click", "socksio"),
    "imageio_ffmpeg",
}


def roots(program: str, *words: str) -> tuple[set[str], set[str]]:
    """Foreign packages and our domains that are imported when the program is through."""
    done = subprocess.run(
        [sys.executable, "-c", program + ROOTS, *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    foreign, ours = json.loads(done.stdout.splitlines()[-1])
    return {name for name in foreign if not name.startswith("_cython")} - ALWAYS, set(ours)


@pytest.mark.parametrize(
    ("program", "foreign", "ours"),
    [
        (HELP, SHOWN, {"umbel.cli"}),
        (
            "import umbel.cli.demo",
            DEMO,
            {"umbel.cli", "umbel.demo", "umbel.kit", "umbel.catalogue"},
        ),
        ("import umbel.media.main", MEDIA, {"umbel.caches", "umbel.kit", "umbel.media"}),
        ("import umbel.repository.node_storage.main", STORAGE, {"umbel.kit", "umbel.repository"}),
        ("import umbel.media.fork_server", MEDIA, {"umbel.caches", "umbel.kit", "umbel.media"}),
        (
            "import umbel.media.workers.inside.fork_server",
            GSTREAMER,
            {"umbel.kit", "umbel.media"},
        ),
    ],
    ids=["umbel --help", "umbel demo", "umbel media", "umbel storage", "fork server", "worker"],
)
def test_a_start_imports_no_more_than_it_needs(
    program: str, foreign: set[str], ours: set[str]
) -> None:
    found, own = roots(program)
    assert found <= foreign
    assert own == ours


def test_a_control_plane_loads_what_its_settings_choose(tmp_path: Path) -> None:
    """Without switches, PostgreSQL and plans it imports none of their libraries, without a new
    schema none of Alembic, and those of the front end only once the rest has begun."""
    first, _ = roots(SERVE, str(tmp_path))
    assert "alembic" in first
    found, _ = roots(SERVE, str(tmp_path))
    assert "sqlalchemy" in found
    assert not found & {"os_ken", "netaddr", "psycopg", "alembic", "numpy", "scipy", "highspy"}
    assert not found & {"fastapi", "starlette", "uvicorn"}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_commands_line_begins_its_own_help(name: str) -> None:
    command = cli.load(name)
    assert command.name == name
    said = " ".join((command.help or "").split())
    assert said.startswith(cli.COMMANDS[name].line)
    root = typer.main.get_command(cli.app)
    assert name in root.list_commands(None)  # type: ignore[attr-defined]
