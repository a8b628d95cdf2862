"""VPM's story in short: as `make story NAME=vpm MOVES=2`."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from support import guest_lab
from support.libvirt_worlds import images_here, media_image

pytestmark = [
    pytest.mark.lab,
    pytest.mark.clouds,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(guest_lab.ABSENT), reason=guest_lab.ABSENT),
]


async def test_a_leaf_goes_and_comes_back_and_a_lost_node_too(tmp_path: Path) -> None:
    images = images_here()
    await asyncio.to_thread(media_image, images)
    (tmp_path / "images").symlink_to(images.folder)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "umbel.demo.story", "vpm", "2", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    told = json.loads(out.decode().splitlines()[-1])
    assert told["ok"], told
    assert [one["to"] for one in told["moves"]] == ["platino1", "platino5"]
    assert told["one_connection"]
    assert told["relay"]["node"] == "platino3"
    assert told["lost_node"]["was_on_path"]
