"""Whether a migration may begin, and what it will cost. Pure.

In: what the function has to copy, what is free at the target and on the way, the terms. Out: a
verdict with every reason against it, and the predicted time, gap and amount. The model is pre-copy
(Clark et al., NSDI 2005): memory is sent in rounds while the function writes to it; each round
sends what was written during the one before, until what is left fits the gap.
"""

from dataclasses import dataclass

from umbel.compute.model import Resources
from umbel.mobility.calibration import Calibration
from umbel.mobility.model import Terms

MBIT_PER_MIB = 8.388608
MOST_ROUNDS = 30
"""Rounds after which a copy is taken as one that does not end."""
_UNCALIBRATED = Calibration()


@dataclass(frozen=True, kw_only=True)
class Load:
    """What has to be copied, in MiB, and how fast the function writes its memory, in Mbit/s; where
    it is not copied live, it stops in the meantime."""

    memory_mb: float
    disk_mb: float = 0.0
    dirty_mbps: float = 0.0
    is_live: bool = True


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What the model alone gives: seconds, of which the function does not answer in the last
    `gap_s`, and MiB on the way."""

    duration_s: float
    gap_s: float
    copied_mb: float
    is_live: bool


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a copy at `free_mbps` will cost: seconds in all, of which the function does not answer
    in the last `gap_s`, and MiB on the way. `fits`: the gap was reached. It is the cost by the
    `model`, corrected by what `moves` earlier copies took."""

    free_mbps: float
    dirty_mbps: float
    disk_mb: float
    duration_s: float
    gap_s: float
    copied_mb: float
    rounds: int
    fits: bool
    moves: int
    model: Cost


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What an admission looks at. `room` is free at the target, of which the function needs
    `needs`; `load` is None where nothing is copied; `free_mbps` is what the way has left, None
    where no way leads there. `is_ready`: the target is open, up, and answers. `calibration`: what
    earlier copies taught."""

    target: str
    is_ready: bool
    room: Resources
    needs: Resources
    load: Load | None = None
    free_mbps: float | None = None
    calibration: Calibration = _UNCALIBRATED


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether the migration is admitted: with no reason against it, it is."""

    reasons: tuple[str, ...] = ()
    prediction: Prediction | None = None

    @property
    def is_admitted(self) -> bool:
        """Whether it may begin."""
        return not self.reasons


def predict(
    load: Load, free_mbps: float, max_gap_s: float, calibration: Calibration = _UNCALIBRATED
) -> Prediction:
    """The cost of a copy over a way with `free_mbps` > 0. The disk is sent once, before the
    memory."""
    made = _copied_live if load.is_live else _copied_stopped
    cost, rounds, fits = made(load, free_mbps, calibration.gap.largest(max_gap_s))
    gap_s = calibration.gap.at(cost.gap_s)
    return Prediction(
        free_mbps=free_mbps,
        dirty_mbps=load.dirty_mbps,
        disk_mb=load.disk_mb,
        duration_s=max(gap_s, calibration.duration.at(cost.duration_s)),
        gap_s=gap_s,
        copied_mb=calibration.amount.at(cost.copied_mb),
        rounds=rounds,
        fits=fits and calibration.gap.extra <= max_gap_s,
        moves=calibration.moves,
        model=cost,
    )


def _copied_live(load: Load, free_mbps: float, max_gap_s: float) -> tuple[Cost, int, bool]:
    """The cost, the rounds, and whether what is left at last fits the gap."""
    memory = load.memory_mb * MBIT_PER_MIB
    sent, left, rounds = load.disk_mb * MBIT_PER_MIB, memory, 0
    while left > free_mbps * max_gap_s and rounds < MOST_ROUNDS:
        sent += left
        left = min(memory, load.dirty_mbps * left / free_mbps)
        rounds += 1
    cost = Cost(
        duration_s=(sent + left) / free_mbps,
        gap_s=left / free_mbps,
        copied_mb=(sent + left) / MBIT_PER_MIB,
        is_live=True,
    )
    return cost, rounds, left <= free_mbps * max_gap_s


def _copied_stopped(load: Load, free_mbps: float, max_gap_s: float) -> tuple[Cost, int, bool]:
    """All is sent in one round, in which the function does not run."""
    copied_mb = load.disk_mb + load.memory_mb
    duration_s = copied_mb * MBIT_PER_MIB / free_mbps
    cost = Cost(duration_s=duration_s, gap_s=duration_s, copied_mb=copied_mb, is_live=False)
    return cost, 1, duration_s <= max_gap_s


def decide(situation: Situation, terms: Terms) -> Verdict:
    """Admit the migration, or say everything that is against it."""
    reasons = [*_place_reasons(situation)]
    if situation.load is None:
        return Verdict(reasons=tuple(reasons))
    if not situation.free_mbps or situation.free_mbps <= 0:
        way = "leads" if situation.free_mbps is None else "with a free rate leads"
        reasons.append(f"no way {way} to {situation.target}")
        return Verdict(reasons=tuple(reasons))
    found = predict(situation.load, situation.free_mbps, terms.max_gap_s, situation.calibration)
    if not found.fits:
        why = f"it writes its memory at {situation.load.dirty_mbps:g} Mbit/s"
        if not situation.load.is_live:
            why = "it stops while it is copied"
        elif found.model.gap_s <= terms.max_gap_s:
            why = f"earlier copies stopped for longer ({found.moves} of them)"
        reasons.append(
            f"{why} and {found.free_mbps:g} Mbit/s are free: the gap would be {found.gap_s:.2f} s, "
            f"{terms.max_gap_s:g} s are allowed"
        )
    if found.duration_s > terms.max_duration_s:
        reasons.append(
            f"the copy would take {found.duration_s:.0f} s, {terms.max_duration_s:g} s are allowed"
        )
    return Verdict(reasons=tuple(reasons), prediction=found)


def not_ready(target: str) -> str:
    """Why nothing is placed there."""
    return f"{target} takes no functions now: it is cordoned, in standby or lost"


def _place_reasons(situation: Situation) -> list[str]:
    if not situation.is_ready:
        return [not_ready(situation.target)]
    lacks = [
        f"{need:g} {unit} needed, {max(0.0, free):g} free"
        for need, free, unit in (
            (situation.needs.cores, situation.room.cores, "cores"),
            (situation.needs.memory_mb, situation.room.memory_mb, "MiB"),
            (situation.needs.mbps, situation.room.mbps, "Mbit/s"),
        )
        if need > free
    ]
    return [f"{situation.target} has no room: {', '.join(lacks)}"] if lacks else []
