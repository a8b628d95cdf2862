"""Plain words are read as typer reads them; it alone reads the others."""

from pathlib import Path
from typing import Annotated

import pytest
import typer

from umbel.kit.words import PlainWords
from umbel.media.main import run
from umbel.media.model import StreamRole

NEEDED = ["--id", "e1", "--role", "edge", "--address", "127.0.2.1", "--public-key", "/k.pem"]


def by_typer(words: list[str]) -> dict[str, object]:
    app = typer.Typer(add_completion=False)
    app.command()(run)
    context = typer.main.get_command(app).make_context("umbel media", words)
    return {name: value for name, value in context.params.items() if value is not None}


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--control-port", "8443", "--http-port", "0", "--udp-port", "65535"],
        ["--ice-server", "stun:a", "--ice-server", "turn:b", "--ready-file", "ready/e1.json"],
        ["--replay-cache-mb", "8", "--replay-cache-folder", "/var/cache/umbel"],
        ["--most-pixels", "1", "--worker-memory-mb", "64", "--log-level", "debug"],
    ],
    ids=["needed", "ports", "lists and paths", "replays", "limits"],
)
def test_plain_words_are_read_as_by_typer(more: list[str]) -> None:
    read = PlainWords(run).read(NEEDED + more)
    expected = by_typer(NEEDED + more)
    assert {name: expected[name] for name in read} == read
    defaults = {name for name in expected if name not in read}
    assert defaults.isdisjoint(word.removeprefix("--").replace("-", "_") for word in more[::2])
    assert read["role"] is StreamRole.EDGE
    assert read["public_key"] == Path("/k.pem")


@pytest.mark.parametrize(
    "words",
    [
        NEEDED[2:],
        [*NEEDED, "--udp-port"],
        [*NEEDED, "--udp-port", "65536"],
        [*NEEDED, "--udp-port", "-1"],
        [*NEEDED, "--udp-port", "x"],
        [*NEEDED, "--role", "viewer"],
        [*NEEDED, "--nothing", "1"],
        [*NEEDED, "--udp-port=1"],
        [*NEEDED, "--help"],
    ],
)
def test_other_words_are_left_to_typer(words: list[str]) -> None:
    with pytest.raises(ValueError):
        PlainWords(run).read(words)


def test_the_environment_speaks_where_the_words_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def command(level: Annotated[str, typer.Option(envvar="UMBEL_TEST_LEVEL")] = "info") -> None:
        """A command."""

    words = PlainWords(command)
    assert words.read([]) == {}
    monkeypatch.setenv("UMBEL_TEST_LEVEL", "debug")
    assert words.read([]) == {"level": "debug"}
    assert words.read(["--level", "error"]) == {"level": "error"}
