"""The element API as Markdown, for docs/reference/elements.md: `make docs`."""

from collections.abc import Iterator

from umbel.media.api.schema import ElementType, Param, Schema, Signature, ValueType

_HEAD = """# Media elements

A media server speaks Kurento's JSON-RPC 2.0 on `ws://ADDRESS:CONTROL/kurento`. `create` makes an
object of one of these types, `invoke` calls its operations, `subscribe` asks for its events. A
property `p` is read by `getP` and, when writable, set by `setP`. `?` marks what may be left out.
"""


def markdown(schema: Schema) -> str:
    """The whole reference."""
    lines = [_HEAD, "## Types", ""]
    for entry in schema.elements.values():
        lines.extend(_element(entry))
    lines += ["## Values", ""]
    for value in schema.values.values():
        lines.extend(_value(value))
    return "\n".join(lines).rstrip() + "\n"


def _element(entry: ElementType) -> Iterator[str]:
    base = f" extends {entry.extends}" if entry.extends else ""
    yield f"### {entry.name}{base}"
    yield ""
    yield entry.doc
    yield ""
    if entry.new is not None:
        yield f"- create `{_text(entry.new)}`"
    for operation in entry.operations:
        result = "" if operation.result == "void" else f" -> {operation.result}"
        yield f"- `{_text(operation)}{result}`: {operation.doc}"
    for prop in entry.properties:
        access = "writable" if prop.writable else "read only"
        yield f"- property `{prop.name}: {prop.type}` ({access}): {prop.doc}"
    for event in entry.events:
        yield f"- event `{_text(event)}`: {event.doc}"
    if entry.new or entry.operations or entry.properties or entry.events:
        yield ""


def _value(value: ValueType) -> Iterator[str]:
    yield f"### {value.name}"
    yield ""
    yield value.doc
    yield ""
    if value.words:
        yield "One of " + ", ".join(f"`{word}`" for word in value.words) + "."
        yield ""
    for param in value.fields:
        yield f"- `{_param(param)}`"
    if value.fields:
        yield ""


def _text(signature: Signature) -> str:
    return f"{signature.name}({', '.join(_param(p) for p in signature.params)})"


def _param(param: Param) -> str:
    return f"{param.name}: {param.type}{'?' if param.optional else ''}"
