"""`umbel image`: build the images that guests boot, and list them; they are in DATA_DIR/images."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from umbel.bootstrap.drivers import image_folder
from umbel.cli.options import DataDir, settings
from umbel.compute.images.build import RECIPES
from umbel.compute.images.build import build as build_image
from umbel.compute.images.model import PARTS
from umbel.kit.terminal import errors_on_stderr

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def images() -> None:
    """Images that guests of hypervisors boot."""


@app.command()
def build(
    name: Annotated[str, typer.Argument(help=f"one of {', '.join(RECIPES)}")],
    data_dir: DataDir = None,
) -> None:
    """Build an image from the Debian packages that apt has now: some minutes, most of the first
    time. The same packages give the same image. Guests have it when they are started again."""
    with errors_on_stderr():
        image = build_image(name, image_folder(settings(data_dir=data_dir).data_dir))
    typer.echo(f"built {image.id} of {len(image.packages)} packages")


@app.command("list")
def list_images(data_dir: DataDir = None) -> None:
    """Show the images that were built here, by name and hash."""
    found = image_folder(settings(data_dir=data_dir).data_dir)
    table = Table("image", "MiB", "packages", "in use", box=None)
    for image in found.list():
        size = sum(found.part(image, part).stat().st_blocks * 512 for part in PARTS)
        newest = "yes" if found.get(image.name) == image else ""
        table.add_row(image.id, f"{size / 2**20:.0f}", str(len(image.packages)), newest)
    Console().print(table)
