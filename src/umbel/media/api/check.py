"""Requests against the table: is there such a type, operation, event, and do the values fit?

In: names and JSON values from outside. Out: what is meant, or the fault to answer with.
"""

from collections.abc import Callable, Iterator, Mapping

from umbel.media.api.schema import ElementType, Param, Schema, Signature
from umbel.media.rpc.faults import (
    EventUnknown,
    OperationUnknown,
    ParamIllegal,
    TypeAbstract,
    TypeUnknown,
)

MODULE = "kurento"


def _is_integer(value: object, bits: int) -> bool:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return -(1 << bits - 1) <= value < 1 << bits - 1


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_PLAIN: Mapping[str, Callable[[object], bool]] = {
    "String": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "int": lambda value: _is_integer(value, 32),
    "int64": lambda value: _is_integer(value, 64),
    "float": _is_number,
    "double": _is_number,
}


def plain_name(name: str) -> str:
    """A type's name without its module."""
    return name.removeprefix(f"{MODULE}.")


def constructor(schema: Schema, name: str) -> tuple[ElementType, Signature]:
    """What `create` of that type takes. Raises TypeUnknown or TypeAbstract."""
    found = schema.elements.get(plain_name(name))
    if found is None:
        raise TypeUnknown(f"there is no element type {name!r}")
    if found.new is None:
        raise TypeAbstract(f"a {found.name} is not made on request")
    return found, found.new


def operation(schema: Schema, type_name: str, name: str) -> Signature:
    """What `invoke` of that operation takes and gives. Raises OperationUnknown."""
    for entry in schema.lineage(type_name):
        for candidate in operations(entry):
            if candidate.name == name:
                return candidate
    raise OperationUnknown(f"{type_name} has no operation {name!r}")


def operations(entry: ElementType) -> Iterator[Signature]:
    """A type's own operations, with those that read and write its properties."""
    yield from entry.operations
    for prop in entry.properties:
        upper = prop.name[0].upper() + prop.name[1:]
        yield Signature(name=f"get{upper}", result=prop.type)
        if prop.writable:
            value = Param(name=prop.name, type=prop.type)
            yield Signature(name=f"set{upper}", params=(value,))


def event(schema: Schema, type_name: str, name: str) -> None:
    """Raises EventUnknown when objects of the type have no such event."""
    for entry in schema.lineage(type_name):
        if any(candidate.name == name for candidate in entry.events):
            return
    raise EventUnknown(f"{type_name} has no event {name!r}")


def arguments(schema: Schema, wanted: Signature, given: object) -> dict[str, object]:
    """The values by name, null ones dropped. Raises ParamIllegal."""
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise ParamIllegal(f"the parameters of {wanted.name} must be an object")
    known = {p.name: p for p in wanted.params}
    for name in given:
        if name not in known:
            raise ParamIllegal(f"{wanted.name} has no parameter {str(name)[:40]!r}")
    values = {name: value for name, value in given.items() if value is not None}
    for param in wanted.params:
        if param.name in values:
            check_value(schema, param.type, values[param.name], f"{wanted.name}.{param.name}")
        elif not param.optional:
            raise ParamIllegal(f"{wanted.name} needs {param.name!r}")
    return values


def check_value(schema: Schema, kind: str, value: object, where: str) -> None:
    """Raises ParamIllegal when the JSON value is not of the type."""
    if kind.endswith("[]"):
        _check_items(schema, kind[:-2], value if isinstance(value, list) else None, where)
    elif kind.endswith("<>"):
        items = list(value.values()) if isinstance(value, dict) else None
        _check_items(schema, kind[:-2], items, where)
    elif kind in schema.values:
        _check_structured(schema, kind, value, where)
    elif not _PLAIN.get(kind, _PLAIN["String"])(value):
        # What is neither plain nor structured is a media object, and travels as its id.
        raise ParamIllegal(f"{where} must be of type {kind}")


def _check_items(schema: Schema, kind: str, items: list[object] | None, where: str) -> None:
    if items is None:
        raise ParamIllegal(f"{where} must be a collection of {kind}")
    for item in items:
        check_value(schema, kind, item, where)


def _check_structured(schema: Schema, kind: str, value: object, where: str) -> None:
    wanted = schema.values[kind]
    if wanted.words:
        if value not in wanted.words:
            raise ParamIllegal(f"{where} must be one of {', '.join(wanted.words)}")
        return
    if not isinstance(value, dict):
        raise ParamIllegal(f"{where} must be of type {kind}")
    for param in wanted.fields:
        present = value.get(param.name) is not None
        if present:
            check_value(schema, param.type, value[param.name], f"{where}.{param.name}")
        elif not param.optional:
            raise ParamIllegal(f"{where} needs {param.name!r}")
