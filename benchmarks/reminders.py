"""10 000 reminders that are due at one moment: how long until the last one came, and whether each
came once. The whole service over SQLite, real SMTP and real HTTP.

In: nothing. Out: JSON lines on stdout, a table for people on stderr. The mail server and the push
service run in a process of their own, which opens each push as a browser does. `mail` and `push`
are 10 000 by one of them, `both` 5 000 accounts by both.
"""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
sys.path.insert(0, str(HERE))
import sqlalchemy as sa  # noqa: E402
from support.figures import Figure, emit  # noqa: E402

from umbel import migrations  # noqa: E402
from umbel.catalogue.accounts import store as accounts  # noqa: E402
from umbel.catalogue.accounts.model import Profile  # noqa: E402
from umbel.catalogue.choices.model import Channel, Choice  # noqa: E402
from umbel.catalogue.devices import store as devices  # noqa: E402
from umbel.catalogue.devices.model import Device  # noqa: E402
from umbel.catalogue.model import EventDraft, User, UserRole  # noqa: E402
from umbel.catalogue.reservations import store as reservations  # noqa: E402
from umbel.catalogue.reservations.model import Purpose, Reservation  # noqa: E402
from umbel.catalogue.service import Catalogue  # noqa: E402
from umbel.catalogue.store import add_user  # noqa: E402
from umbel.kit import derived_keys, log  # noqa: E402
from umbel.kit.clock import SystemClock  # noqa: E402
from umbel.kit.db import Database  # noqa: E402
from umbel.kit.sql import Connection, Scalar  # noqa: E402
from umbel.kit.vapid import Vapid  # noqa: E402
from umbel.notify.drivers.push_service import PushService, Received  # noqa: E402
from umbel.notify.drivers.smtp import SmtpMailer, SmtpServer  # noqa: E402
from umbel.notify.drivers.webpush import WebPusher  # noqa: E402
from umbel.schedule.mail import MailCarrier  # noqa: E402
from umbel.schedule.push import PushCarrier  # noqa: E402
from umbel.schedule.reminding import Reminding  # noqa: E402
from umbel.schedule.sending import Carrier, Sending  # noqa: E402

ROUNDS = 3
MESSAGES = 10_000
TO_REACH_S = 60.0
DEADLINE_S = 300.0
LEAD_S = 3_600
AN_HOUR_BEFORE = Choice(leads_s=(LEAD_S,))
SETTLE_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """How many accounts, and by what they are reminded."""

    name: str
    accounts: int
    by_mail: bool
    by_push: bool


CASES = (
    Case(name="mail", accounts=MESSAGES, by_mail=True, by_push=False),
    Case(name="push", accounts=MESSAGES, by_mail=False, by_push=True),
    Case(name="both", accounts=MESSAGES // 2, by_mail=True, by_push=True),
)


# -- the receivers' process -------------------------------------------------------------------


class _Told(list[Received]):
    """A subscription's pushes: each is said at once."""

    def append(self, one: Received) -> None:
        print(json.loads(one.payload)["id"], time.monotonic(), flush=True)


class _Letters:
    """aiosmtpd's handler: the id of each letter is said at once."""

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        head = envelope.content.partition(b"\r\n\r\n")[0].decode()
        id_ = head.partition("Message-ID: <")[2].partition("@")[0]
        print(id_, time.monotonic(), flush=True)
        return "250 OK"


async def receive(count: int) -> None:
    """A mail server, and a push service with so many browsers; say on stdout what came when."""
    from aiosmtpd.smtp import SMTP  # noqa: PLC0415 -- of this process alone

    loop = asyncio.get_running_loop()
    letters = await loop.create_server(
        lambda: SMTP(_Letters(), hostname="mail.test", loop=loop), "127.0.0.1", 0
    )
    async with PushService(SystemClock()).running() as service:
        browsers = [service.subscribe() for _ in range(count)]
        for one in browsers:
            one.received = _Told()
        smtp_port = letters.sockets[0].getsockname()[1]
        found = [(one.endpoint, *one.keys.values()) for one in browsers]
        print(json.dumps({"smtp_port": smtp_port, "browsers": found}), flush=True)
        await letters.serve_forever()


@dataclass
class Receivers:
    """The other process, and when each message came."""

    smtp_port: int
    browsers: list[tuple[str, str, str]]
    came: list[tuple[str, float]] = field(default_factory=list)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.came) < count:
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def receivers(count: int) -> AsyncIterator[Receivers]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        "--receive",
        str(count),
        stdout=subprocess.PIPE,
        limit=2**26,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    made = Receivers(**json.loads(await process.stdout.readline()))

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            id_, at_s = line.decode().split()
            made.came.append((id_, float(at_s)))

    reading = asyncio.create_task(read())
    try:
        yield made
    finally:
        process.terminate()
        await process.wait()
        await reading


# -- the service ------------------------------------------------------------------------------


async def prepare(catalogue: Catalogue, database: Database, case: Case, there: Receivers) -> float:
    """Accounts that reserved an event long ago; the moment at which all are to be reminded."""
    clock = SystemClock()
    provider = await catalogue.ensure_provider("City", "pe1")
    due_s = clock.now_s() + SETTLE_S
    draft = EventDraft(
        provider_id=provider.id,
        title="Council",
        starts_s=due_s + LEAD_S,
        ends_s=due_s + LEAD_S + 3_600,
    )
    event = await catalogue.add_event(draft)
    reserved = Reservation(event=event, purpose=Purpose.WATCH, reserved_s=due_s - 7 * 86_400)

    def fill(connection: Connection) -> None:
        for number in range(case.accounts):
            name = f"viewer{number}"
            user = User(username=name, role=UserRole.VIEWER, generation=name)
            add_user(connection, user, "no password")
            email = f"{name}@example.org" if case.by_mail else ""
            accounts.put_profile(connection, Profile(username=name, email=email))
            reservations.put(connection, name, reserved)
            reservations.choose(connection, name, event.id, AN_HOUR_BEFORE)
            if case.by_push:
                endpoint, p256dh, auth = there.browsers[number]
                device = Device(
                    id=f"dev_{number}",
                    username=name,
                    endpoint=endpoint,
                    p256dh=p256dh,
                    auth=auth,
                    label="Browser",
                    created_s=due_s,
                )
                devices.add(connection, device)

    await database.write(fill)
    return due_s


async def took_s(case: Case) -> float:
    """One round: the seconds from when all are due until the last came. Raises where one is missing
    or comes twice."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="umbel-bench-") as folder:
        database = Database(f"sqlite:///{folder}/umbel.db")
        await migrations.upgrade(database)
        catalogue = Catalogue(database, clock)
        async with receivers(case.accounts if case.by_push else 0) as there:
            server = SmtpServer(
                host="127.0.0.1", port=there.smtp_port, security="none", sender="u@example.org"
            )
            mailer = SmtpMailer(server)
            vapid = Vapid(key=derived_keys.p256(b"bench", b"push"))
            pusher = WebPusher(vapid, clock, allow_private=True)
            letters = MailCarrier(mailer=mailer, clock=clock, url="https://live.example.org")
            pushes = PushCarrier(pusher=pusher, devices=catalogue.devices, clock=clock)
            carriers: dict[Channel, tuple[Carrier, int]] = {
                Channel.MAIL: (letters, 8),
                Channel.PUSH: (pushes, 32),
            }
            sending = Sending(outbox=catalogue.outbox, clock=clock, me="bench", carriers=carriers)
            reminding = Reminding(catalogue=catalogue, sending=sending, verified=False, every_s=1.0)
            due_s = await prepare(catalogue, database, case, there)
            began_s = time.monotonic() + due_s - clock.now_s()
            running = asyncio.create_task(reminding.run())
            try:
                await there.until(MESSAGES)
                await asyncio.sleep(1.0)  # for what comes twice
                await check(database, there)
                return max(at_s for _, at_s in there.came) - began_s
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await mailer.close()
                await pusher.close()
                await database.close()


async def check(database: Database, there: Receivers) -> None:
    """Each message came once, and each is noted as sent."""
    counts = Counter(id_ for id_, _ in there.came)
    twice = [id_ for id_, count in counts.items() if count > 1]
    if len(counts) != MESSAGES or twice:
        raise RuntimeError(f"{len(counts)} of {MESSAGES} came, {len(twice)} of them twice")
    sent = Scalar(sa.text("SELECT count(*) FROM outbox WHERE state = 'sent'"), int)
    async with asyncio.timeout(DEADLINE_S):
        while await database.read(lambda connection: connection.scalar(sent)) != MESSAGES:
            await asyncio.sleep(0.1)


def main() -> None:
    """Every case."""
    log.configure(level="error")
    for case in CASES:
        rounds = [asyncio.run(took_s(case)) for _ in range(ROUNDS)]
        emit(
            Figure(
                bench="reminders",
                case=f"{case.name}-{MESSAGES}",
                value=statistics.median(rounds),
                unit="s",
                n=ROUNDS,
                peer="to reach",
                peer_value=TO_REACH_S,
            )
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--receive"]:
        asyncio.run(receive(int(sys.argv[2])))
    else:
        main()
