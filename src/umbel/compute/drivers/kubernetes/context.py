"""What all links to clusters share. It imports nothing that speaks to API servers."""

from dataclasses import dataclass, field
from pathlib import Path

from umbel.kit.clock import Clock


@dataclass(frozen=True, kw_only=True)
class ClusterLimits:
    """How long things may take, in seconds. A call is answered within `call_s`. A pod that is to
    end has `grace_s` for it, and is gone within `stop_s`; a function is ready within `start_s` of
    its container's start. Each `look_again_s` all pods are read again, whatever was heard. What
    they use is asked for each `sample_every_s`; clusters measure each 15 s."""

    call_s: float = 10.0
    grace_s: int = 5
    stop_s: float = 30.0
    start_s: int = 60
    look_every_s: float = 0.1
    look_again_s: float = 60.0
    sample_every_s: float = 10.0


@dataclass(frozen=True, kw_only=True)
class ClusterContext:
    """What all links share. `installation` is in hexadecimal, and marks pods as this one's;
    `files` are the control plane's that functions read: small texts."""

    installation: str
    clock: Clock
    limits: ClusterLimits = field(default_factory=ClusterLimits)
    files: tuple[Path, ...] = ()
