"""What the demo's programs agree on."""

from collections.abc import Mapping
from dataclasses import dataclass

from umbel.catalogue.model import UserRole

VIRCA = "virca"
"""The policy that has nodes rest: crowds wake them."""

VIRCA_NODE_MBPS = 60.0
"""What a node carries then: some thirty viewers."""


PROVIDER_AT: Mapping[str, str] = {"sls": "pe1", "vpm": "platino2"}
"""The provider's node of each built-in network."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A demo account, made again at each start."""

    role: UserRole
    username: str
    password: str
