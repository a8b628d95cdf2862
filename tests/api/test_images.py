"""Images over REST and by `umbel image`: who may, what is refused and shown."""

import asyncio
import re
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from api.test_guests import running
from support.http import PASSWORD, World
from umbel.cli import app
from umbel.compute.images.folder import Images
from umbel.compute.images.model import PARTS

LOGGED = re.compile(r"\S+ \S+ \[[a-z]+ *\] ")
ID = "own-0123456789abcdef"
PART = {"sha256": "0" * 64, "size": 10}
MANIFEST = {"name": "own", "parts": dict.fromkeys(PARTS, PART)}
CALLS: list[tuple[str, str, Any]] = [
    ("GET", "/images", None),
    ("POST", "/images", MANIFEST),
    ("PUT", f"/images/{ID}/parts/disk?offset=0", None),
    ("POST", f"/images/{ID}/complete", None),
    ("DELETE", f"/images/{ID}", None),
    ("GET", "/nodes/pe9/images", None),
    ("POST", "/nodes/pe9/images", {"image": "own"}),
    ("DELETE", f"/nodes/pe9/images/{ID}", None),
]


async def image(url: str, *words: str) -> Result:
    env = {"UMBEL_URL": url, "UMBEL_USER": "operator", "UMBEL_PASSWORD": PASSWORD}
    env["COLUMNS"] = "160"
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["image", *words], env=env))


def said(result: Result) -> list[str]:
    """Without the platform's log: it is in the same process here."""
    assert result.exit_code == 0, result.output
    return [line.strip() for line in result.stdout.splitlines() if not LOGGED.match(line)]


async def test_only_operators_have_images(here: World) -> None:
    for who, status in (("city", 403), ("", 401)):
        headers = here.as_(who) if who else {}
        for method, path, body in CALLS:
            answer = await here.client.request(method, f"/api/v1{path}", json=body, headers=headers)
            assert answer.status_code == status, (method, path)


async def test_what_is_no_image_is_refused(here: World) -> None:
    operator = here.as_("operator")
    for method, path, body, code in (
        ("PUT", f"/images/{ID}/parts/disk?offset=0", None, "umbel.no_such_upload"),
        ("POST", f"/images/{ID}/complete", None, "umbel.no_such_upload"),
        ("DELETE", f"/images/{ID}", None, "umbel.no_such_image"),
        ("POST", "/nodes/pe9/images", {"image": "own"}, "umbel.no_such_image"),
        ("DELETE", f"/nodes/pe9/images/{ID}", None, "umbel.no_such_image"),
        ("GET", "/nodes/pe1/images", None, "umbel.no_images_there"),
        ("GET", "/nodes/nowhere/images", None, "umbel.no_such_node"),
        ("POST", "/images", {**MANIFEST, "name": "../x"}, "umbel.unprocessable"),
        ("POST", "/images", {"name": "own", "parts": {"disk": PART}}, "umbel.unprocessable"),
        (
            "POST",
            "/images",
            {"name": "own", "parts": {part: {**PART, "size": 2**39} for part in PARTS}},
            "umbel.too_many_images",
        ),
    ):
        answer = await here.client.request(method, f"/api/v1{path}", json=body, headers=operator)
        assert answer.json()["code"] == code, (method, path, answer.json())


async def test_pieces_are_larger_than_other_bodies_but_not_without_end(here: World) -> None:
    operator = here.as_("operator")
    path = f"/api/v1/images/{ID}/parts/disk?offset=0"
    for size, status in ((4 * 2**20, 404), (4 * 2**20 + 1, 413)):
        answer = await here.client.put(path, content=bytes(size), headers=operator)
        assert answer.status_code == status
    other = f"/api/v1/nodes/{'x' * 5}/images"
    assert (
        await here.client.post(other, content=bytes(2**20), headers=operator)
    ).status_code == 413


async def test_an_operator_uploads_an_image(there: tuple[World, str], tmp_path: Path) -> None:
    here, url = there
    files = {part: tmp_path / part for part in PARTS}
    for part, file in files.items():
        file.write_bytes(part.encode() * 2_000_000)  # more than one piece
    parts = [word for part in PARTS for word in (f"--{part}", str(files[part]))]
    uploaded = said(await image(url, "upload", "own", *parts, "--node", "pe9"))
    (kept,) = await here.system.images.list()
    assert uploaded == [f"pe9 has {kept.image.id}"]
    made = Images(here.system.settings.data_dir / "images")
    assert all(made.part(kept.image, p).read_bytes() == files[p].read_bytes() for p in PARTS)
    again = await image(url, "upload", "own", *parts)
    assert said(again) == [f"the platform has {kept.image.id}"]
    assert said(await image(url, "list", "--node", "pe9"))[1].split() == [
        kept.image.id,
        "3",
        "complete",
    ]
    await running(here)
    here.system.plane.far.images.use("pe9", kept.image.id, "guest-9")
    refused = await image(url, "remove", kept.image.id, "--node", "pe9")
    assert refused.exit_code == 2
    assert "guest-9" in refused.stderr
    assert "umbel.image_in_use" in refused.stderr
    here.system.plane.far.images.release("guest-9")
    for node in ("--node", "pe9"), ():
        gone = said(await image(url, "remove", kept.image.id, *node))
        assert gone[-1].endswith(f"has no {kept.image.id} any more")
    assert await here.system.images.list() == []
    short = await image(url, "upload", "own", "--disk", str(files["disk"]))
    assert short.exit_code == 2
    assert "--kernel" in short.output
