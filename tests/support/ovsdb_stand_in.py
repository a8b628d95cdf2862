"""A switch's database and the vswitchd behind it, in memory: as much of RFC 7047 as Umbel uses.

In: operations. Out: rows, as a real one would have them: rows nothing points at are gone, names are
unique, and vswitchd gives interfaces their ports. It can be talked to over TCP.
"""

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from umbel.network.drivers.ovsdb import wire
from umbel.network.drivers.ovsdb.replica import Replica

_LINKS = {
    "Open_vSwitch": {"bridges": "Bridge"},
    "Bridge": {"ports": "Port", "controller": "Controller"},
    "Port": {"interfaces": "Interface"},
}
_UNIQUE = ("Bridge", "Port", "Interface")


class Database:
    """`tables` are rows in the notation of the wire; `log` all transactions that were made."""

    def __init__(self) -> None:
        root = {"bridges": ["set", []], "next_cfg": 0, "cur_cfg": 0}
        self.tables: dict[str, dict[str, dict[str, Any]]] = {
            **{name: {} for name in ("Bridge", "Port", "Interface", "Controller")},
            "Open_vSwitch": {"root": root},
        }
        self.log: list[Sequence[Mapping[str, Any]]] = []
        self.broken: dict[str, str] = {}
        self._ids = itertools.count(1)

    def transact(self, operations: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The results; an error is the last of them and leaves nothing behind."""
        before = json.dumps(self.tables)
        self._named = {
            operation["uuid-name"]: f"uuid-{next(self._ids)}"
            for operation in operations
            if operation["op"] == "insert"
        }
        for operation in operations:
            getattr(self, f"_{operation['op']}")(operation)
        self._collect()
        twice = self._twice()
        if twice:
            self.tables = json.loads(before)
            return [{"error": "constraint violation", "details": f"{twice} is there twice"}]
        self.log.append(operations)
        return [{} for _ in operations]

    def serve(self) -> None:
        """What vswitchd does: ports for new interfaces, the devices behind them."""
        used = {row.get("ofport") for row in self.tables["Interface"].values()}
        for row in self.tables["Interface"].values():
            if row["name"] in self.broken:
                row |= {"ofport": -1, "error": self.broken[row["name"]]}
            elif row.get("ofport", 0) <= 0:
                asked = row.get("ofport_request") or 1000
                row |= {"error": ["set", []]}
                row["ofport"] = next(n for n in itertools.count(asked) if n not in used)
                used.add(row["ofport"])
                row["ifindex"] = next(self._ids)
            elif row.get("ofport_request") not in (None, *used):  # the port is made again
                used.remove(row["ofport"])
                row["ofport"] = row["ofport_request"]
                used.add(row["ofport"])
        root = self.tables["Open_vSwitch"]["root"]
        root["cur_cfg"] = root["next_cfg"]

    def restart(self) -> None:
        """vswitchd came back: all devices are made anew."""
        for row in self.tables["Interface"].values():
            row["ofport"] = 0
        self.serve()

    def updates(self) -> dict[str, Any]:
        """All rows there are, in the notation of an update."""
        return {
            table: {uuid: {"new": row} for uuid, row in rows.items()}
            for table, rows in self.tables.items()
        }

    def replica(self) -> Replica:
        """What a client sees of it."""
        found = Replica()
        found.apply(wire.changes(json.loads(json.dumps(self.updates()))))
        return found

    def row(self, table: str, name: str) -> dict[str, Any]:
        """The row of that name."""
        return next(row for row in self.tables[table].values() if row.get("name") == name)

    def names(self, table: str) -> set[str]:
        """The names of a table's rows."""
        return {row["name"] for row in self.tables[table].values()}

    def _insert(self, operation: Mapping[str, Any]) -> None:
        uuid = self._named[operation["uuid-name"]]
        self.tables[operation["table"]][uuid] = self._resolved(operation["row"])

    def _update(self, operation: Mapping[str, Any]) -> None:
        self._where(operation).update(self._resolved(operation["row"]))

    def _mutate(self, operation: Mapping[str, Any]) -> None:
        row = self._where(operation)
        for column, mutator, value in self._resolved(operation["mutations"]):
            if mutator == "+=":
                row[column] += value
                continue
            have, others = _members(row.get(column, ["set", []])), _members(value)
            kept = [member for member in have if mutator == "insert" or member not in others]
            new = [m for m in others if m not in have] if mutator == "insert" else []
            row[column] = ["set", [*kept, *new]]

    def _where(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        ((_, _, (_, uuid)),) = operation["where"]
        return self.tables[operation["table"]][uuid]

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._resolved(item) for key, item in value.items()}
        if isinstance(value, list):
            if value and value[0] == "named-uuid":
                return ["uuid", self._named[value[1]]]
            return [self._resolved(item) for item in value]
        return value

    def _collect(self) -> None:
        """Rows that nothing points at are gone."""
        kept = {"Open_vSwitch": {"root"}, "Bridge": set(), "Port": set(), "Interface": set()}
        kept["Controller"] = set()
        for table, links in _LINKS.items():
            for uuid in kept[table]:
                for column, target in links.items():
                    members = _members(self.tables[table][uuid].get(column, ["set", []]))
                    kept[target].update(member[1] for member in members)
        for table, rows in self.tables.items():
            self.tables[table] = {uuid: row for uuid, row in rows.items() if uuid in kept[table]}

    def _twice(self) -> str:
        for table in _UNIQUE:
            names = [row["name"] for row in self.tables[table].values()]
            for name in names:
                if names.count(name) > 1:
                    return f"{table} {name}"
        return ""


def _members(value: Any) -> list[Any]:
    return list(value[1]) if value and value[0] == "set" else [value]


class Server:
    """The database over TCP. A connection sees every change made over it or by `changed`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sessions: dict[asyncio.StreamWriter, list[str]] = {}
        self.at_once: Callable[[], None] | None = None
        """What happens to the database as soon as somebody monitors it."""
        self._seen: dict[str, dict[str, str]] = {}
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self.sessions:
            writer.transport.abort()
        await self._server.wait_closed()
        async with asyncio.timeout(10):
            while self.sessions:
                await asyncio.sleep(0)

    def changed(self) -> None:
        """Tell all who monitor what is new since they were told."""
        updates = self._news()
        for writer, monitors in self.sessions.items():
            if monitors and updates:
                said = {"method": "update", "params": [None, updates], "id": None}
                writer.write(json.dumps(said).encode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions[writer] = []
        framer = wire.JsonFramer()
        try:
            with suppress(ConnectionError):
                while data := await reader.read(65536):
                    for message in framer.feed(data):
                        self._answer(writer, message)
        finally:
            del self.sessions[writer]
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
        result: Any = message.get("params")
        if message["method"] == "monitor":
            self.sessions[writer].append("all")
            self._news()
            result = self.database.updates()
        elif message["method"] == "transact":
            result = self.database.transact(message["params"][1:])
            self.changed()
        writer.write(json.dumps({"id": message["id"], "result": result, "error": None}).encode())
        if message["method"] == "transact":
            self.database.serve()
            self.changed()
        elif message["method"] == "monitor" and self.at_once:
            self.at_once()
            self.changed()

    def _news(self) -> dict[str, Any]:
        now = {
            table: {uuid: json.dumps(row) for uuid, row in rows.items()}
            for table, rows in self.database.tables.items()
        }
        before, self._seen = self._seen, now
        return {
            table: rows
            for table in now
            if (rows := dict(_differences(before.get(table, {}), now[table])))
        }


def _differences(
    before: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for uuid, row in before.items():
        if uuid not in now:
            yield uuid, {"old": json.loads(row)}
    for uuid, row in now.items():
        if before.get(uuid) != row:
            yield uuid, {"new": json.loads(row)}
