"""The only entry to the browsers that notices go to.

In: subscriptions of the portal, for a user who has proved who they are; what push services said of
one. Out: values of `model`.
"""

from dataclasses import replace

from umbel.catalogue import rules
from umbel.catalogue.devices import store
from umbel.catalogue.devices.model import (
    MOST_DEVICES,
    MOST_LABEL,
    Device,
    NoSuchDevice,
    TooManyDevices,
)
from umbel.catalogue.model import NoSuchUser
from umbel.catalogue.reservations.store import hold_user
from umbel.kit import push_encryption
from umbel.kit.clock import Clock
from umbel.kit.db import Database
from umbel.kit.ids import new_id
from umbel.kit.sql import Connection


class Devices:
    """Devices by account."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def every(self, username: str) -> list[Device]:
        """The account's, the oldest first."""
        return await self._database.read(store.every, username)

    async def add(self, username: str, endpoint: str, p256dh: str, auth: str, label: str) -> Device:
        """The account's browser of this endpoint, which the caller has checked, in place of what
        it was before. Idempotent. Raises BadPushMessage, Unprocessable, TooManyDevices,
        NoSuchUser."""
        push_encryption.parse_keys(p256dh, auth)
        new = Device(
            id=new_id("dev"),
            username=username,
            endpoint=endpoint,
            p256dh=p256dh,
            auth=auth,
            label=rules.line("label", label, MOST_LABEL),
            created_s=self._clock.now_s(),
        )

        def put(connection: Connection) -> Device:
            if not hold_user(connection, username):
                raise NoSuchUser(username=username)
            mine = store.every(connection, username)
            before = next((one for one in mine if one.endpoint == endpoint), None)
            if before is None and len(mine) >= MOST_DEVICES:
                raise TooManyDevices(most=MOST_DEVICES)
            kept = new if before is None else replace(new, id=before.id, created_s=before.created_s)
            store.drop_endpoint(connection, endpoint)
            store.add(connection, kept)
            return kept

        return await self._database.write(put)

    async def remove(self, username: str, device_id: str) -> None:
        """Send nothing there any more. Raises NoSuchDevice."""
        if not rules.is_name(device_id) or not await self._database.write(
            store.drop, username, device_id
        ):
            raise NoSuchDevice

    async def forget(self, device_id: str) -> None:
        """Its push service says that it is gone."""
        await self._database.write(store.forget, device_id)
