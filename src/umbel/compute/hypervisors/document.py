"""The hypervisors that a network document names, checked: mapping in, values out; and back.

A testbed writes them. Those that operators add while the platform runs are rows (store.py).
"""

from collections.abc import Iterable, Mapping

from pydantic import TypeAdapter, ValidationError

from umbel.compute.hypervisors.model import BadHypervisor, Hypervisor, check
from umbel.kit.validation import describe_errors

_HYPERVISORS = TypeAdapter(list[Hypervisor])


def inspect(document: object) -> tuple[tuple[Hypervisor, ...], list[str]]:
    """What can be read of a document's part `hypervisors`, and what is wrong with it."""
    raw = document.get("hypervisors") if isinstance(document, Mapping) else None
    if raw is None:
        return (), []
    try:
        found = _HYPERVISORS.validate_python(raw)
    except ValidationError as error:
        return (), describe_errors("hypervisors", error)
    return tuple(found), [problem for one in found for problem in _problems(one)]


def part(hypervisors: Iterable[Hypervisor]) -> dict[str, object]:
    """The part of a document that names them; nothing where there are none."""
    found = _HYPERVISORS.dump_python(list(hypervisors), mode="json")
    return {"hypervisors": found} if found else {}


def _problems(hypervisor: Hypervisor) -> list[str]:
    try:
        check(hypervisor)
    except BadHypervisor as error:
        return [error.message]
    return []
