"""What a VIM with a firewall for guests does. tests/contract/test_firewall.py defines it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, runtime_checkable

from umbel.compute.firewall.model import FirewallRule

RulesOf = Callable[[str], Awaitable[Sequence[FirewallRule]]]
"""The rules of a function."""


class TrafficFilter(Protocol):
    """Lets through to guests what the rules of their functions let in. All raise NoSuchGuest,
    BadFirewallRule where a rule names a port that the function has not, NoFirewallThere, and
    Unavailable (HypervisorUnreachable, HypervisorFailed)."""

    rules_of: RulesOf
    """Asked when a guest is started, so that no packet reaches it before its rules are there.
    The service that has the rules sets it."""

    async def apply(self, function_id: str, rules: Sequence[FirewallRule]) -> None:
        """Have exactly these rules for a running guest; without one, all reaches it. They go with
        the guest, and move with it. Raises GuestMoving."""

    async def is_applied(self, function_id: str, rules: Sequence[FirewallRule]) -> bool:
        """Whether exactly these rules are in force for a running guest."""


@runtime_checkable
class FiltersTraffic(Protocol):
    """A VIM that filters what reaches its guests."""

    @property
    def firewall(self) -> TrafficFilter:
        """What does that."""
