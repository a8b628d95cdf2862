"""The `umbel` command."""

import typer

app = typer.Typer(no_args_is_help=True, help="Live video over an operator's own edge.")


@app.callback()
def main_options() -> None:
    """Live video over an operator's own edge."""


def main() -> None:
    """Run the command."""
    app()
