"""What the demo's programs agree on."""

from dataclasses import dataclass

from umbel.catalogue.model import UserRole

VIRCA = "virca"
"""The policy that has nodes rest: crowds wake them."""

VIRCA_NODE_MBPS = 60.0
"""What a node carries then: some thirty viewers."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A demo account, made again at each start."""

    role: UserRole
    username: str
    password: str
