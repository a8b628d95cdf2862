"""Addresses of transfers: uploads of every kind, ranges, conditions, limits, and real HTTP."""

import asyncio
import re
from collections.abc import AsyncIterator
from email import message_from_bytes
from typing import Any

import httpx
import pytest

from support.http import World
from support.items import DATA, created, storage_of, stored, url_of
from support.waiting import until
from umbel.portal.transfer_limits import MOST_PER_ADDRESS, MOST_UNKNOWN_PER_MINUTE
from umbel.repository.transfers.model import MOST_OF_ONE, Direction, Transfer
from umbel.repository.transfers.service import Transfers

# -- uploads --------------------------------------------------------------------------------


async def pieces(data: bytes = DATA) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 700):
        yield data[at : at + 700]


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("how", ["raw", "chunked", "form"])
async def test_an_item_is_uploaded(here: World, method: str, how: str) -> None:
    made = await created(here)
    bodies: dict[str, dict[str, Any]] = {
        "raw": {"content": DATA},
        "chunked": {"content": pieces()},
        "form": {"files": {"filedata": ("a.webm", DATA, "video/webm")}, "data": {"x": "y"}},
    }
    answer = await here.client.request(method, made["url"], **bodies[how])
    assert (answer.status_code, answer.json()["size"]) == (200, len(DATA))
    read = await here.client.get(await url_of(here, made["id"]))
    assert read.content == DATA
    kind = "video/webm" if how == "form" else "application/octet-stream"
    assert read.headers["content-type"] == kind


async def test_an_item_is_uploaded_in_pieces(here: World) -> None:
    made = await created(here)

    async def put(start: int, end: int, total: str = "*", declared: int | None = None) -> Any:
        header = f"bytes {start}-{end - 1}/{total}"
        content = DATA[start : declared or end]
        return await here.client.put(
            made["url"], content=content, headers={"Content-Range": header}
        )

    assert (await put(0, 1000)).json()["size"] == 1000
    gap = await put(2000, 3000)
    assert (gap.status_code, gap.json()["details"]["size"]) == (501, 1000)
    assert (await put(1000, 3000)).json()["size"] == 3000
    assert (await put(1000, 3000)).status_code == 501
    wrong = await put(3000, 4000, declared=3999)
    assert (wrong.status_code, wrong.json()["code"]) == (400, "umbel.bad_content_range")
    for header in ("bytes 5-4/10", "bytes */10", "lines 0-1/2", "0-1"):
        answer = await here.client.put(made["url"], content=b"x", headers={"Content-Range": header})
        assert answer.status_code == 400, header
    assert (await put(3000, len(DATA), str(len(DATA)))).json()["size"] == len(DATA)
    read = await url_of(here, made["id"])
    assert (await here.client.get(read)).content == DATA
    answer = await here.client.get(read, headers={"Range": "bytes=900-3100"})
    assert answer.content == DATA[900:3101]
    assert (await put(0, 10)).json()["size"] == 10, "it begins again"


async def test_a_form_that_is_wrong_changes_nothing(here: World) -> None:
    item = await stored(here)
    url = await here.system.repository.transfers.open(item, Direction.UPLOAD)
    headers = {"Content-Type": "multipart/form-data; boundary=b0"}
    for body in (b"", b"--b0--", b"--b0\r\nContent-Disposition: form-data; filename=a\r\n\r\nx"):
        answer = await here.client.put(f"/repository_servlet/{url}", content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "umbel.bad_multipart")
    assert (await here.client.get(await url_of(here, item))).content == DATA


# -- reading --------------------------------------------------------------------------------


async def test_ranges_are_read(here: World) -> None:
    url = await url_of(here, await stored(here, kind="video/mp4"))
    whole = await here.client.get(url)
    assert (whole.status_code, whole.content) == (200, DATA)
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-length"] == str(len(DATA))
    head = await here.client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    same = ("content-length", "etag", "content-type", "last-modified", "accept-ranges")
    assert [head.headers[k] for k in same] == [whole.headers[k] for k in same]
    one = await here.client.get(url, headers={"Range": "bytes=256-511"})
    assert (one.status_code, one.content) == (206, DATA[256:512])
    assert one.headers["content-range"] == f"bytes 256-511/{len(DATA)}"
    assert one.headers["content-type"] == "video/mp4"
    last = await here.client.get(url, headers={"Range": "bytes=-10"})
    assert last.content == DATA[-10:]
    bad = await here.client.get(url, headers={"Range": f"bytes={len(DATA)}-"})
    assert (bad.status_code, bad.headers["content-range"]) == (416, f"bytes */{len(DATA)}")
    ignored = await here.client.get(url, headers={"Range": "lines=1-2"})
    assert (ignored.status_code, ignored.content) == (200, DATA)


async def test_several_ranges_are_read_as_parts(here: World) -> None:
    url = await url_of(here, await stored(here, kind="video/mp4"))
    answer = await here.client.get(url, headers={"Range": "bytes=0-9,256-511,-3"})
    assert answer.status_code == 206
    kind = answer.headers["content-type"]
    assert re.fullmatch(r"multipart/byteranges; boundary=\w+", kind)
    assert int(answer.headers["content-length"]) == len(answer.content)
    parsed = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.content)
    size = len(DATA)
    assert [
        (p["content-type"], p["content-range"], p.get_payload(decode=True))
        for p in parsed.walk()
        if p is not parsed
    ] == [
        ("video/mp4", f"bytes 0-9/{size}", DATA[:10]),
        ("video/mp4", f"bytes 256-511/{size}", DATA[256:512]),
        ("video/mp4", f"bytes {size - 3}-{size - 1}/{size}", DATA[-3:]),
    ]


async def test_conditions_are_kept(here: World) -> None:
    url = await url_of(here, await stored(here))
    whole = await here.client.get(url)
    etag, date = whole.headers["etag"], whole.headers["last-modified"]
    for headers, status in (
        ({"If-None-Match": etag}, 304),
        ({"If-Modified-Since": date}, 304),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": etag}, 200),
        ({"If-Range": etag, "Range": "bytes=0-1"}, 206),
        ({"If-Range": '"other"', "Range": "bytes=0-1"}, 200),
    ):
        answer = await here.client.get(url, headers=headers)
        assert answer.status_code == status, headers
        if status in {200, 304}:
            assert answer.headers["etag"] == etag


@pytest.mark.parametrize(
    ("kind", "disposition"),
    [("video/mp4", "inline"), ("text/html", "attachment"), ("image/svg+xml", "attachment")],
)
async def test_what_was_uploaded_never_runs_as_a_page_of_ours(
    here: World, kind: str, disposition: str
) -> None:
    answer = await here.client.get(await url_of(here, await stored(here, b"<script>", kind=kind)))
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["content-security-policy"].startswith("sandbox;")


async def test_damage_ends_a_transfer(here: World) -> None:
    item = await stored(here)
    (part,) = (await here.system.repository.content(item)).parts
    storage_of(here).damage(part.blob, 5)
    url = await url_of(here, item)
    for _ in range(2):
        answer = await here.client.get(url)
        assert (answer.status_code, answer.json()["code"]) == (409, "umbel.item_damaged")


# -- limits ---------------------------------------------------------------------------------


async def test_an_item_has_so_many_addresses_and_forgets_them(here: World) -> None:
    item = await stored(here)
    for _ in range(MOST_OF_ONE - 1):
        url = await url_of(here, item)
    answer = await here.client.get(f"/repo/item/{item}", headers=here.as_("city"))
    assert (answer.status_code, answer.json()["code"]) == (503, "umbel.too_many_transfers")
    await here.client.delete(f"/repo/item/{item}", headers=here.as_("city"))
    answer = await here.client.get(url)
    assert (answer.status_code, answer.json()["code"]) == (404, "umbel.no_such_transfer")


async def test_who_guesses_addresses_is_slowed_down(here: World) -> None:
    url = await url_of(here, await stored(here))
    for number in range(MOST_UNKNOWN_PER_MINUTE):
        answer = await here.client.get(f"/repository_servlet/x{number}")
        assert (answer.status_code, answer.json()["code"]) == (404, "umbel.no_such_transfer")
    for asked in ("/repository_servlet/y", url):
        answer = await here.client.get(asked)
        assert (answer.status_code, answer.json()["code"]) == (429, "umbel.too_many_unknown")
        assert int(answer.headers["retry-after"]) >= 1


async def test_an_address_has_so_many_transfers_at_once(here: World) -> None:
    # Of two owners, for one owner has fewer uploads at once.
    made = [await created(here, who) for who in ("city", "club", "operator")]
    goes_on = asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        yield b"x"
        await goes_on.wait()

    count = MOST_PER_ADDRESS // 2
    running = [
        asyncio.create_task(here.client.put(one["url"], content=held()))
        for one in made[:2]
        for _ in range(count)
    ]
    limits = here.app.state.transfer_limits

    async def opened() -> int:
        return limits._open.total()

    await until(opened, lambda count: count == MOST_PER_ADDRESS)
    answer = await here.client.put(made[2]["url"], content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (429, "umbel.transfers_busy")
    goes_on.set()
    answers = await asyncio.gather(*running)
    assert {a.status_code for a in answers} <= {200, 409, 503}
    assert (await here.client.put(made[2]["url"], content=b"x")).status_code == 200


async def test_requests_that_come_at_once_do_not_all_pass_the_limit(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await url_of(here, await stored(here))
    goes_on, find = asyncio.Event(), Transfers.find

    async def slow(self: Transfers, secret: str) -> Transfer:
        await goes_on.wait()
        return await find(self, secret)

    monkeypatch.setattr(Transfers, "find", slow)
    asked = [asyncio.create_task(here.client.get(url)) for _ in range(MOST_PER_ADDRESS + 5)]

    async def refused() -> int:
        return sum(one.done() for one in asked)

    await until(refused, lambda count: count == 5)
    goes_on.set()
    answers = await asyncio.gather(*asked)
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] * MOST_PER_ADDRESS + [429] * 5


async def test_a_body_may_be_larger_than_other_bodies(here: World) -> None:
    most = here.system.settings.max_body_bytes
    item = await stored(here, bytes(4 * most))
    assert len((await here.client.get(await url_of(here, item))).content) == 4 * most
    answer = await here.client.post("/repo/item", content=bytes(most + 1), headers=here.as_("city"))
    assert answer.status_code == 413


# -- over real HTTP -------------------------------------------------------------------------


async def test_curl_uploads_and_resumes(there: tuple[World, str], tmp_path: Any) -> None:
    here, base = there
    file, got = tmp_path / "film", tmp_path / "got"
    file.write_bytes(DATA * 700)  # longer than what passes at a time

    async def curl(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "curl", "-sS", "--fail-with-body", *words, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, out
        return out.decode()

    async with httpx.AsyncClient(base_url=base, headers=here.as_("city"), timeout=60) as client:
        chunked = ["-H", "Transfer-Encoding: chunked", "-T", str(file)]
        for how in (["-F", f"filedata=@{file}"], ["-T", str(file)], chunked):
            made = (await client.post("/repo/item")).json()
            assert made["url"].startswith(base)
            await curl(*how, made["url"])
            url = (await client.get(f"/repo/item/{made['id']}")).json()["url"]
            await curl("-r", "0-999999", "-o", str(got), url)
            await curl("-C", "-", "-o", str(got), url)
            assert got.read_bytes() == file.read_bytes()
            got.unlink()


async def test_of_an_upload_that_breaks_off_nothing_is_kept(there: tuple[World, str]) -> None:
    here, base = there
    async with httpx.AsyncClient(base_url=base, headers=here.as_("city"), timeout=60) as client:
        made = (await client.post("/repo/item")).json()
    url = httpx.URL(made["url"])
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = f"PUT {url.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    writer.write(head.encode() + bytes(5000))
    await writer.drain()
    repository = here.system.repository

    async def begun() -> bool:
        return (await repository.usage(here.city.id)).items == 1 and bool(storage_of(here).writing)

    await until(begun)
    writer.close()

    async def gone() -> bool:
        return not storage_of(here).writing

    await until(gone)
    assert (await repository.get(made["id"])).size == 0
    assert await repository.upkeep.clear() == 0


async def test_damage_that_is_found_late_cuts_the_body_off(there: tuple[World, str]) -> None:
    here, base = there
    data = DATA * 1000  # several pieces
    item = await stored(here, data)
    (part,) = (await here.system.repository.content(item)).parts
    storage_of(here).damage(part.blob, len(data) - 1)
    async with httpx.AsyncClient(base_url=base, headers=here.as_("city"), timeout=60) as client:
        url = (await client.get(f"/repo/item/{item}")).json()["url"]
        got = 0
        with pytest.raises(httpx.RemoteProtocolError):
            async with client.stream("GET", url) as answer:
                assert answer.headers["content-length"] == str(len(data))
                async for piece in answer.aiter_raw():
                    got += len(piece)
        assert 0 < got < len(data)
        described = await client.get(f"/api/v1/repository/items/{item}")
        assert described.json()["state"] == "damaged"
        assert (await client.get(url)).status_code == 409
