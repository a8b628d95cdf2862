"""A transaction's operations: several requests in one, later ones refer to earlier results.

In: the `operations` of a request. Out: what to run, with `newref:N` replaced by the value that
operation N answered with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from umbel.media.rpc.faults import TransactionMalformed

_REF = "newref:"
_ALLOWED = frozenset({"create", "invoke", "release", "describe", "subscribe", "unsubscribe"})
_MOST_OPERATIONS = 1000


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One step of a transaction."""

    method: str
    params: Mapping[str, object]

    def to_json(self, index: int) -> dict[str, object]:
        """The operation as it goes over the wire."""
        return {"id": index, "jsonrpc": "2.0", "method": self.method, "params": dict(self.params)}


def reference(index: int) -> str:
    """What stands for the value of operation `index`."""
    return f"{_REF}{index}"


def parse_operations(operations: object) -> tuple[Operation, ...]:
    """Check the list. Raises TransactionMalformed."""
    if not isinstance(operations, list) or len(operations) > _MOST_OPERATIONS:
        raise TransactionMalformed
    return tuple(_parse(entry, index) for index, entry in enumerate(operations))


def resolve(value: object, results: Sequence[object]) -> object:
    """`value` with every reference replaced. Raises TransactionMalformed for a forward one."""
    if isinstance(value, str) and value.startswith(_REF):
        return _result(value.removeprefix(_REF), results)
    if isinstance(value, dict):
        return {key: resolve(entry, results) for key, entry in value.items()}
    if isinstance(value, list):
        return [resolve(entry, results) for entry in value]
    return value


def _parse(entry: object, index: int) -> Operation:
    if not isinstance(entry, dict) or isinstance(entry.get("id"), bool) or entry.get("id") != index:
        raise TransactionMalformed(f"operation {index} must carry id {index}")
    method, params = entry.get("method"), entry.get("params", {})
    if not isinstance(method, str) or method not in _ALLOWED or not isinstance(params, dict):
        raise TransactionMalformed(f"operation {index} cannot be part of a transaction")
    return Operation(method=method, params=params)


def _result(text: str, results: Sequence[object]) -> object:
    if not (text.isascii() and text.isdigit()) or len(text) > 4 or int(text) >= len(results):
        raise TransactionMalformed(f"{_REF}{text[:8]} does not name an earlier operation")
    result = results[int(text)]
    return result.get("value") if isinstance(result, dict) else None
