"""Resumable uploads by tus 1.0.0: the protocol's own examples, who may, and what is refused."""

import base64
import hashlib
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from support.http import World
from support.items import storage_of
from umbel.playout.model import MOST_UPLOADING
from umbel.repository.resumable import EXPIRES_S

DATA = bytes(range(256)) * 20
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}
UPLOADS = "/api/v1/uploads"


async def create(here: World, length: int = len(DATA), who: str = "city", **more: str) -> str:
    name = base64.b64encode(b"Council.mp4").decode()
    headers = {"Upload-Length": str(length), "Upload-Metadata": f"filename {name}", **more}
    answer = await here.client.post(UPLOADS, headers=here.as_(who) | TUS | headers)
    assert (answer.status_code, answer.headers["tus-resumable"]) == (201, "1.0.0"), answer.text
    return str(answer.headers["location"])


async def send(
    here: World, at: str, data: Any, offset: int = 0, more: dict[str, str] | None = None
) -> httpx.Response:
    headers = here.as_("city") | TUS | BYTES | {"Upload-Offset": str(offset)} | (more or {})
    return await here.client.patch(at, content=data, headers=headers)


async def offset_of(here: World, at: str) -> int:
    answer = await here.client.head(at, headers=here.as_("city") | TUS)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    return int(answer.headers["upload-offset"])


async def bytes_of(here: World, at: str) -> bytes:
    content = await here.system.repository.content(at.rpartition("/")[2])
    return b"".join([piece async for piece in here.system.repository.read(content)])


# -- the protocol ---------------------------------------------------------------------------


async def test_a_client_asks_what_the_server_does(here: World) -> None:
    answer = await here.client.options(UPLOADS)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,termination,expiration,checksum"
    assert int(answer.headers["tus-max-size"]) == here.system.repository.store.quota.bytes
    assert "sha1" in answer.headers["tus-checksum-algorithm"].split(",")


async def test_an_upload_goes_on_where_it_was_interrupted(here: World) -> None:
    """The example of the protocol's section "Example"."""
    at = await create(here)
    answer = await send(here, at, DATA[:70])
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "70")
    head = await here.client.head(at, headers=here.as_("city") | TUS)
    assert head.headers["upload-length"] == str(len(DATA))
    assert head.headers["upload-metadata"].startswith("filename ")
    answer = await send(here, at, DATA[70:], await offset_of(here, at))
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(DATA)))
    assert "upload-expires" not in answer.headers, "a whole file stays"
    assert await bytes_of(here, at) == DATA
    [file] = (await here.client.get("/api/v1/files", headers=here.as_("city"))).json()
    assert (file["name"], file["state"], file["received"]) == ("Council.mp4", "checking", len(DATA))


async def test_what_came_before_the_connection_was_lost_stays(here: World) -> None:
    at = await create(here)

    # As uvicorn says it: a body that ends by a disconnect.
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": DATA[:1500], "more_body": True},
        {"type": "http.disconnect"},
    ]
    headers = here.as_("city") | TUS | BYTES | {"Upload-Offset": "0", "Content-Length": "5120"}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def keep(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "PATCH",
        "scheme": "http",
        "path": at,
        "raw_path": at.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await here.app(scope, receive, keep)
    assert await offset_of(here, at) == 1500
    assert (await send(here, at, DATA[1500:], 1500)).status_code == 204
    assert await bytes_of(here, at) == DATA


async def test_bytes_that_do_not_follow_are_refused(here: World) -> None:
    at = await create(here)
    await send(here, at, DATA[:100])
    for offset in (0, 99, 101):
        answer = await send(here, at, b"x", offset)
        assert (answer.status_code, answer.json()["code"]) == (409, "umbel.tus_offset")
        assert answer.headers["tus-resumable"] == "1.0.0"
    assert await offset_of(here, at) == 100


async def test_more_bytes_than_were_declared_are_refused(here: World) -> None:
    at = await create(here, 10)
    answer = await send(here, at, b"0123456789more")
    assert (answer.status_code, answer.json()["code"]) == (413, "umbel.upload_too_long")
    assert await bytes_of(here, at) == b"0123456789"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "md5"])
async def test_a_checksum_that_fits_and_one_that_does_not(here: World, algorithm: str) -> None:
    at = await create(here)
    good = base64.b64encode(hashlib.new(algorithm, DATA[:99]).digest()).decode()
    answer = await send(here, at, DATA[1:100], more={"Upload-Checksum": f"{algorithm} {good}"})
    assert (answer.status_code, answer.json()["code"]) == (460, "umbel.tus_checksum")
    assert await offset_of(here, at) == 0
    answer = await send(here, at, DATA[:99], more={"Upload-Checksum": f"{algorithm} {good}"})
    assert (answer.status_code, await offset_of(here, at)) == (204, 99)


async def test_many_small_pieces_are_few_parts(here: World) -> None:
    at = await create(here)
    for offset in range(0, len(DATA), 256):
        assert (await send(here, at, DATA[offset : offset + 256], offset)).status_code == 204
    content = await here.system.repository.content(at.rpartition("/")[2])
    assert (len(content.parts), await bytes_of(here, at)) == (1, DATA)


async def test_an_upload_that_is_given_up_is_gone(here: World) -> None:
    at = await create(here)
    await send(here, at, DATA[:100])
    answer = await here.client.delete(at, headers=here.as_("city") | TUS)
    assert answer.status_code == 204
    assert (await here.client.head(at, headers=here.as_("city") | TUS)).status_code == 404
    assert (await send(here, at, DATA[100:], 100)).json()[
        "code"
    ] == "umbel.no_such_resumable_upload"
    assert (await here.client.get("/api/v1/files", headers=here.as_("city"))).json() == []


async def test_a_client_that_can_only_post(here: World) -> None:
    at = await create(here, 4)
    headers = here.as_("city") | TUS | BYTES | {"Upload-Offset": "0"}
    answer = await here.client.post(
        at, content=b"film", headers=headers | {"X-HTTP-Method-Override": "PATCH"}
    )
    assert (answer.status_code, await bytes_of(here, at)) == (204, b"film")
    assert (await here.client.post(at, headers=headers)).status_code == 400


async def test_an_upload_that_is_not_whole_expires_and_is_swept(here: World) -> None:
    at = await create(here)
    answer = await send(here, at, DATA[:100])
    until_s = parsedate_to_datetime(answer.headers["upload-expires"]).timestamp()
    assert until_s == pytest.approx(here.system.clock.now_s() + EXPIRES_S, abs=60)
    item_id = at.rpartition("/")[2]
    await here.system.repository.store.change(item_id, lambda item: replace(item, expires_s=1.0))
    assert (await here.client.head(at, headers=here.as_("city") | TUS)).status_code == 404
    assert await here.system.repository.upkeep.expire() == 1
    await here.system.files.settle_uploads()
    assert (await here.client.get("/api/v1/files", headers=here.as_("city"))).json() == []
    assert (await here.system.repository.usage(here.city.id)).bytes == 0


# -- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("version", [{}, {"Tus-Resumable": "0.2.2"}])
async def test_another_version_of_the_protocol(here: World, version: dict[str, str]) -> None:
    at = await create(here)
    for method, path in (("POST", UPLOADS), ("HEAD", at), ("PATCH", at), ("DELETE", at)):
        answer = await here.client.request(method, path, headers=here.as_("city") | version)
        assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0"), method


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upload-Length": "0"},
        {"Upload-Length": "-1"},
        {"Upload-Length": "1e3"},
        {"Upload-Length": "9" * 17},
        {"Upload-Length": "5", "Upload-Metadata": "filename ###"},
        {"Upload-Length": "5", "Upload-Metadata": "a YQ==,a YQ=="},
        {"Upload-Length": "5", "Upload-Metadata": ","},
        {"Upload-Length": "5", "Upload-Metadata": "a " + "YQ==" * 1100},
    ],
)
async def test_headers_that_cannot_be_read(here: World, headers: dict[str, str]) -> None:
    answer = await here.client.post(UPLOADS, headers=here.as_("city") | TUS | headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "umbel.bad_tus_header")


async def test_bytes_of_another_type_and_without_an_offset(here: World) -> None:
    at = await create(here)
    answer = await send(here, at, b"x", more={"Content-Type": "video/mp4"})
    assert (answer.status_code, answer.json()["code"]) == (415, "umbel.tus_content_type")
    for more in ({"Upload-Offset": "x"}, {"Upload-Checksum": "crc32 AA=="}):
        answer = await send(here, at, b"x", more=more)
        assert (answer.status_code, answer.json()["code"]) == (400, "umbel.bad_tus_header")


async def test_a_file_larger_than_there_is_room_for(here: World) -> None:
    length = str(here.system.repository.store.quota.bytes + 1)
    answer = await here.client.post(
        UPLOADS, headers=here.as_("city") | TUS | {"Upload-Length": length}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "umbel.repository_quota_reached")
    assert "There is room for" in answer.json()["message"]


async def test_a_provider_has_so_many_uploads_that_are_not_whole(here: World) -> None:
    for _ in range(MOST_UPLOADING):
        await create(here)
    answer = await here.client.post(
        UPLOADS, headers=here.as_("city") | TUS | {"Upload-Length": "5"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "umbel.too_many_files")
    assert (await here.system.repository.usage(here.city.id)).items == MOST_UPLOADING
    await create(here, who="club")


async def test_an_upload_goes_on_when_a_full_disk_has_room_again(here: World) -> None:
    at = await create(here)
    await send(here, at, DATA[:100])
    storage = storage_of(here)
    room, storage.capacity = storage.capacity, storage.used + 10
    answer = await send(here, at, DATA[100:], 100)
    assert (answer.status_code, answer.json()["code"]) == (503, "umbel.repository_full")
    assert await offset_of(here, at) == 100
    storage.capacity = room
    assert (await send(here, at, DATA[100:], 100)).status_code == 204
    assert await bytes_of(here, at) == DATA


# -- who may --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "status"),
    [("operator", 0), ("city", 0), ("club", 403), ("viewer", 403), ("", 401)],
)
async def test_an_upload_and_a_file_are_their_providers(here: World, who: str, status: int) -> None:
    at = await create(here)
    file = at.replace("uploads", "files")
    headers = here.as_(who) if who else {}
    routes = [
        ("POST", f"{UPLOADS}?provider_id={here.city.id}", {"Upload-Length": "5"}, 201),
        ("HEAD", at, {}, 200),
        ("PATCH", at, BYTES | {"Upload-Offset": "0"}, 204),
        ("GET", f"/api/v1/files?provider_id={here.city.id}", {}, 200),
        ("GET", file, {}, 200),
        ("GET", f"{file}/picture", {}, 404),
        ("DELETE", file, {}, 204),
    ]
    for method, path, more, allowed in routes:
        answer = await here.client.request(method, path, headers=headers | TUS | more)
        assert answer.status_code == (status or allowed), (method, path, answer.text)
    other = await create(here)
    answer = await here.client.delete(other, headers=headers | TUS)
    assert answer.status_code == (status or 204)


@pytest.mark.parametrize("path", [UPLOADS, "/api/v1/files"])
async def test_an_operator_names_the_provider(here: World, path: str) -> None:
    method = "POST" if path == UPLOADS else "GET"
    for who in ("operator", "viewer"):
        headers = here.as_(who) | TUS | {"Upload-Length": "5"}
        answer = await here.client.request(method, path, headers=headers)
        assert answer.status_code == 403
    headers = here.as_("operator") | TUS | {"Upload-Length": "5"}
    answer = await here.client.request(method, f"{path}?provider_id=pr_0", headers=headers)
    assert answer.status_code == (404 if path == UPLOADS else 200)
