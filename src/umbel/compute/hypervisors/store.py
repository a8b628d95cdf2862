"""The hypervisors as rows: a restart and every other instance see the same ones."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from umbel.compute.hypervisors import iscsi
from umbel.compute.hypervisors.model import (
    Accelerator,
    CopyAccess,
    GuestNetwork,
    Hypervisor,
    HypervisorExists,
    NoSuchHypervisor,
)
from umbel.kit.db import Database, metadata
from umbel.kit.sql import Command, Connection, Query, given

hypervisors = sa.Table(
    "hypervisors",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("pool", sa.String(64), nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("folder", sa.String(255), nullable=False),
    sa.Column("accelerator", sa.String(16), nullable=False),
    sa.Column("bridge", sa.String(15), nullable=False),
    sa.Column("is_open_vswitch", sa.Boolean, nullable=False),
    sa.Column("first", sa.String(15), nullable=False),
    sa.Column("last", sa.String(15), nullable=False),
    sa.Column("prefix", sa.Integer, nullable=False),
    sa.Column("gateway", sa.String(15), nullable=False),
    sa.Column("copy_address", sa.String(45), nullable=False, server_default=""),
    sa.Column("iscsi", sa.String(512), nullable=False, server_default=""),
    sa.Column("plain_copies", sa.Boolean, nullable=False, server_default=sa.false()),
)

_LOCK = 0x68797076
_NETWORK = ("bridge", "is_open_vswitch", "first", "last", "prefix", "gateway")


def _hypervisor(
    *, accelerator: str, copy_address: str, plain_copies: bool, **columns: Any
) -> Hypervisor:
    network = GuestNetwork(**{name: columns.pop(name) for name in _NETWORK})
    copies = CopyAccess(address=copy_address, is_plain=plain_copies)
    kind = Accelerator(accelerator)
    return Hypervisor(network=network, copies=copies, accelerator=kind, **columns)


_ROWS = Query(sa.select(hypervisors).order_by(hypervisors.c.name), _hypervisor)
_ADD = Command(sa.insert(hypervisors))
_DROP = Command(sa.delete(hypervisors).where(hypervisors.c.name == given("named")))


class HypervisorStore:
    """The queries of hypervisors. `named` are those of the network file, which have no rows."""

    def __init__(self, database: Database, named: Sequence[Hypervisor] = ()) -> None:
        self._database = database
        self._named = {one.name: one for one in named}

    async def all(self) -> Mapping[str, Hypervisor]:
        """By their nodes' names."""
        return {**await self._database.read(_all), **self._named}

    async def get(self, name: str) -> Hypervisor:
        """One hypervisor. Raises NoSuchHypervisor."""
        try:
            return (await self.all())[name]
        except KeyError:
            raise NoSuchHypervisor(f"There is no hypervisor {name}", hypervisor=name) from None

    async def check_new(self, hypervisor: Hypervisor) -> None:
        """Raise HypervisorExists where it cannot be added."""
        await self._database.read(lambda connection: self._check_new(connection, hypervisor))

    async def add(self, hypervisor: Hypervisor) -> None:
        """A hypervisor comes. Raises HypervisorExists."""

        def add(connection: Connection) -> None:
            connection.lock(_LOCK)
            self._check_new(connection, hypervisor)
            network = {name: getattr(hypervisor.network, name) for name in _NETWORK}
            connection.run(
                _ADD,
                name=hypervisor.name,
                pool=hypervisor.pool,
                uri=hypervisor.uri,
                folder=hypervisor.folder,
                accelerator=hypervisor.accelerator.value,
                copy_address=hypervisor.copies.address,
                plain_copies=hypervisor.copies.is_plain,
                iscsi=hypervisor.iscsi,
                **network,
            )

        await self._database.write(add)

    async def remove(self, name: str) -> None:
        """The hypervisor is forgotten."""
        await self._database.write(lambda connection: connection.run(_DROP, named=name))

    def _check_new(self, connection: Connection, new: Hypervisor) -> None:
        _check({**_all(connection), **self._named}.values(), new)


def _all(connection: Connection) -> dict[str, Hypervisor]:
    return {one.name: one for one in connection.all(_ROWS)}


def _check(others: Iterable[Hypervisor], new: Hypervisor) -> None:
    for other in others:
        if other.name == new.name:
            message = f"{new.name} is a hypervisor already"
        elif other.uri == new.uri:
            message = f"{new.uri} is the hypervisor {other.name} already"
        elif _overlap(other.network, new.network):
            message = f"{other.name} gives its guests some of these addresses already"
        elif (
            other.iscsi and new.iscsi and iscsi.parse(other.iscsi).overlaps(iscsi.parse(new.iscsi))
        ):
            message = f"{other.name} gives its guests some of these logical units already"
        else:
            continue
        raise HypervisorExists(message, hypervisor=other.name)


def _overlap(one: GuestNetwork, other: GuestNetwork) -> bool:
    first, last = (ipaddress.IPv4Address(text) for text in (one.first, one.last))
    return first <= ipaddress.IPv4Address(other.last) and last >= ipaddress.IPv4Address(other.first)
