"""Reminders on devices, on SQLite and on PostgreSQL: each device gets each once, as long as it is
there; with pushes to services in memory."""

import json

from support.clocks import SetClock
from support.reminding import AUTH, DAY, HOUR, MINUTES, NOW_S, POINT, Instance, event, people
from umbel.kit.db import Database
from umbel.notify.drivers.fake_mailer import FakeMailer


async def test_each_device_gets_each_reminder_once(
    database: Database,
) -> None:
    clock, mailer = SetClock(NOW_S), FakeMailer()
    catalogue = await people(database, clock)
    one = Instance(catalogue, clock, mailer)
    made = await event(catalogue, DAY + 60, "ann", "eve")
    laptop, phone = [
        await catalogue.devices.add("ann", f"https://push.example.net/{name}", POINT, AUTH, name)
        for name in ("laptop", "phone")
    ]
    clock.at_s += 60
    for _ in range(2):
        await one.round()
    taken = one.pusher.taken
    assert sorted(push.endpoint for push in taken) == [laptop.endpoint, phone.endpoint]
    bodies = [json.loads(push.payload) for push in taken]
    assert len({body.pop("id") for body in bodies}) == 2
    assert bodies[0] == {
        "kind": "reminder",
        "title": "Council",
        "provider": "City",
        "starts_at": "2027-02-20T01:21:00.000Z",
        "path": f"/watch/{made.id}",
    }
    assert (taken[0].ttl_s, taken[0].is_urgent, len(taken[0].topic)) == (DAY, False, 32)
    assert len(mailer.taken) == 1
    one.pusher.gone(laptop.endpoint)
    one.pusher.fail(phone.endpoint, retry_after_s=120)
    clock.at_s = made.starts_s - HOUR
    await one.round()
    assert await catalogue.devices.every("ann") == [phone]
    one.pusher.answer(phone.endpoint, None)
    clock.at_s += 119
    await one.round()
    assert len(taken) == 2, "as the push service asked"
    clock.at_s += 1
    for _ in range(2):
        await one.round()
    assert [push.endpoint for push in taken[2:]] == [phone.endpoint]
    await catalogue.devices.remove("ann", phone.id)
    clock.at_s = made.starts_s - MINUTES
    await one.round()
    assert len(taken) == 3
    states = [row["state"] for row in await catalogue.outbox.of_account("ann")]
    assert sorted(states) == ["dropped", *["sent"] * 6]
