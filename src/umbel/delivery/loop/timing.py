"""How often delivery's loop runs, and how long it waits for things."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds. `look_s`: between runs without a wake-up; `linger_s`: how long an idle branch stays;
    `ready_s`: how long a caller waits for functions; `silence_s`: how long an encoder may pause."""

    look_s: float = 1.0
    sweep_s: float = 10.0
    linger_s: float = 10.0
    session_idle_s: float = 60.0
    session_ttl_s: float = 3600.0
    ready_s: float = 15.0
    silence_s: float = 3.0
    lease_s: float = 10.0
    announce_s: float = 10.0
