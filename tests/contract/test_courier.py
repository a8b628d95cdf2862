"""What every courier promises, over receivers that answer, refuse, redirect, close and hang."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.certificates import Authority
from support.receiver import HANG, Receiver, receiving, response
from support.waiting import until
from umbel.notify.drivers.fake import FakeCourier
from umbel.notify.drivers.http import HttpCourier
from umbel.notify.ports import Answer, Courier, Undelivered

HEADERS = {"Content-Type": "application/json", "Umbel-Signature": "t=1,v1=00"}
BODY = b'{"sequence":1}'


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[HttpCourier]:
    courier = HttpCourier()
    try:
        yield courier
    finally:
        await courier.close()


# -- both -----------------------------------------------------------------------------------


@pytest.fixture(params=["fake", "http"])
def courier(request: pytest.FixtureRequest, http: HttpCourier) -> Courier:
    return http if request.param == "http" else FakeCourier()


def script(courier: Courier, receiver: Receiver, *statuses: int | None) -> None:
    if isinstance(courier, FakeCourier):
        courier.answer(receiver.url, *statuses)
    receiver.script.extend(None if s is None else response(s) for s in statuses)


async def test_a_receiver_answers(courier: Courier, receiver: Receiver) -> None:
    assert await courier.post(receiver.url, BODY, HEADERS) == Answer(status=204)


async def test_500_then_200(courier: Courier, receiver: Receiver) -> None:
    script(courier, receiver, 500, 200)
    answers = [(await courier.post(receiver.url, BODY, HEADERS)).status for _ in range(2)]
    assert answers == [500, 200]


async def test_a_receiver_that_closes_without_a_word(courier: Courier, receiver: Receiver) -> None:
    script(courier, receiver, None, 200)
    with pytest.raises(Undelivered):
        await courier.post(receiver.url, BODY, HEADERS)
    assert (await courier.post(receiver.url, BODY, HEADERS)).status == 200


async def test_a_receiver_that_hangs_is_left_by_cancelling(
    courier: Courier, receiver: Receiver
) -> None:
    if isinstance(courier, FakeCourier):
        courier.hang(receiver.url)
    receiver.script.append(HANG)
    posting = asyncio.create_task(courier.post(receiver.url, BODY, HEADERS))

    async def is_posted() -> bool:
        return isinstance(courier, FakeCourier) or bool(receiver.posted)

    await until(is_posted)
    posting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await posting
    if isinstance(courier, FakeCourier):
        courier.hang(receiver.url, hangs=False)
    assert (await courier.post(receiver.url, BODY, HEADERS)).status == 204


async def test_a_redirect_is_an_answer(courier: Courier, receiver: Receiver) -> None:
    async with receiving() as elsewhere:
        if isinstance(courier, FakeCourier):
            courier.answer(receiver.url, 307)
        receiver.script.append(response(307, f"Location: {elsewhere.url}"))
        assert (await courier.post(receiver.url, BODY, HEADERS)).status == 307
        assert elsewhere.connections == 0


# -- over the wire --------------------------------------------------------------------------


async def test_body_and_headers_arrive_as_given(http: HttpCourier, receiver: Receiver) -> None:
    await http.post(receiver.url, BODY, HEADERS)
    ((head, body),) = receiver.posted
    assert body == BODY
    assert head.startswith(b"POST /hook HTTP/1.1\r\n")
    assert b"\r\numbel-signature: t=1,v1=00\r\n" in head.lower()
    assert b"\r\nuser-agent: umbel/" in head.lower()


async def test_a_connection_is_used_again_and_cookies_are_not_kept(
    http: HttpCourier, receiver: Receiver
) -> None:
    receiver.script.append(response(200, "Set-Cookie: a=b", body=b"thanks"))
    for _ in range(3):
        await http.post(receiver.url, BODY, HEADERS)
    assert receiver.connections == 1
    assert all(b"cookie" not in head.lower() for head, _ in receiver.posted)


async def test_a_receiver_of_an_unknown_authority_is_refused(
    http: HttpCourier, tmp_path: Path
) -> None:
    (tmp_path / "server.pem").write_text("".join(Authority().server("127.0.0.1")))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")
    async with receiving(tls) as receiver:
        with pytest.raises(Undelivered):
            await http.post(receiver.url, BODY, HEADERS)
    assert receiver.posted == []


async def test_a_long_answer_is_not_read_to_its_end(http: HttpCourier, receiver: Receiver) -> None:
    flood = response(200, body=b"x" * 200_000).replace(b"200000", b"999999999999")
    receiver.script.append(flood)
    async with asyncio.timeout(60):
        assert (await http.post(receiver.url, BODY, HEADERS)).status == 200
        assert (await http.post(receiver.url, BODY, HEADERS)).status == 204
    assert receiver.connections == 2


@pytest.mark.parametrize(
    ("said", "heard_s"),
    [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0), ("-1", 0.0), ("9" * 400, 0.0)],
)
async def test_retry_after_is_heard(
    http: HttpCourier, receiver: Receiver, said: str, heard_s: float
) -> None:
    receiver.script.append(response(503, f"Retry-After: {said}"))
    answer = await http.post(receiver.url, BODY, HEADERS)
    assert answer == Answer(status=503, retry_after_s=heard_s)


@pytest.mark.parametrize("answer", [b"garbage\r\n\r\n", b"HTTP/1.1 999999 x\r\n\r\n", b"\x16\x03"])
async def test_what_is_no_http_is_no_answer(
    http: HttpCourier, receiver: Receiver, answer: bytes
) -> None:
    class Rude(Receiver):
        async def serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)
            writer.close()

    server = await asyncio.start_server(Rude().serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    with pytest.raises(Undelivered):
        await http.post(url, BODY, HEADERS)
    server.close()


async def test_nobody_there(http: HttpCourier) -> None:
    async with receiving() as gone:
        pass
    with pytest.raises(Undelivered, match="cannot connect"):
        await http.post(gone.url, BODY, HEADERS)


async def test_one_that_hangs_keeps_no_other_waiting(http: HttpCourier, receiver: Receiver) -> None:
    receiver.script.extend([HANG] * 150)
    hanging = [asyncio.create_task(http.post(receiver.url, BODY, HEADERS)) for _ in range(150)]
    try:
        async with receiving() as quick, asyncio.timeout(60):
            while receiver.connections < 150:
                await asyncio.sleep(0.01)
            assert (await http.post(quick.url, BODY, HEADERS)).status == 204
    finally:
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
