"""The clouds' nodes as rows: a restart and every other instance see the same ones. Credentials are
sealed, each with its node's name."""

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from umbel.compute.clouds.model import (
    CloudCredentials,
    CloudNode,
    CloudNodeExists,
    NoSuchCloudNode,
)
from umbel.compute.sealed_credentials import SealedCredentials
from umbel.kit.db import Database, metadata
from umbel.kit.sealing import Sealer
from umbel.kit.sql import Command, Connection, Query, given

cloud_nodes = sa.Table(
    "cloud_nodes",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("pool", sa.String(64), nullable=False),
    sa.Column("flavor", sa.String(255), nullable=False),
    sa.Column("network", sa.String(255), nullable=False),
    sa.Column("zone", sa.String(255), nullable=False),
    sa.Column("machine", sa.String(255), nullable=False),
    sa.Column("external", sa.String(255), nullable=False),
    sa.Column("address", sa.String(45), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("region", sa.String(255), nullable=False),
    sa.Column("sealed_credentials", sa.Text, nullable=False),
)

_LOCK = 0x636C6F75


class _CloudRow(NamedTuple):
    name: str
    pool: str
    flavor: str
    network: str
    zone: str
    machine: str
    external: str
    address: str
    url: str
    region: str
    sealed_credentials: str


_ROWS = Query(sa.select(cloud_nodes).order_by(cloud_nodes.c.name), _CloudRow)
_ADD = Command(sa.insert(cloud_nodes))
_DROP = Command(sa.delete(cloud_nodes).where(cloud_nodes.c.name == given("named")))


class CloudStore:
    """The queries of clouds' nodes."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._credentials = SealedCredentials(sealer)

    async def all(self) -> Mapping[str, CloudNode]:
        """By their nodes' names; credentials are opened."""
        rows = await self._database.read(_rows)
        return {row.name: self._opened(row) for row in rows}

    async def get(self, name: str) -> CloudNode:
        """One of them. Raises NoSuchCloudNode."""
        try:
            return (await self.all())[name]
        except KeyError:
            raise NoSuchCloudNode(f"There is no cloud's node {name}", node=name) from None

    async def check_new(self, node: CloudNode) -> None:
        """Raise CloudNodeExists where it cannot be added."""
        await self._database.read(lambda connection: _check_new(connection, node))

    async def add(self, node: CloudNode) -> None:
        """A cloud's node comes. Raises CloudNodeExists."""
        sealed = self._credentials.seal(node.credentials, node.name)

        def add(connection: Connection) -> None:
            connection.lock(_LOCK)
            _check_new(connection, node)
            connection.run(
                _ADD,
                name=node.name,
                pool=node.pool,
                flavor=node.flavor,
                network=node.network,
                zone=node.zone,
                machine=node.machine,
                external=node.external,
                address=node.address,
                url=node.credentials.url,
                region=node.credentials.region,
                sealed_credentials=sealed,
            )

        await self._database.write(add)

    async def remove(self, name: str) -> None:
        """It is forgotten."""
        await self._database.write(lambda connection: connection.run(_DROP, named=name))

    def _opened(self, row: _CloudRow) -> CloudNode:
        opened = self._credentials.open(row.sealed_credentials, row.name)
        known = {"url": row.url, "region": row.region}
        return CloudNode(
            name=row.name,
            pool=row.pool,
            flavor=row.flavor,
            network=row.network,
            zone=row.zone,
            machine=row.machine,
            external=row.external,
            address=row.address,
            credentials=CloudCredentials(**(opened or known)),
        )


def _rows(connection: Connection) -> list[_CloudRow]:
    return connection.all(_ROWS)


def _check_new(connection: Connection, new: CloudNode) -> None:
    if any(other.name == new.name for other in _rows(connection)):
        raise CloudNodeExists(f"{new.name} is a cloud's node already", node=new.name)
