"""What every pusher promises, over a real push service on loopback that takes, refuses and fails;
and that pushes go nowhere else."""

import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Authority
from umbel.kit import derived_keys
from umbel.kit.clock import SystemClock
from umbel.kit.vapid import Vapid
from umbel.notify.drivers.fake_pusher import FakePusher
from umbel.notify.drivers.push_service import PushService, Subscription
from umbel.notify.drivers.webpush import WebPusher
from umbel.notify.model import Push
from umbel.notify.ports import Pusher, PushGone, PushRefused, PushUnavailable

VAPID = Vapid(key=derived_keys.p256(b"of a test", b"push"), contact="mailto:ops@example.org")


@dataclass
class Rig:
    """A pusher, and a browser's subscription at a push service."""

    pusher: Pusher
    service: PushService
    browser: Subscription

    def push(self, **changes: Any) -> Push:
        push = Push(
            endpoint=self.browser.endpoint,
            payload='{"title":"Grüße"}'.encode(),
            ttl_s=60,
            topic="a" * 32,
            p256dh=self.browser.keys["p256dh"],
            auth=self.browser.keys["auth"],
        )
        return replace(push, **changes)

    def answer(self, status: int, error: Exception, retry_after: str = "") -> None:
        self.browser.answer(status, retry_after)
        if isinstance(self.pusher, FakePusher):
            self.pusher.answer(self.browser.endpoint, error)

    @property
    def payloads(self) -> list[bytes]:
        if isinstance(self.pusher, FakePusher):
            return [push.payload for push in self.pusher.taken]
        return [one.payload for one in self.browser.received]


@pytest.fixture(params=["fake", "web"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    clock = SystemClock()
    made: Pusher = FakePusher()
    if request.param == "web":
        made = WebPusher(VAPID, clock, allow_private=True)
    async with PushService(clock).running() as service:
        yield Rig(pusher=made, service=service, browser=service.subscribe())
        await made.close()


@pytest.fixture
async def web() -> AsyncIterator[Rig]:
    clock = SystemClock()
    async with PushService(clock).running() as service:
        pusher = WebPusher(VAPID, clock, allow_private=True)
        yield Rig(pusher=pusher, service=service, browser=service.subscribe())
        await pusher.close()


async def test_a_push_arrives_as_it_is(rig: Rig) -> None:
    for payload in (b"one", b"", b"\x02\x00", b"x" * 3_993):
        await rig.pusher.send(rig.push(payload=payload))
    assert rig.payloads == [b"one", b"", b"\x02\x00", b"x" * 3_993]
    assert rig.service.refused == []


async def test_a_subscription_that_is_gone(rig: Rig) -> None:
    for status in (404, 410):
        rig.answer(status, PushGone())
        with pytest.raises(PushGone):
            await rig.pusher.send(rig.push())
    assert rig.payloads == []


async def test_a_service_that_is_busy_says_when(rig: Rig) -> None:
    for status, text, after_s in ((429, "120", 120), (503, "", 0), (500, "nonsense", 0)):
        rig.answer(status, PushUnavailable("busy", after_s), text)
        with pytest.raises(PushUnavailable) as raised:
            await rig.pusher.send(rig.push())
        assert raised.value.retry_after_s == after_s


async def test_what_a_service_refuses_for_good(rig: Rig) -> None:
    for status in (400, 401, 403, 413, 301):
        rig.answer(status, PushRefused())
        with pytest.raises(PushRefused):
            await rig.pusher.send(rig.push())


async def test_keys_that_are_none_are_refused(rig: Rig) -> None:
    for change in ({"p256dh": "AAAA"}, {"auth": "AAAA"}, {"payload": b"x" * 3_994}):
        with pytest.raises(PushRefused):
            await rig.pusher.send(rig.push(**change))


# -- over HTTP ------------------------------------------------------------------------------


async def test_what_the_service_and_the_browser_see(web: Rig) -> None:
    await web.pusher.send(web.push(ttl_s=300, topic="b" * 32, is_urgent=True))
    await web.pusher.send(web.push())
    first, second = web.browser.received
    assert first.payload.decode() == '{"title":"Grüße"}'
    assert (first.ttl_s, first.urgency, first.topic) == (300, "high", "b" * 32)
    assert (second.ttl_s, second.urgency) == (60, "normal")
    assert first.sender == VAPID.public_key
    assert web.service.connections == 1, "one connection for both"


async def test_over_https_to_the_service_that_is_meant(tmp_path: Path) -> None:
    authority, clock = Authority(), SystemClock()
    (tmp_path / "server.pem").write_text("".join(authority.server("127.0.0.1")))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")
    right = ssl.create_default_context(cadata=authority.pem)
    async with PushService(clock).running(tls) as service:
        browser = service.subscribe()
        for trust in (right, None):
            pusher = WebPusher(VAPID, clock, allow_private=True, trust=trust)
            rig = Rig(pusher=pusher, service=service, browser=browser)
            if trust is None:
                with pytest.raises(PushUnavailable):
                    await pusher.send(rig.push())
            else:
                await pusher.send(rig.push())
            await pusher.close()
        assert len(browser.received) == 1


async def test_a_service_that_is_gone_or_silent_is_an_outage(web: Rig) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(PushUnavailable):
            await web.pusher.send(web.push(endpoint=f"http://127.0.0.1:{port}/x"))
    with pytest.raises(PushUnavailable):
        await web.pusher.send(web.push(endpoint="https://no-such-host.invalid/x"))


async def test_pushes_do_not_enter_the_operators_network(web: Rig) -> None:
    """Also where a name leads there, or a number that only the resolver knows for an address."""
    strict = WebPusher(VAPID, SystemClock())
    port = web.service.origin.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "0x7f000001", "2130706433", "[::1]", "10.0.0.1"):
        with pytest.raises(PushRefused):
            await strict.send(web.push(endpoint=f"https://{host}:{port}/x"))
    with pytest.raises(PushRefused):
        await strict.send(web.push())
    await strict.close()
    assert web.service.connections == 0
