"""The words of a description, filled in, and the environment of a program. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from umbel.compute.model import Function, Transport
from umbel.compute.ports import CannotRun

_PLACEHOLDER = re.compile(r"\{(id|node|address|ready_file|ports\[[^\]]*\])\}")


class Started(Protocol):
    """The record of a function that a driver starts."""

    @property
    def id(self) -> str: ...
    @property
    def node(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def ports(self) -> Mapping[str, int]: ...


def values(started: Started, ready_file: str) -> dict[str, str]:
    """What stands for each placeholder of a description."""
    ports = {f"ports[{name}]": str(number) for name, number in started.ports.items()}
    own = {"id": started.id, "node": started.node, "address": started.address}
    return {**ports, **own, "ready_file": ready_file}


def environment(function: Function, started: Started, ready_file: str) -> dict[str, str]:
    """What a function's program is started with: its description's variables, its own, and where
    and as whom it runs. Raises CannotRun."""
    described = function.description
    texts = fill(list(described.environment.values()), values(started, ready_file), described.name)
    transports = {port.name: port.transport for port in described.ports}
    listed = (
        f"{name}:{transports.get(name, Transport.TCP).value}:{number}"
        for name, number in started.ports.items()
    )
    ours = {
        "UMBEL_FUNCTION": started.id,
        "UMBEL_NODE": started.node,
        "UMBEL_ADDRESS": started.address,
        "UMBEL_PORTS": " ".join(listed),
        "UMBEL_READY_FILE": ready_file,
    }
    return {**dict(zip(described.environment, texts, strict=True)), **function.environment, **ours}


def fill(texts: Sequence[str], values: Mapping[str, str], description: str) -> list[str]:
    """The texts with `{id}`, `{node}`, `{address}`, `{ready_file}` and `{ports[NAME]}` replaced by
    the values of these names. Nothing else is: other braces stay. Raises CannotRun."""

    def value(found: re.Match[str]) -> str:
        try:
            return values[found[1]]
        except KeyError:
            message = f"{description} has no port for {found[0]}"
            raise CannotRun(message, description=description) from None

    return [_PLACEHOLDER.sub(value, text) for text in texts]
