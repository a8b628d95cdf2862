"""How the element API is written down: types with constructors, operations, properties, events.

In: the literals of core.py and umbel.py, whose signatures read like the reference they become.
Out: checked descriptions, used by the server to accept requests and by reference.py to print.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_SIGNATURE = re.compile(r"^(\w+)\((.*)\)(?: -> (\S+))?$")


@dataclass(frozen=True, kw_only=True)
class Param:
    """A named value; `type` as in `String`, `int`, `Target[]`; an optional one may be absent."""

    name: str
    type: str
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Signature:
    """An operation, or an event with what it carries."""

    name: str
    params: tuple[Param, ...] = ()
    result: str = "void"
    doc: str = ""


@dataclass(frozen=True, kw_only=True)
class Property:
    """A property P is read by `getP`, and set by `setP` when writable."""

    name: str
    type: str
    writable: bool = False
    doc: str = ""


@dataclass(frozen=True, kw_only=True)
class ElementType:
    """A type of media object. `new` is None when clients cannot make one."""

    name: str
    extends: str
    doc: str
    new: Signature | None = None
    operations: tuple[Signature, ...] = ()
    properties: tuple[Property, ...] = ()
    events: tuple[Signature, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ValueType:
    """A structured value (`fields`), or one of some words (`words`)."""

    name: str
    doc: str
    fields: tuple[Param, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Schema:
    """A whole API."""

    elements: Mapping[str, ElementType]
    values: Mapping[str, ValueType] = field(default_factory=dict)

    def lineage(self, name: str) -> tuple[ElementType, ...]:
        """The type and what it extends, nearest first."""
        chain: list[ElementType] = []
        while name:
            chain.append(self.elements[name])
            name = self.elements[name].extends
        return tuple(chain)


def signature(text: str, doc: str = "") -> Signature:
    """Read `name(a: String, b: int?) -> String[]`."""
    match = _SIGNATURE.match(text)
    if match is None:
        raise ValueError(text)
    name, inside, result = match.groups()
    return Signature(name=name, params=params(inside), result=result or "void", doc=doc)


def params(text: str) -> tuple[Param, ...]:
    """Read `a: String, b: int?`."""
    return tuple(_param(part) for part in text.split(",") if part.strip())


def _param(text: str) -> Param:
    name, _, kind = (part.strip() for part in text.partition(":"))
    return Param(name=name, type=kind.removesuffix("?"), optional=kind.endswith("?"))


def element(
    name: str,
    extends: str,
    doc: str,
    *,
    new: str | None = None,
    operations: Mapping[str, str] | None = None,
    **rest: Mapping[str, str],
) -> ElementType:
    """An element type from its literals: texts to their meaning.

    `readable` and `writable` hold `name: type`; `events` hold `Name(field: type)`.
    """
    readable = _properties(rest.get("readable", {}), writable=False)
    return ElementType(
        name=name,
        extends=extends,
        doc=doc,
        new=None if new is None else signature(f"{name}({new})"),
        operations=tuple(signature(text, why) for text, why in (operations or {}).items()),
        properties=(*readable, *_properties(rest.get("writable", {}), writable=True)),
        events=tuple(signature(text, why) for text, why in rest.get("events", {}).items()),
    )


def _properties(literals: Mapping[str, str], *, writable: bool) -> tuple[Property, ...]:
    return tuple(
        Property(name=p.name, type=p.type, writable=writable, doc=doc)
        for text, doc in literals.items()
        for p in params(text)
    )
