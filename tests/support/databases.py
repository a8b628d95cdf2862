"""What tests ask of a database."""

from umbel.kit.db import Database


async def none_under_way(database: Database) -> bool:
    """Whether no unit of work runs now."""
    return database.under_way == 0
