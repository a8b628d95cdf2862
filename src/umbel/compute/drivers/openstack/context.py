"""What all links to clouds share. It imports nothing that speaks to their services."""

from dataclasses import dataclass, field
from pathlib import Path

from umbel.compute.health import Limits
from umbel.compute.images.folder import Images
from umbel.kit.clock import Clock


@dataclass(frozen=True, kw_only=True)
class CloudLimits:
    """How long things may take, in seconds. A call is answered within `call_s`, an image is sent
    within `copy_s`. All servers are looked at each `look_every_s`. A server that is to end has
    `grace_s` for it, and is gone within `stop_s`; a function is ready within `boot_s` of its
    server's start. `health` has the limits of probes and of sampling."""

    call_s: float = 20.0
    copy_s: float = 1800.0
    grace_s: float = 5.0
    stop_s: float = 60.0
    look_every_s: float = 1.0
    boot_s: float = 300.0
    health: Limits = field(default_factory=lambda: Limits(probe_deadline_s=3.0, most_misses=5))


@dataclass(frozen=True, kw_only=True)
class CloudContext:
    """What all links share. `installation` is in hexadecimal, and marks servers as this one's;
    `files` are the control plane's that functions read: small texts."""

    installation: str
    images: Images
    clock: Clock
    limits: CloudLimits = field(default_factory=CloudLimits)
    files: tuple[Path, ...] = ()
    ssh_keys: tuple[str, ...] = ()


"""The same field as of guests of hypervisors."""
