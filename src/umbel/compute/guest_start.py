"""What every VIM with guests makes of a function: the image that its guest boots, its ports, and
the files that it is started with. Pure.

In: functions. Out: values. Neighbours: the drivers libvirt and openstack.
"""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence

from umbel.compute import words
from umbel.compute.images.model import Image
from umbel.compute.model import Function, Node
from umbel.compute.ports import CannotRun
from umbel.compute.words import Started

MEDIA_IMAGE = "media"
READY_FILE = "/run/umbel/ready.json"
SEED = "/run/seed"
"""The folder in a guest with the files that it is started with."""

_PYTHON = "/opt/umbel/bin/python"
_FIRST_PORT, _LAST_PORT = 20000, 65535
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def image_of(function: Function) -> str:
    """The name of the image that the function's guest boots: the description's, or that of media
    servers for a command of our own Python. Raises CannotRun."""
    described = function.description
    if described.image and not described.command:
        return described.image
    if not described.image and described.command[:1] == (sys.executable,):
        return MEDIA_IMAGE
    message = f"{described.name} is no image and no program of ours: no guest starts another"
    raise CannotRun(message, description=described.name)


def port_range(node: Node) -> tuple[int, int]:
    """The first and the last port that functions of the node listen on."""
    return node.ports or (_FIRST_PORT, _LAST_PORT)


def ports(function: Function, node: Node, had: Mapping[str, int]) -> dict[str, int]:
    """A number for each port, those that it had first. Nothing else listens in a guest, so they
    follow each other. Raises CannotRun."""
    first, last = port_range(node)
    wanted = function.description.ports
    found = {port.name: port.number or had.get(port.name, 0) for port in wanted}
    used = {number for number in found.values() if number}
    unused = (number for number in range(first, last + 1) if number not in used)
    try:
        return {name: number or next(unused) for name, number in found.items()}
    except StopIteration:
        message = f"{node.name} has fewer ports than {function.description.name} needs"
        raise CannotRun(message, node=node.name) from None


def command(
    guest: Started, function: Function, image: Image, names: Mapping[str, str]
) -> list[str]:
    """The words that start the function in its guest. `names` says what the control plane's own
    files are called there. Raises CannotRun."""
    if image.command:
        return list(image.command)
    there = {sys.executable: _PYTHON, **names}
    named = [there.get(word, word) for word in function.description.command]
    return words.fill(named, words.values(guest, READY_FILE), function.description.name)


def environment(guest: Started, function: Function) -> dict[str, str]:
    """What the guest's program is started with. Raises CannotRun."""
    return words.environment(function, guest, READY_FILE)


def start(words_: Sequence[str], variables: Mapping[str, str]) -> str:
    """A script that becomes the program. Raises CannotRun."""
    for name, value in variables.items():
        if _VARIABLE.fullmatch(name) is None or "\0" in value:
            raise CannotRun(f"{name[:60]!r} is no variable of an environment")
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    return f"{exports}exec {shlex.join(words_)}\n"


def assignments(values: Mapping[str, str]) -> str:
    """A file of variables for a shell."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def host_name(function_id: str) -> str:
    """What the function's guest is called in its network."""
    return re.sub(r"[^a-z0-9-]", "-", function_id.lower())[:63].strip("-") or "guest"
