"""Uploads an image to a running platform and to its nodes, with a bar for each part.

In: an image and the files of its parts. Out: the platform has it, and then the node.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from umbel.compute.images.model import PARTS, Image
from umbel.kit.terminal import bars
from umbel.portal.client import ApiClient, RefusedByPlatform

IMAGES, NODES = "/api/v1/images", "/api/v1/nodes"
PIECE_BYTES = 4 * 2**20
_MIB = 2**20
_POLL_S = 0.3
_COMPLETE_WITHIN_S = 600.0

Move = Callable[[str, int, int], None]


def upload(api: ApiClient, image: Image, files: Mapping[str, Path]) -> None:
    """Have the image at the platform. What is there already is not sent again. Raises
    RefusedByPlatform, PlatformUnreachable."""
    if any(one["id"] == image.id and one["is_newest"] for one in api.get(IMAGES)):
        return
    parts = {
        part: {"sha256": image.hashes[part], "size": files[part].stat().st_size} for part in PARTS
    }
    body: dict[str, Any] = {
        "name": image.name,
        "parts": parts,
        "command": list(image.command),
        "memory_mb": image.memory_mb,
        "packages": dict(image.packages),
    }
    received = api.post(IMAGES, body)["received"]
    with bars() as move:
        for part in PARTS:
            _send(api, f"{IMAGES}/{image.id}/parts/{part}", files[part], received[part], move)
    api.post(f"{IMAGES}/{image.id}/complete", within_s=_COMPLETE_WITHIN_S)


def copy_to(api: ApiClient, image_id: str, node: str) -> None:
    """Have the image at the node; shown until it is there. Raises RefusedByPlatform."""
    path = f"{NODES}/{node}/images"
    api.post(path, {"image": image_id})
    with bars() as move:
        while (seen := _at(api.get(path), image_id))["state"] == "copying":
            if seen["size_mb"]:
                move(node, round(seen["copied_mb"]), round(seen["size_mb"]))
            time.sleep(_POLL_S)
    if seen["state"] != "complete":
        message = seen["problem"] or f"{image_id} did not arrive at {node}: upload it again"
        raise RefusedByPlatform("umbel.hypervisor_failed", message, {})


def _at(found: list[dict[str, Any]], image_id: str) -> dict[str, Any]:
    missing = {"state": "incomplete", "problem": "", "size_mb": 0.0, "copied_mb": 0.0}
    return next((one for one in found if one["id"] == image_id), missing)


def _send(api: ApiClient, path: str, file: Path, received: int, move: Move) -> None:
    size = file.stat().st_size
    with file.open("rb") as source:
        source.seek(received)
        while piece := source.read(PIECE_BYTES):
            received = api.put_bytes(f"{path}?offset={received}", piece)["received"]
            move(path.rpartition("/")[2], -(-received // _MIB), -(-size // _MIB))
