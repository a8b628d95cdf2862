"""Builds the images that Umbel knows by name.

In: a name. Out: an image in the folder, the same bytes for the same packages.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from umbel.compute.images import recipes
from umbel.compute.images.folder import Images
from umbel.compute.images.model import Image, NoSuchImage
from umbel.compute.machines import bundle
from umbel.kit import private

RECIPES: Mapping[str, Callable[[Path, Path, Path], Image]] = {
    "relay": recipes.relay,
    "media": recipes.media,
}
"""How each image is built: work folder, folder for its parts, folder of fetched packages."""


def is_current(name: str, images: Images) -> bool:
    """Whether the image is there, and made of this control plane's own packages."""
    try:
        ours = images.get(name).packages.get("umbel", "")
    except NoSuchImage:
        return False
    return not ours or ours == bundle.collect().id


def build(name: str, images: Images) -> Image:
    """The image of that name, built from the Debian packages that apt has now. Raises NoSuchImage
    and ImageNotBuilt."""
    if name not in RECIPES:
        known = ", ".join(RECIPES)
        raise NoSuchImage(f"{name[:60]!r} is not one of the images: {known}", image=name[:60])
    private.ensure_folder(images.folder)
    with tempfile.TemporaryDirectory(dir=images.folder, prefix=".building-") as folder:
        made = Path(folder) / "made"
        made.mkdir(mode=0o700)
        image = RECIPES[name](Path(folder), made, images.folder / "packages")
        images.add(image, made)
    return image
