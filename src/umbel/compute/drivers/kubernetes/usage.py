"""What pods and machines use, as the cluster's metrics API says it (metrics.k8s.io). Pure.

In: its objects, as mappings. Out: cores and MiB. What has another form is left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)")
_UNITS: Mapping[str, float] = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """CPU in cores and memory in MiB: used over the cluster's last period, or promised."""

    cores: float = 0.0
    memory_mb: float = 0.0


NONE = Amounts()


def quantity(text: object) -> float:
    """The number that a quantity of Kubernetes stands for, such as 1900m or 4Gi; 0 for none."""
    found = _QUANTITY.fullmatch(text) if isinstance(text, str) and len(text) < 30 else None
    if found is None or found[2] not in _UNITS:
        return 0.0
    return float(found[1]) * _UNITS[found[2]]


def of_amounts(amounts: object) -> Amounts:
    """Amounts by name, such as a container's requests."""
    if not isinstance(amounts, Mapping):
        return NONE
    return Amounts(
        cores=quantity(amounts.get("cpu")), memory_mb=quantity(amounts.get("memory")) / 2**20
    )


def of_pod(metrics: Mapping[str, Any]) -> Amounts | None:
    """A pod's, of its PodMetrics: that of all its containers."""
    containers = metrics.get("containers")
    if not isinstance(containers, list):
        return None
    found = [of_amounts(one.get("usage")) for one in containers if isinstance(one, Mapping)]
    return Amounts(
        cores=sum(one.cores for one in found), memory_mb=sum(one.memory_mb for one in found)
    )


def name_of(metrics: Mapping[str, Any]) -> str:
    """Whose it is."""
    metadata = metrics.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) else ""
