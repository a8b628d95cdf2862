"""What is asked of a cloud for a function: a port in a network, and a server at it. Pure.

In: functions, nodes. Out: bodies of the API as mappings. The server's record is in its metadata,
in pieces, and holds no environment: that may be secret. All that the guest is started with is in
its user data, one script that writes the seed.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from umbel.compute import guest_start
from umbel.compute.clouds.model import CloudNode
from umbel.compute.guest_start import SEED
from umbel.compute.images.model import Image
from umbel.compute.model import Function, HealthCheck, Node, Readiness, Transport
from umbel.compute.ports import CannotRun
from umbel.kit import ports as kit_ports

RECORD = "umbel_record_"
"""What the keys of a record's pieces begin with."""
READY, REASON = "umbel_ready", "umbel_reason"
MARK = "umbel"
"""The tag of all servers of all installations."""
ENDED = "umbel: the function "
"""What a guest's console says before how its function ended."""

_PIECE = 250
_MOST_USER_DATA = 65535
_MOST_REASON = 250
_WRITE_FOLDERS = f"mkdir -p {SEED} /run/umbel && chmod 700 {SEED}"


@dataclass(frozen=True, kw_only=True)
class ServerRecord:
    """A function's server, as it was started; `address` and `ports` are fixed then, `cores` and
    `memory_mb` are promised to it. `is_ready` changes afterwards."""

    id: str
    owner: str
    description: str
    node: str
    address: str
    image: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    readiness: Readiness = Readiness.PROBED
    health: HealthCheck | None = None
    started_s: float = 0.0
    cores: float = 0.0
    memory_mb: float = 0.0
    public_address: str = ""
    is_ready: bool = False


@dataclass(frozen=True, kw_only=True)
class ServerOrder:
    """Who wants which function on which node, and since when (seconds since the epoch). `there` is
    the node in its cloud."""

    owner: str
    function: Function
    node: Node
    there: CloudNode
    now_s: float


@dataclass(frozen=True, kw_only=True)
class PortAddress:
    """An address in a network: that of a port with a prefix and a way out; and the floating one,
    where there is one."""

    address: str
    prefix: int
    gateway: str = ""
    public_address: str = ""


_RECORD = TypeAdapter(ServerRecord)


def serialize(record: ServerRecord) -> dict[str, str]:
    """The record as a server's metadata."""
    text = _RECORD.dump_json(record, exclude={"is_ready"}).decode()
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    return {f"{RECORD}{number:02}": piece for number, piece in enumerate(pieces)}


def parse(metadata: Mapping[str, Any]) -> ServerRecord | None:
    """The record out of a server's metadata; None where it is none."""
    pieces = [metadata[key] for key in sorted(metadata) if key.startswith(RECORD)]
    try:
        record = _RECORD.validate_json("".join(pieces))
    except (TypeError, ValueError):
        return None
    is_ready = metadata.get(READY) == "yes"
    return ServerRecord(**{**vars(record), "is_ready": is_ready})


def reason(text: str) -> str:
    """Why a function ended: it is kept in a server's metadata."""
    return "".join(c if c.isprintable() else " " for c in text)[:_MOST_REASON].strip()


def server_name(installation: str, function_id: str) -> str:
    """The name of the function's server and of its port."""
    readable = re.sub(r"[^a-z0-9]+", "-", function_id.lower())[:40].strip("-")
    digest = hashlib.sha256(f"{installation}/{function_id}".encode()).hexdigest()[:10]
    return "-".join(["umbel", *([readable] if readable else []), digest])


def node_mark(installation: str, node: str) -> str:
    """The tag of all that is of an installation's node; also the name of its security group."""
    digest = hashlib.sha256(f"{installation}/{node}".encode()).hexdigest()[:24]
    return f"umbel-{digest}"


def made(
    order: ServerOrder, image: Image, at: PortAddress, last: ServerRecord | None
) -> ServerRecord:
    """The record of a function that is started, on the ports that its last server had. Raises
    CannotRun."""
    described = order.function.description
    return ServerRecord(
        id=order.function.id,
        owner=order.owner,
        description=described.name,
        node=order.node.name,
        address=at.address,
        public_address=at.public_address,
        image=image.id,
        ports=guest_start.ports(order.function, order.node, last.ports if last is not None else {}),
        # What it reports cannot be read in its guest, but its ports are known.
        readiness=Readiness.PROBED,
        health=described.health,
        started_s=order.now_s,
        cores=described.resources.cores,
        memory_mb=described.resources.memory_mb,
    )


def server(
    record: ServerRecord,
    order: ServerOrder,
    installation: str,
    ids: Mapping[str, str],
    user_data: str,
) -> dict[str, Any]:
    """The server that is asked for. `ids` are those of its image, flavour (`flavor`) and port."""
    there = order.there
    where: dict[str, Any] = {}
    if there.zone:
        where["availability_zone"] = there.zone
    if there.machine:
        where["host"] = there.machine
    return {
        "name": server_name(installation, record.id),
        "image_id": ids["image"],
        "flavor_id": ids["flavor"],
        "networks": [{"port": ids["port"]}],
        "metadata": serialize(record),
        "tags": [MARK, node_mark(installation, record.node)],
        "config_drive": True,
        "user_data": base64.b64encode(user_data.encode()).decode(),
        **where,
    }


def user_data(
    record: ServerRecord,
    at: PortAddress,
    order: ServerOrder,
    image: Image,
    files: Mapping[str, tuple[str, str]],
) -> str:
    """A script that writes the seed, and starts the function where no program of ours does, as in
    images with cloud-init. `files` are the control plane's that functions read: by their names,
    their paths here and their texts. Raises CannotRun."""
    function, node = order.function, order.node
    names = {path: f"{SEED}/{name}" for name, (path, _) in files.items()}
    words = guest_start.command(record, function, image, names)
    # The node's security group lets nothing in on other ports.
    own = {kit_ports.VARIABLE: "{}-{}".format(*node.ports)} if node.ports is not None else {}
    contents = {
        "guest.env": guest_start.assignments(
            {
                "GUEST_NAME": guest_start.host_name(record.id),
                "GUEST_ADDRESS": f"{at.address}/{at.prefix}",
                "GUEST_GATEWAY": at.gateway,
                "GUEST_THEN": "off",
            }
        ),
        "start": guest_start.start(words, {**guest_start.environment(record, function), **own}),
        **{name: text for name, (_, text) in files.items()},
    }
    parts = [_writing(name, text) for name, text in contents.items()]
    start = f'[ -n "$UMBEL_GUEST" ] || exec sh {SEED}/start'
    script = "\n".join(["#!/bin/sh", f"{_WRITE_FOLDERS}", *parts, start, ""])
    if len(base64.b64encode(script.encode())) > _MOST_USER_DATA:
        message = f"{record.description} is started with more than a server's user data may be"
        raise CannotRun(message, function=record.id)
    return script


def _writing(name: str, text: str) -> str:
    coded = base64.b64encode(text.encode()).decode()
    return f"base64 -d >{SEED}/{name} <<.\n{coded}\n."


def rules(node: Node) -> list[dict[str, Any]]:
    """What a node's security group lets in: the ports of its functions."""
    first, last = guest_start.port_range(node)
    return [
        {
            "direction": "ingress",
            "ether_type": "IPv4",
            "protocol": transport.value,
            "port_range_min": first,
            "port_range_max": last,
        }
        for transport in Transport
    ]


def too_small(function: Function, image: Image, flavor: Mapping[str, float]) -> str:
    """Why a server of the flavour (`cores`, `memory_mb`) cannot run the function; empty if it
    can."""
    needed = function.description.resources
    memory_mb = max(image.memory_mb, needed.memory_mb)
    if needed.cores > flavor["cores"] or memory_mb > flavor["memory_mb"]:
        return (
            f"{function.description.name} needs {needed.cores:g} cores and {memory_mb:g} MiB, and"
            f" the flavour has {flavor['cores']:g} and {flavor['memory_mb']:g}"
        )
    return ""
