"""The schema's history, one for every domain's tables. `upgrade` runs on every start.

In: a Database. Out: its tables at the newest revision, or an error and no change at all: a run is
one transaction, and instances that start together take turns.
"""

from pathlib import Path

import sqlalchemy as sa

from umbel.kit.db import Database
from umbel.kit.errors import Conflict

_TURN_LOCK = 0x756D6264
_FOLDER = Path(__file__).parent
_TABLE = sa.table("alembic_version", sa.column("version_num"))


class SchemaUnknown(Conflict):
    """The database's schema belongs to another release: start that release, or restore a backup."""

    code = "umbel.schema_unknown"


async def upgrade(database: Database) -> None:
    """Bring the schema to the newest revision. Raises SchemaUnknown, DatabaseUnavailable."""
    # Alembic loads slowly, and most starts find the schema as it is to be.
    if await current(database) != newest():
        await database.migrate(lambda connection: _apply(connection, "upgrade", "head"))


async def downgrade(database: Database, revision: str = "base") -> None:
    """Take the schema back to `revision`; data of dropped tables is lost."""
    await database.migrate(lambda connection: _apply(connection, "downgrade", revision))


async def current(database: Database) -> str:
    """The schema's revision, empty before the first upgrade."""
    return await database.migrate(_recorded)


def newest() -> str:
    """The revision this release needs: the last file's."""
    return max(known())


def known() -> frozenset[str]:
    """Every revision that this release can upgrade from, the newest among them."""
    return frozenset(path.stem[1:5] for path in (_FOLDER / "versions").glob("v*.py"))


def _recorded(connection: sa.Connection) -> str:
    if not sa.inspect(connection).has_table(_TABLE.name):
        return ""
    return connection.scalar(sa.select(_TABLE.c.version_num)) or ""


def _apply(connection: sa.Connection, step: str, revision: str) -> None:
    from alembic import command, config, util  # noqa: PLC0415

    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN_LOCK)))
    settings = config.Config()
    settings.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    settings.attributes["connection"] = connection
    try:
        getattr(command, step)(settings, revision)
    except util.CommandError as error:
        raise SchemaUnknown(str(error)) from error
