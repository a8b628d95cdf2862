"""The only entry to service levels: read, set, and what they commit the platform to now."""

from dataclasses import replace

from umbel.catalogue import rules
from umbel.catalogue import store as catalogue
from umbel.catalogue.model import NoSuchProvider
from umbel.catalogue.service_levels import store
from umbel.catalogue.service_levels.model import (
    MOST_HEIGHT,
    MOST_PRIORITY,
    MOST_VIEWERS,
    Commitment,
    ServiceLevel,
)
from umbel.kit import journal
from umbel.kit.clock import Clock
from umbel.kit.db import Database, VersionMismatch
from umbel.kit.errors import Unprocessable
from umbel.kit.sql import Connection


class ServiceLevels:
    """What the operator promised each provider."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def level(self, provider_id: str) -> ServiceLevel:
        """The provider's level. Raises NoSuchProvider."""
        if not rules.is_name(provider_id):
            raise NoSuchProvider

        def read(connection: Connection) -> ServiceLevel:
            catalogue.provider(connection, provider_id)
            return store.level(connection, provider_id)

        return await self._database.read(read)

    async def commitments(self) -> list[Commitment]:
        """Every level, with the events to which it applies now."""
        return await self._database.read(store.commitments)

    async def set_level(self, wanted: ServiceLevel, *, version: int | None = None) -> ServiceLevel:
        """Promise it in place of what was promised before; of that version only, if one is given.
        Raises NoSuchProvider, Unprocessable, VersionMismatch."""
        _check(wanted)
        if not rules.is_name(wanted.provider_id):
            raise NoSuchProvider
        at_s = self._clock.now_s()

        def write(connection: Connection) -> ServiceLevel:
            catalogue.hold_provider(connection, wanted.provider_id)
            before = store.level(connection, wanted.provider_id)
            if version is not None and version != before.version:
                raise VersionMismatch(f"the service level is at version {before.version}")
            saved = store.save(connection, replace(wanted, version=before.version))
            # Readers of the journal see all of it: what was promised is the operator's and the
            # provider's business.
            body = {"what": "service level"}
            journal.record(
                connection, at_s=at_s, kind="provider", subject=saved.provider_id, body=body
            )
            return saved

        return await self._database.write(write)


def _check(level: ServiceLevel) -> None:
    bounds = {"priority": MOST_PRIORITY, "viewers": MOST_VIEWERS, "height": MOST_HEIGHT}
    wrong = [
        {"field": name, "message": f"0 to {most}"}
        for name, most in (*bounds.items(), ("availability", 1))
        if not 0 <= getattr(level, name) <= most
    ]
    if wrong:
        text = "; ".join(f"{one['field']}: {one['message']}" for one in wrong)
        raise Unprocessable(text, fields=wrong)
