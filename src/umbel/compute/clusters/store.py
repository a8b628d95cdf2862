"""The clusters' nodes as rows: a restart and every other instance see the same ones. Credentials
are sealed, each with its node's name."""

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from umbel.compute.clusters.model import (
    ClusterNode,
    ClusterNodeExists,
    Credentials,
    NoSuchClusterNode,
)
from umbel.compute.sealed_credentials import SealedCredentials
from umbel.kit.db import Database, metadata
from umbel.kit.sealing import Sealer
from umbel.kit.sql import Command, Connection, Query, given

cluster_nodes = sa.Table(
    "cluster_nodes",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("pool", sa.String(64), nullable=False),
    sa.Column("machine", sa.String(253), nullable=False),
    sa.Column("address", sa.String(45), nullable=False),
    sa.Column("namespace", sa.String(63), nullable=False),
    sa.Column("image", sa.String(255), nullable=False),
    sa.Column("server", sa.Text, nullable=False),
    sa.Column("sealed_credentials", sa.Text, nullable=False),
)

_LOCK = 0x636C7573


class _Row(NamedTuple):
    name: str
    pool: str
    machine: str
    address: str
    namespace: str
    image: str
    server: str
    sealed_credentials: str


_ROWS = Query(sa.select(cluster_nodes).order_by(cluster_nodes.c.name), _Row)
_ADD = Command(sa.insert(cluster_nodes))
_REPLACE = Command(
    sa.update(cluster_nodes).where(cluster_nodes.c.name == given("named")),
    ["server", "sealed_credentials"],
)
_DROP = Command(sa.delete(cluster_nodes).where(cluster_nodes.c.name == given("named")))


class ClusterStore:
    """The queries of clusters' nodes."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._credentials = SealedCredentials(sealer)

    async def all(self) -> Mapping[str, ClusterNode]:
        """By their nodes' names; credentials are opened."""
        rows = await self._database.read(_rows)
        return {row.name: self._opened(row) for row in rows}

    async def get(self, name: str) -> ClusterNode:
        """One of them. Raises NoSuchClusterNode."""
        try:
            return (await self.all())[name]
        except KeyError:
            raise _none(name) from None

    async def check_new(self, node: ClusterNode) -> None:
        """Raise ClusterNodeExists where it cannot be added."""
        await self._database.read(lambda connection: _check_new(connection, node))

    async def add(self, node: ClusterNode) -> None:
        """A cluster's node comes. Raises ClusterNodeExists."""
        sealed = self._credentials.seal(node.credentials, node.name)

        def add(connection: Connection) -> None:
            connection.lock(_LOCK)
            _check_new(connection, node)
            connection.run(
                _ADD,
                name=node.name,
                pool=node.pool,
                machine=node.machine,
                address=node.address,
                namespace=node.namespace,
                image=node.image,
                server=node.credentials.server,
                sealed_credentials=sealed,
            )

        await self._database.write(add)

    async def replace_credentials(self, node: ClusterNode) -> None:
        """Keep the node's credentials instead of those of before. Raises NoSuchClusterNode,
        ClusterNodeExists."""
        sealed = self._credentials.seal(node.credentials, node.name)

        def replace(connection: Connection) -> None:
            connection.lock(_LOCK)
            names = [row.name for row in _rows(connection)]
            if node.name not in names:
                raise _none(node.name)
            _check_new(connection, node, but=node.name)
            server = node.credentials.server
            connection.run(_REPLACE, named=node.name, server=server, sealed_credentials=sealed)

        await self._database.write(replace)

    async def remove(self, name: str) -> None:
        """It is forgotten."""
        await self._database.write(lambda connection: connection.run(_DROP, named=name))

    def _opened(self, row: _Row) -> ClusterNode:
        opened = self._credentials.open(row.sealed_credentials, row.name)
        return ClusterNode(
            name=row.name,
            pool=row.pool,
            machine=row.machine,
            address=row.address,
            namespace=row.namespace,
            image=row.image,
            credentials=Credentials(**(opened or {"server": row.server})),
        )


def _rows(connection: Connection) -> list[_Row]:
    return connection.all(_ROWS)


def _none(name: str) -> NoSuchClusterNode:
    return NoSuchClusterNode(f"There is no cluster's node {name}", node=name)


def _check_new(connection: Connection, new: ClusterNode, *, but: str = "") -> None:
    for other in _rows(connection):
        if other.name == but:
            continue
        if other.name == new.name:
            message = f"{new.name} is a cluster's node already"
        elif (other.server, other.machine) == (new.credentials.server, new.machine):
            message = f"{new.machine} is the node {other.name} already"
        else:
            continue
        raise ClusterNodeExists(message, node=other.name)
