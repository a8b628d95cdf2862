"""What several commands share: options, and settings made of them."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from umbel.kit.config import Settings

DataDir = Annotated[Path | None, typer.Option(help="folder of the platform's state")]


def settings(**given: object) -> Settings:
    """The settings with what the command line said over them."""
    try:
        return Settings.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        for found in error.errors(include_url=False):
            name = "_".join(str(part) for part in found["loc"])
            typer.secho(
                f"umbel: {name} (or UMBEL_{name.upper()}): {found['msg']}", fg="red", err=True
            )
        raise typer.Exit(2) from error
