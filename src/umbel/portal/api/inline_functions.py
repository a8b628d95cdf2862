"""Functions that operators' streams meet on their way through the overlay."""

from ipaddress import IPv4Address
from typing import Annotated, Self

from fastapi import Path
from pydantic import BaseModel, Field, model_validator

from umbel.network.service import InlineFunction, InlineFunctionStatus
from umbel.portal import auth
from umbel.portal.api.network_shapes import Port
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import Given, NodeName

router = Resource(prefix="/api/v1/network/functions", tags=["network"])

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,56}$")]
"""With `inline-` before it, it is the id of the function that the platform runs out of an image."""
FunctionId = Annotated[str, Field(min_length=1, max_length=64)]
AnyStream = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""The name of an operator's stream, or of an event's, which is the event's id."""
Image = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]


class InlineFunctionIn(Given):
    """A function that a stream meets: a process at a `node` with an `address`, or one of the
    platform's own by its id, wherever that runs, or a guest that the platform runs at a `node` out
    of an `image`. It takes the stream at `port` and sends it on to the stream's own address."""

    stream: AnyStream
    port: Port
    node: NodeName | None = None
    address: IPv4Address | None = None
    function: FunctionId | None = None
    image: Image | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        given = {name for name in ("node", "address", "function", "image") if getattr(self, name)}
        if given not in ({"node", "address"}, {"function"}, {"node", "image"}):
            raise ValueError("give node and address, or function, or node and image")
        return self


class InlineFunctionOut(BaseModel):
    """Such a function: where it is now, null where it does not run, and whether its stream is
    carried through there and meets it."""

    name: str
    stream: str
    port: int
    function: str | None
    image: str | None
    node: str | None
    address: str | None
    on_path: bool


@router.get("")
async def list_inline_functions(
    system: auth.SystemDep, _operator: auth.Operator
) -> list[InlineFunctionOut]:
    """List the in-line functions by name."""
    return [_out(one) for one in await system.network.operator.functions.all()]


@router.put("/{name}")
async def put_function(
    system: auth.SystemDep, _operator: auth.Operator, name: Name, given: InlineFunctionIn
) -> InlineFunctionOut:
    """Create or move an in-line function. A node without one passes packets through."""
    function = InlineFunction(
        name=name,
        stream=given.stream,
        port=given.port,
        node=given.node or "",
        address=str(given.address) if given.address else "",
        function=f"inline-{name}" if given.image else given.function or "",
        image=given.image or "",
    )
    return _out(await system.network.operator.functions.put(function))


@router.delete("/{name}", status_code=204)
async def remove_function(system: auth.SystemDep, _operator: auth.Operator, name: Name) -> None:
    """Delete the in-line function. Its stream passes through the node."""
    await system.network.operator.functions.remove(name)


def _out(of: InlineFunctionStatus) -> InlineFunctionOut:
    function, location = of.function, of.location
    return InlineFunctionOut(
        name=function.name,
        stream=function.stream,
        port=function.port,
        function=function.function or None,
        image=function.image or None,
        node=location.node if location else None,
        address=location.address if location else None,
        on_path=of.on_path,
    )
