"""Reminders on virtual time, as the loops run them: two instances, one of which ends in the middle,
a mail server that is away, an event that moves, and one that goes live."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from support.databases import prepare
from support.reminding import AUTH, PASSWORD, POINT
from support.virtual import PatientDatabase, scenario
from umbel.catalogue.choices.model import Channel, Choice
from umbel.catalogue.model import Event, EventDraft, EventEvent, EventPatch
from umbel.catalogue.reservations.model import Purpose
from umbel.catalogue.service import Catalogue
from umbel.kit.clock import LoopClock
from umbel.notify.drivers.fake_mailer import FakeMailer
from umbel.notify.drivers.fake_pusher import FakePusher
from umbel.notify.model import Letter
from umbel.schedule.mail import MailCarrier
from umbel.schedule.push import PushCarrier
from umbel.schedule.reminding import Reminding
from umbel.schedule.sending import Sending

PEOPLE = 30
LEADS = (600, 60)


class SlowMailer(FakeMailer):
    """Takes half a second for each letter."""

    async def send(self, letter: Letter) -> None:
        await asyncio.sleep(0.5)
        await super().send(letter)


async def reached(what: Callable[[], bool], *, within_s: float) -> None:
    """Looks each second: some scenarios last for an hour."""
    async with asyncio.timeout(within_s):
        while not what():
            await asyncio.sleep(1)


async def prepared(catalogue: Catalogue, clock: LoopClock) -> Event:
    """An event in 15 minutes that all of them reserved, with an address and a device each."""
    provider = await catalogue.add_provider("City", "pe1")
    starts_s = clock.now_s() + 900
    draft = EventDraft(
        provider_id=provider.id, title="Council", starts_s=starts_s, ends_s=starts_s + 3_600
    )
    event = await catalogue.add_event(draft)
    own = Choice(leads_s=LEADS, changed_s=clock.now_s())
    for number in range(PEOPLE):
        name = f"viewer{number}"
        await catalogue.accounts.sign_up(name, PASSWORD, most=1_000)
        await catalogue.accounts.set_email(name, f"{name}@example.org", PASSWORD, "192.0.2.1")
        endpoint = f"https://push.example.net/{name}"
        await catalogue.devices.add(name, endpoint, POINT, AUTH, "Phone")
        await catalogue.reservations.reserve(name, event.id, Purpose.WATCH)
        await catalogue.reservations.choose(name, event.id, own)
    return event


@scenario
async def test_everybody_is_reminded_once_whatever_happens(tmp_path: Path) -> None:
    clock, mailer, pusher = LoopClock(), SlowMailer(), FakePusher()
    databases = [PatientDatabase(f"sqlite:///{tmp_path / 'umbel.db'}") for _ in range(3)]
    await prepare(databases[0])

    def instance(number: int) -> "asyncio.Task[None]":
        catalogue = Catalogue(databases[number], clock)
        letters = MailCarrier(mailer=mailer, clock=clock)
        pushes = PushCarrier(pusher=pusher, devices=catalogue.devices, clock=clock)
        sending = Sending(
            outbox=catalogue.outbox,
            clock=clock,
            me=f"instance {number}",
            carriers={Channel.MAIL: (letters, 2), Channel.PUSH: (pushes, 4)},
        )
        reminding = Reminding(catalogue=catalogue, sending=sending, verified=False)
        return asyncio.create_task(reminding.run())

    def subjects() -> Counter[str]:
        return Counter(letter.subject for letter in mailer.taken)

    catalogue = Catalogue(databases[0], clock)
    event = await prepared(catalogue, clock)
    running = [instance(0), instance(1)]
    try:
        await reached(lambda: len(mailer.taken) >= 5, within_s=400)
        running.pop(0).cancel()  # in the middle of its letters
        mailer.fail()
        await asyncio.sleep(40)
        mailer.fail(fails=False)
        running.append(instance(2))
        await reached(lambda: len(mailer.taken) >= PEOPLE, within_s=240)
        assert clock.now_s() < event.starts_s

        now = await catalogue.event(event.id)
        patch = EventPatch(starts_s=now.starts_s + 1_200)
        await catalogue.change_event(event.id, now.version, patch)
        await reached(lambda: len(mailer.taken) >= 3 * PEOPLE, within_s=2_400)
        await asyncio.sleep(300)
        assert subjects() == {"Soon: Council": 3 * PEOPLE}

        for what in (EventEvent.OPEN, EventEvent.START, EventEvent.STOP, EventEvent.START):
            await catalogue.transition(event.id, what)
        await asyncio.sleep(120)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for database in databases:
            await database.close()
    assert subjects() == {"Soon: Council": 3 * PEOPLE, "Live now: Council": PEOPLE}
    assert len({letter.id for letter in mailer.taken}) == 4 * PEOPLE
    assert len(pusher.taken) == 4 * PEOPLE
    assert Counter(push.endpoint for push in pusher.taken).most_common()[-1][1] == 4
