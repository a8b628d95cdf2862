"""The schema's history, one for every domain's tables. `upgrade` runs on every start.

In: a Database. Out: its tables at the newest revision, or an error and no change at all: a run is
one transaction, and instances that start together take turns.
"""

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from umbel.kit.db import Database
from umbel.kit.errors import Conflict

_TURN_LOCK = 0x756D6264
_FOLDER = Path(__file__).parent
_Step = Callable[[Config, str], None]


class SchemaUnknown(Conflict):
    """The database's schema belongs to another release: start that release, or restore a backup."""

    code = "umbel.schema_unknown"


async def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the schema to `revision`. Raises SchemaUnknown, DatabaseUnavailable."""
    await _run(database, command.upgrade, revision)


async def downgrade(database: Database, revision: str = "base") -> None:
    """Take the schema back to `revision`; data of dropped tables is lost."""
    await _run(database, command.downgrade, revision)


async def current(database: Database) -> str:
    """The schema's revision, empty before the first upgrade."""
    return await database.migrate(
        lambda connection: MigrationContext.configure(connection).get_current_revision() or ""
    )


def newest() -> str:
    """The revision this release needs."""
    return ScriptDirectory(str(_FOLDER)).get_current_head() or ""


async def _run(database: Database, step: _Step, revision: str) -> None:
    await database.migrate(lambda connection: _apply(connection, step, revision))


def _apply(connection: sa.Connection, step: _Step, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN_LOCK)))
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        step(config, revision)
    except CommandError as error:
        raise SchemaUnknown(str(error)) from error
