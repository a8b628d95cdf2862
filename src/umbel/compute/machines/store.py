"""The machines as rows: a restart and every other instance see the same machines."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from umbel.compute.machines.model import Machine, MachineExists, NoSuchMachine, SshTarget
from umbel.kit.db import Database, metadata
from umbel.kit.sql import Command, Connection, Query, given

machines = sa.Table(
    "machines",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("pool", sa.String(64), nullable=False),
    sa.Column("user", sa.String(32), nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("port", sa.Integer, nullable=False),
    sa.Column("host_key", sa.Text, nullable=False),
    sa.Column("bundle", sa.String(64), nullable=False),
    sa.Column("prefix", sa.String(255), nullable=False),
    sa.Column("run_as", sa.String(32), nullable=False),
)

_LOCK = 0x6D616368


def _machine(*, user: str, host: str, port: int, **rest: Any) -> Machine:
    return Machine(target=SshTarget(host=host, user=user, port=port), **rest)


_ROWS = Query(sa.select(machines).order_by(machines.c.name), _machine)
_ADD = Command(sa.insert(machines))
_SET_BUNDLE = Command(
    sa.update(machines).where(machines.c.name == given("named")).values(bundle=given("to"))
)
_DROP = Command(sa.delete(machines).where(machines.c.name == given("named")))


class MachineStore:
    """The queries of machines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Mapping[str, Machine]:
        """By their nodes' names."""
        return await self._database.read(_all)

    async def get(self, name: str) -> Machine:
        """One machine. Raises NoSuchMachine."""
        try:
            return (await self.all())[name]
        except KeyError:
            raise NoSuchMachine(f"There is no machine {name}", machine=name) from None

    async def add(self, machine: Machine) -> None:
        """A machine comes. Raises MachineExists."""

        def add(connection: Connection) -> None:
            connection.lock(_LOCK)
            for other in _all(connection).values():
                if other.name == machine.name:
                    raise MachineExists(f"{machine.name} is a machine already", machine=other.name)
                if (other.target, other.prefix) == (machine.target, machine.prefix):
                    message = f"{other.target} is the machine {other.name} already"
                    raise MachineExists(message, machine=other.name)
            target = machine.target
            connection.run(
                _ADD,
                name=machine.name,
                pool=machine.pool,
                user=target.user,
                host=target.host,
                port=target.port,
                host_key=machine.host_key,
                bundle=machine.bundle,
                prefix=machine.prefix,
                run_as=machine.run_as,
            )

        await self._database.write(add)

    async def set_bundle(self, name: str, bundle: str) -> None:
        """The machine uses this bundle from now on."""
        await self._database.write(lambda c: c.run(_SET_BUNDLE, named=name, to=bundle))

    async def remove(self, name: str) -> None:
        """The machine is forgotten."""
        await self._database.write(lambda c: c.run(_DROP, named=name))


def _all(connection: Connection) -> dict[str, Machine]:
    return {one.name: one for one in connection.all(_ROWS)}
