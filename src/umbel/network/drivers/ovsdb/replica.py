"""What a switch's database holds, as far as it is monitored. Values only.

In: updates from wire.py. Out: rows by table, by name, and as their bridges have them. edits.py
compares it with what is wanted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from umbel.network.drivers.ovsdb.wire import Atom, Changed, Row, Uuid, many, one

MONITORED: Mapping[str, tuple[str, ...]] = {
    "Open_vSwitch": ("bridges", "next_cfg", "cur_cfg"),
    "Bridge": (
        *("name", "ports", "controller", "datapath_type", "fail_mode", "protocols"),
        *("other_config", "external_ids"),
    ),
    "Port": ("name", "interfaces", "external_ids"),
    "Interface": (
        *("name", "type", "options", "bfd", "mac", "mtu_request"),
        *("ofport", "ofport_request", "ifindex", "error", "external_ids"),
    ),
    "Controller": ("target", "max_backoff", "connection_mode"),
}
"""The columns we look at, by table."""


class Replica:
    """A copy of the monitored tables. A column that is not there reads as empty."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[Uuid, Row]] = defaultdict(dict)

    def apply(self, changes: Iterable[Changed]) -> None:
        """Rows as they are now."""
        for change in changes:
            table = self._tables[change.table]
            if change.row is None:
                table.pop(change.uuid, None)
            else:
                table[change.uuid] = {**table.get(change.uuid, {}), **change.row}

    def rows(self, table: str) -> Mapping[Uuid, Row]:
        """All rows of a table by their names."""
        return self._tables[table]

    def named(self, table: str, name: str) -> tuple[Uuid, Row] | None:
        """The row with this value in its column `name`."""
        found = (item for item in self.rows(table).items() if item[1].get("name") == name)
        return next(found, None)

    def referred(self, table: str, row: Row, column: str) -> Iterator[tuple[Uuid, Row]]:
        """The rows of `table` that a column points at, as far as they are known."""
        for uuid in many(row.get(column, ())):
            if isinstance(uuid, Uuid) and uuid in self._tables[table]:
                yield uuid, self._tables[table][uuid]

    @property
    def root(self) -> tuple[Uuid, Row] | None:
        """The switch's own row."""
        return next(iter(self.rows("Open_vSwitch").items()), None)

    def caught_up(self) -> bool:
        """Whether vswitchd has done all that the database says."""
        row = self.root[1] if self.root else {}
        return number(row, "cur_cfg") >= number(row, "next_cfg")


def number(row: Row, column: str) -> int:
    """A column's number; 0 when it has none."""
    found = one(row.get(column, 0))
    return found if isinstance(found, int) else 0


def text(row: Row, column: str) -> str:
    """A column's text; empty when it has none."""
    found = one(row.get(column, ""))
    return found if isinstance(found, str) else ""


def entries(row: Row, column: str) -> dict[Atom, Atom]:
    """A column's map."""
    found = row.get(column, {})
    return dict(found) if isinstance(found, Mapping) else {}
