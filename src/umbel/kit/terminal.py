"""What commands say when they fail. Errors of ours in, lines on stderr and an exit code out."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from umbel.kit.errors import UmbelError


@contextmanager
def telling() -> Iterator[None]:
    """Errors of ours become one line, one more for each of their problems, and exit code 2; never
    a traceback."""
    try:
        yield
    except UmbelError as error:
        typer.secho(f"umbel: {error.message} ({error.code})", fg="red", err=True)
        problems = error.details.get("problems")
        for problem in problems if isinstance(problems, (list, tuple)) else ():
            typer.echo(f"  - {problem}", err=True)
        raise typer.Exit(2) from error
