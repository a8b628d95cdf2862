"""What commands show while they work, and say when they fail.

In: steps done, errors of ours. Out: bars and lines on stderr, and an exit code.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from umbel.kit.errors import UmbelError


@contextmanager
def errors_on_stderr() -> Iterator[None]:
    """Errors of ours become one line, one more for each of their problems, and exit code 2; never
    a traceback."""
    try:
        yield
    except UmbelError as error:
        typer.secho(f"umbel: {error.message} ({error.code})", fg="red", err=True)
        for problem in _problems(error):
            typer.echo(f"  - {problem}", err=True)
        raise typer.Exit(2) from error
    except OSError as error:  # the disk, the network, a file: the operator's to mend, not ours
        typer.secho(f"umbel: {error}", fg="red", err=True)
        raise typer.Exit(1) from error


def _problems(error: UmbelError) -> Iterator[object]:
    """All that is wrong, from the details: problems, or fields of a request."""
    for name in ("problems", "fields"):
        found = error.details.get(name)
        for one in found if isinstance(found, (list, tuple)) else ():
            is_field = isinstance(one, Mapping) and {"field", "message"} <= one.keys()
            yield f"{one['field']}: {one['message']}" if is_field else one


def printable(text: str) -> str:
    """The text without characters that would steer the terminal; lines and tabs stay."""
    kept = text.replace("\r\n", "\n")
    return "".join(one if one.isprintable() or one in "\n\t" else "\ufffd" for one in kept)


@contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr for each step; the call it gives moves one: step, done, of how many."""
    columns = (TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as shown:
        tasks = {}

        def move(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = shown.add_task(step, total=total)
            shown.update(tasks[step], completed=done, total=total)

        yield move
