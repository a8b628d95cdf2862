"""Credentials of clusters and clouds as sealed texts, each with its node's name."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import structlog

from umbel.kit.sealing import Sealer, SecretSealed

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

log = structlog.get_logger(__name__)


class SealedCredentials:
    """Seals and opens them. Those that were sealed under another master key are logged once."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._unreadable: set[str] = set()

    def seal(self, credentials: "DataclassInstance", node: str) -> str:
        """The credentials' fields as a text that opens only with the node's name."""
        return self._sealer.seal(json.dumps(asdict(credentials)), node)

    def open(self, sealed: str, node: str) -> dict[str, Any] | None:
        """The fields again; None where they cannot be read: a node that cannot be reached hides no
        other, and can be removed."""
        try:
            fields: dict[str, Any] = json.loads(self._sealer.open(sealed, node))
        except SecretSealed:
            if node not in self._unreadable:
                self._unreadable.add(node)
                log.warning("credentials cannot be read", node=node)
            return None
        return fields
