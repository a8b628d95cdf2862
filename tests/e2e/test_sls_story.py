"""SLS's whole story in a real Chromium, over both databases: as `make story NAME=sls`."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


async def test_from_the_calendar_to_myshare(tmp_path: Path, database_url: str) -> None:
    ours = {"PYTHONPATH": os.pathsep.join(sys.path), "UMBEL_DATABASE_URL": database_url}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "umbel.demo.story", "sls", "0", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **ours},
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    told = json.loads(out.decode().splitlines()[-1])
    assert told["ok"], told
    assert told["whole"]["duration_s"] > told["late"]["duration_s"] > 10
    assert told["feeds"] == {"ics": 1, "rss": 1}
