"""Migrations in a scenario: waited for, on virtual time."""

from support.virtual import until
from support.world import World
from umbel.mobility.model import Migration, MigrationState


async def over(w: World, migration: Migration, *, within_s: float = 120) -> Migration:
    async def holds() -> bool:
        return (await w.system.mobility.get(migration.id)).is_over

    await until(holds, within_s=within_s, why=f"{migration.id} is over")
    return await w.system.mobility.get(migration.id)


async def state(w: World, migration: Migration, wanted: MigrationState) -> None:
    async def holds() -> bool:
        return (await w.system.mobility.get(migration.id)).state is wanted

    await until(holds, within_s=60, why=f"{migration.id} is {wanted}")
