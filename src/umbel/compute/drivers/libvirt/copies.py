"""Which of a guest's copies counts, and what becomes of the others. Pure.

In: the copies of one guest by node, and the nodes that do not answer. Out: the one that runs, or is
to run, and where nothing may be left. A guest that stopped at the end of its copy goes on only
where its copy never ran, so that it never runs twice.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from umbel.compute.drivers.libvirt.guest import GuestRecord


class Power(Enum):
    """Whether a guest runs."""

    ON = "on"
    SUSPENDED = "suspended"
    OFF = "off"
    ARRIVING = "arriving"  # a copy that has not run yet
    HANDED_OVER = "handed over"  # it stopped at the end of its copy


@dataclass(frozen=True, kw_only=True)
class SeenGuest:
    """A guest as its hypervisor shows it: why it is off, CPU used (seconds) and resident memory
    (MiB)."""

    guest: GuestRecord
    power: Power
    reason: str = ""
    cpu_s: float = 0.0
    rss_mb: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What is to be done when no copy is under way: the guest is `at` a node, empty where none has
    it, and continues there where it `resumes`; it is removed at `elsewhere`; `owing` do not answer.
    """

    at: str = ""
    resumes: bool = False
    elsewhere: tuple[str, ...] = ()
    owing: tuple[str, ...] = ()


def counting(copies: Mapping[str, SeenGuest]) -> str:
    """The node whose copy counts; empty where there is none that ever ran."""
    ran = [node for node, one in copies.items() if one.power is not Power.ARRIVING]
    return min(ran, key=lambda node: (_rank(copies[node]), node), default="")


def settle(copies: Mapping[str, SeenGuest], silent: Collection[str]) -> Settlement | None:
    """What is to be done; None where that can only be said once a silent node answers."""
    at = counting(copies)
    if not at and silent:
        return None  # it may be there
    if not at:
        return Settlement(elsewhere=tuple(sorted(copies)))
    guest = copies[at].guest
    is_stopped = copies[at].power is Power.HANDED_OVER
    if is_stopped and guest.moving_to in silent:
        return None  # it may run there
    places = {*copies, *guest.left_at, guest.moving_to} - {at, ""}
    return Settlement(
        at=at,
        resumes=is_stopped,
        elsewhere=tuple(sorted(places - {*silent})),
        owing=tuple(sorted(places & {*silent})),
    )


def _rank(copy: SeenGuest) -> int:
    """The lower, the more it counts. Where two run, libvirt took the move for failed and let the
    source continue. A target that is off has run, so what its source still has is older."""
    is_source = bool(copy.guest.moving_to)
    if copy.power in {Power.ON, Power.SUSPENDED}:
        return 0 if is_source else 1
    if copy.power is Power.OFF:
        return 3 if is_source else 2
    return 4
