"""Small films of any kind, made by ffmpeg, and uploads of them."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx

from support.waiting import until
from umbel.demo import encoder

H264 = ("-c:v", "libx264", "-bf", "0", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac")
TUS = {"Tus-Resumable": "1.0.0"}


async def film(path: Path, *words: str, seconds: float = 4, picture: bool = True) -> Path:
    """A film with a moving picture of 320 x 180 and a tone; `words` are ffmpeg's for codecs."""
    video = ("-f", "lavfi", "-i", f"testsrc2=s=320x180:r=25:d={seconds}") if picture else ()
    sound = ("-f", "lavfi", "-i", f"sine=440:r=48000:d={seconds}")
    command = (encoder.ffmpeg(), "-v", "error", "-y", *video, *sound, *(words or H264), str(path))
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0
    return path


async def uploaded(api: httpx.AsyncClient, path: Path, query: str = "") -> dict[str, Any]:
    """The file after its check."""
    name = base64.b64encode(path.name.encode()).decode()
    size = {"Upload-Length": str(path.stat().st_size), "Upload-Metadata": f"filename {name}"}
    answer = await api.post(f"/api/v1/uploads{query}", headers=TUS | size)
    assert answer.status_code == 201, answer.text
    at = answer.headers["location"]
    kind = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    answer = await api.patch(at, content=path.read_bytes(), headers=TUS | kind)
    assert answer.status_code == 204, answer.text

    async def file() -> dict[str, Any]:
        found = await api.get(at.replace("uploads", "files"))
        assert found.status_code == 200, found.text
        seen: dict[str, Any] = found.json()
        return seen

    return await until(file, lambda seen: seen["state"] in {"ready", "refused"}, within_s=60)
