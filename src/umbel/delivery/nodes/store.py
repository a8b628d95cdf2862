"""Changed nodes as rows: a restart and every other instance see the same nodes."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from umbel.compute.model import Node, NodeKind, PowerDraw, Scheduling
from umbel.delivery.nodes.model import NodeAction, NodeChange
from umbel.kit import journal
from umbel.kit.db import Database, metadata
from umbel.kit.sql import Command, Connection, Query, Scalar, given
from umbel.network.documents import AddedSite, LinkEnd, Site
from umbel.network.model import Link

nodes = sa.Table(
    "nodes",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("node", sa.JSON, nullable=False),
    sa.Column("links", sa.JSON, nullable=False),
    sa.Column("site", sa.JSON, nullable=False),
    sa.Column("scheduling", sa.String(16), nullable=False),
    sa.Column("evict_at_s", sa.Float),
    sa.Column("removed", sa.Boolean, nullable=False),
    sa.Column("added_s", sa.Float, nullable=False),
)

_NODES_LOCK = 0x6E6F6465


def _change(*, node: Any, links: Any, site: Any, scheduling: str, **rest: Any) -> NodeChange:
    return NodeChange(
        node=Node(**_node(node)) if node else None,
        links=tuple(Link(**link) for link in links),
        site=_site(**site),
        scheduling=Scheduling(scheduling),
        **rest,
    )


def _node(document: Mapping[str, Any]) -> dict[str, Any]:
    kind, prefixes = NodeKind(document["kind"]), tuple(document["prefixes"])
    ports, watts = document.get("ports"), document.get("watts")
    return {
        **document,
        "kind": kind,
        "prefixes": prefixes,
        "ports": tuple(ports) if ports else None,
        "watts": PowerDraw(**watts) if watts else None,
    }


def _site(
    site: Mapping[str, Any] | None = None,
    local: Mapping[str, Any] | None = None,
    remote: Mapping[str, Any] | None = None,
) -> AddedSite:
    return AddedSite(
        site=Site(**{**site, "hosts": tuple(site["hosts"])}) if site else None,
        local={near: LinkEnd(**end) for near, end in (local or {}).items()},
        remote={near: LinkEnd(**end) for near, end in (remote or {}).items()},
    )


_ROWS = Query(sa.select(nodes), _change)
_DROP = Command(sa.delete(nodes).where(nodes.c.name == given("named")))
_ADD = Command(sa.insert(nodes))
_REMOVED = Scalar(sa.select(nodes.c.name).where(nodes.c.removed), str)


class NodeStore:
    """The queries of changed nodes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, NodeChange]:
        """Every changed node by name."""
        return await self._database.read(_all)

    async def change(
        self,
        decide: Callable[[Mapping[str, NodeChange]], NodeChange],
        action: NodeAction,
        *,
        by: str,
        at_s: float,
        check: Callable[[Connection], None] = lambda _: None,
    ) -> NodeChange:
        """Store what `decide` answers, given all that was changed. Two changes at the same time
        take turns. What `decide` or `check` raises changes nothing; `check` sees every tree that
        was stored before. Both are called on a database thread."""

        def change(connection: Connection) -> NodeChange:
            connection.lock(_NODES_LOCK)
            made = decide(_all(connection))
            connection.run(_DROP, named=made.name)
            connection.run(_ADD, **_row(made))
            body = {"what": action.value, "by": by}
            journal.record(connection, at_s=at_s, kind="node", subject=made.name, body=body)
            check(connection)
            return made

        return await self._database.write(change)


def removed_among(connection: Connection, names: Collection[str]) -> list[str]:
    """Those of the nodes that were removed. After `journal.record` it sees every removal that was
    stored before."""
    return sorted(set(connection.scalars(_REMOVED)) & set(names))


def _all(connection: Connection) -> dict[str, NodeChange]:
    return {one.name: one for one in connection.all(_ROWS)}


def _row(change: NodeChange) -> dict[str, Any]:
    node = asdict(change.node) | {"kind": change.node.kind.value} if change.node else {}
    return {
        **asdict(change),
        "node": node,
        "links": [asdict(link) for link in change.links],
        "scheduling": change.scheduling.value,
    }
