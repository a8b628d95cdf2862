"""`python -m umbel.media` is `umbel media`, without the rest of the platform."""

import typer

from umbel.media.main import run

typer.run(run)
