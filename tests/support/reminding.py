"""One instance's reminders over fakes, events that are reserved, and a browser's keys."""

from support.clocks import SetClock
from support.passwords import SharedHashes
from umbel.catalogue.choices.model import Channel
from umbel.catalogue.model import Event, EventDraft, UserRole
from umbel.catalogue.reservations.model import Purpose
from umbel.catalogue.service import Catalogue
from umbel.kit import derived_keys, push_encryption
from umbel.kit.db import Database
from umbel.notify.drivers.fake_mailer import FakeMailer
from umbel.notify.drivers.fake_pusher import FakePusher
from umbel.schedule.mail import MailCarrier
from umbel.schedule.push import PushCarrier
from umbel.schedule.reminding import Reminding
from umbel.schedule.sending import Sending

PASSWORD = "correct horse battery"
NOW_S = 1_803_000_000.0
DAY, HOUR, MINUTES = 86_400, 3_600, 300
POINT = push_encryption.encode(
    push_encryption.point_of(derived_keys.p256(b"a browser", b"").public_key())
)
AUTH = push_encryption.encode(b"0123456789abcdef")


async def people(database: Database, clock: SetClock) -> Catalogue:
    """Ann and Bob with an address, Eve without."""
    made = Catalogue(database, clock, passwords=SharedHashes(PASSWORD))
    for name in ("ann", "bob", "eve"):
        await made.add_user(name, PASSWORD, UserRole.VIEWER)
        if name != "eve":
            address = f"{name}@example.org"
            await made.accounts.set_email(name, address, PASSWORD, "192.0.2.1")
    return made


class Instance:
    """One instance's reminders by mail."""

    def __init__(
        self,
        catalogue: Catalogue,
        clock: SetClock,
        mailer: FakeMailer,
        *,
        name: str = "one",
        verified: bool = False,
    ) -> None:
        self.pusher = FakePusher()
        pushes = PushCarrier(pusher=self.pusher, devices=catalogue.devices, clock=clock)
        carrier = MailCarrier(mailer=mailer, clock=clock, url="https://live.example.org")
        self.sending = Sending(
            outbox=catalogue.outbox,
            clock=clock,
            me=name,
            carriers={Channel.MAIL: (carrier, 4), Channel.PUSH: (pushes, 4)},
        )
        self.reminding = Reminding(catalogue=catalogue, sending=self.sending, verified=verified)

    async def round(self) -> None:
        """Look, and send what is due."""
        await self.reminding.look()
        for channel in self.sending.channels:
            await self.sending.send(channel)


async def event(catalogue: Catalogue, after_s: float, *who: str, title: str = "Council") -> Event:
    """An event of the city that begins so much later, reserved by these."""
    provider = await catalogue.ensure_provider("City", "pe1")
    starts_s = NOW_S + after_s
    draft = EventDraft(
        provider_id=provider.id, title=title, starts_s=starts_s, ends_s=starts_s + 3_600
    )
    made = await catalogue.add_event(draft)
    for name in who:
        await catalogue.reservations.reserve(name, made.id, Purpose.WATCH)
    return made
