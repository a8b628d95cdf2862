"""`umbel image`: build the images that guests boot, list them, and have a running platform and its
nodes have them. `build` and `list` work in DATA_DIR/images; the others are clients of
`/api/v1/images` and `/api/v1/nodes/NODE/images`.
"""

import hashlib
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from umbel.bootstrap.drivers import image_folder
from umbel.cli.options import DataDir, settings
from umbel.compute.images.build import RECIPES, is_current
from umbel.compute.images.build import build as build_image
from umbel.compute.images.model import PARTS, Image
from umbel.kit.terminal import errors_on_stderr, printable
from umbel.portal import image_uploads
from umbel.portal.client import operators_app, signed_in
from umbel.portal.image_uploads import IMAGES, NODES

app = operators_app("Images that guests of hypervisors boot.")

ImageId = Annotated[str, typer.Argument(help="the image's id: its name and hash")]
NodeOption = Annotated[str, typer.Option(help="the node whose copy is meant")]
PartFile = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="a part of an image of your own")
]


@app.command()
def build(
    name: Annotated[str, typer.Argument(help=f"one of {', '.join(RECIPES)}")],
    data_dir: DataDir = None,
    if_needed: Annotated[
        bool, typer.Option("--if-needed", help="keep one of this version that is there")
    ] = False,
) -> None:
    """Build an image from the Debian packages that apt has now: some minutes, most of the first
    time. The same packages give the same image. Guests have it when they are started again."""
    with errors_on_stderr():
        images = image_folder(settings(data_dir=data_dir).data_dir)
        if if_needed and is_current(name, images):
            typer.echo(f"{images.get(name).id} is there")
            return
        image = build_image(name, images)
    typer.echo(f"built {image.id} of {len(image.packages)} packages")


@app.command("list")
def list_images(context: typer.Context, data_dir: DataDir = None, node: NodeOption = "") -> None:
    """Show the images that were built here, by name and hash; or those that a node of a running
    platform has."""
    if node:
        _list_at(context, node)
        return
    found = image_folder(settings(data_dir=data_dir).data_dir)
    table = Table("image", "MiB", "packages", "in use", box=None)
    for one in found.statuses():
        newest = "yes" if one.is_newest else ""
        table.add_row(one.image.id, f"{one.size_mb:.0f}", str(len(one.image.packages)), newest)
    Console().print(table)


@app.command()
def upload(  # noqa: PLR0913, PLR0917 -- one argument per option
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="an image that was built here; or the name of yours")],
    node: NodeOption = "",
    kernel: PartFile = None,
    initrd: PartFile = None,
    disk: PartFile = None,
    memory_mb: Annotated[int, typer.Option(help="least memory of its guests, in MiB")] = 128,
    data_dir: DataDir = None,
) -> None:
    """Have a running platform have an image, and the node if one is given. It is one that was built
    here, or one of your own with the three files that it boots from."""
    given = dict(zip(PARTS, (kernel, initrd, disk), strict=True))
    files = {part: file for part, file in given.items() if file is not None}
    if files and len(files) < len(PARTS):
        raise typer.BadParameter("an image of your own needs --kernel, --initrd and --disk")
    with errors_on_stderr():
        if files:
            hashes = {part: _hash(files[part]) for part in PARTS}
            image = Image(name=name, command=(), hashes=hashes, memory_mb=memory_mb)
        else:
            images = image_folder(settings(data_dir=data_dir).data_dir)
            image = images.get(name)
            files = {part: images.part(image, part) for part in PARTS}
        with signed_in(context.obj) as api:
            image_uploads.upload(api, image, files)
            if node:
                image_uploads.copy_to(api, image.id, node)
    typer.echo(f"{node or 'the platform'} has {image.id}")


@app.command()
def remove(context: typer.Context, image: ImageId, node: NodeOption = "") -> None:
    """Remove an image from the platform, or from a node where no guest began from it."""
    path = f"{NODES}/{node}/images/{image}" if node else f"{IMAGES}/{image}"
    with errors_on_stderr(), signed_in(context.obj) as api:
        api.delete(path)
    typer.echo(f"{node or 'the platform'} has no {image} any more")


def _list_at(context: typer.Context, node: str) -> None:
    with errors_on_stderr(), signed_in(context.obj) as api:
        table = Table("image", "MiB", "state", "used by", "problem", box=None)
        for one in api.get(f"{NODES}/{node}/images"):
            users = ", ".join(one["used_by"])
            size = f"{one['size_mb']:.0f}"
            table.add_row(one["id"], size, one["state"], users, printable(one["problem"]))
    Console().print(table)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
