"""When to optimise again (Algorithm 1): a table of phases, and what each moment means. Pure.

The live planner service and the simulator call `tick` with what was monitored, run what it answers
(ViRCA for nodes, RCA for routing), and report the outcome. Times are steady seconds.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from umbel.kit.states import Table

_TINY = 1e-9


class Phase(StrEnum):
    """What the controller waits for."""

    STEADY = "steady"  # a plan is in force, or none was needed yet
    ROUTING = "routing"  # RCA runs
    PLANNING = "planning"  # ViRCA runs


class Trigger(StrEnum):
    """What can happen to it."""

    WASTED = "wasted"  # a node's worth of planned vCPUs is idle at the end of a ViRCA period
    DRIFTED = "drifted"  # the slack is exceeded at the end of an RCA period
    STARVED = "starved"  # a request found nothing that is on; ours, Algorithm 1 knows it not
    REROUTED = "rerouted"  # RCA's answer is good enough
    DROPPED = "dropped"  # RCA's answer is far below the best: routing alone will not do
    PLANNED = "planned"  # ViRCA answered
    FAILED = "failed"  # no answer; the last plan stays


CONTROL = Table[Phase, Trigger](
    {
        (Phase.STEADY, Trigger.WASTED): Phase.PLANNING,
        (Phase.STEADY, Trigger.STARVED): Phase.PLANNING,
        (Phase.STEADY, Trigger.DRIFTED): Phase.ROUTING,
        (Phase.ROUTING, Trigger.REROUTED): Phase.STEADY,
        (Phase.ROUTING, Trigger.DROPPED): Phase.PLANNING,
        (Phase.ROUTING, Trigger.FAILED): Phase.STEADY,
        (Phase.PLANNING, Trigger.PLANNED): Phase.STEADY,
        (Phase.PLANNING, Trigger.FAILED): Phase.STEADY,
    }
)


@dataclass(frozen=True, kw_only=True)
class Periods:
    """The paper's: seconds between samples, RCA and ViRCA; RCA below this share of the best
    quality calls ViRCA."""

    sample_s: float = 240.0
    rca_s: float = 300.0
    virca_s: float = 1800.0
    least_share: float = 0.8


@dataclass(frozen=True, kw_only=True)
class Control:
    """Where the controller stands. `virca_s` and `rca_s` are when it last considered each;
    `best_share` the quality that ViRCA proved to be the best, as a share of all demand at its
    best: a sum of QoE would rise with the demand and hide that the most of it goes unserved.
    While nothing is proven, all demand at its best may be possible."""

    virca_s: float
    rca_s: float
    phase: Phase = Phase.STEADY
    best_share: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What monitoring says: vCPUs in use and planned [sum of w + t], those of the smallest node
    that could go [K T], and the names of budgets that the demand has outgrown (see `drift`)."""

    used_vcpus: float
    planned_vcpus: float
    node_vcpus: float
    outgrown: tuple[str, ...] = ()


def begin(now_s: float) -> Control:
    """A controller whose periods begin now."""
    return Control(virca_s=now_s, rca_s=now_s)


def tick(
    control: Control, seen: Seen, now_s: float, periods: Periods = Periods()
) -> tuple[Control, Trigger | None]:
    """What the moment calls for: WASTED (run ViRCA), DRIFTED (run RCA), or nothing. While a run
    is under way nothing begins and no period is used up."""
    if control.phase is not Phase.STEADY:
        return control, None
    if now_s - control.virca_s >= periods.virca_s:
        control = replace(control, virca_s=now_s)
        if seen.used_vcpus < seen.planned_vcpus - seen.node_vcpus:
            return after(control, Trigger.WASTED), Trigger.WASTED
        return control, None
    if now_s - control.rca_s >= periods.rca_s:
        control = replace(control, rca_s=now_s)
        if seen.outgrown:
            return after(control, Trigger.DRIFTED), Trigger.DRIFTED
    return control, None


def due_in_s(control: Control, now_s: float, periods: Periods = Periods()) -> float:
    """Seconds until `tick` may have something to say."""
    virca_s = control.virca_s + periods.virca_s
    return max(0.0, min(virca_s, control.rca_s + periods.rca_s) - now_s)


def starved(control: Control) -> tuple[Control, Trigger | None]:
    """A request was refused, or a node woken for it: plan at once, unless a run is under way."""
    if control.phase is not Phase.STEADY:
        return control, None
    return after(control, Trigger.STARVED), Trigger.STARVED


def judge(control: Control, share: float | None, periods: Periods = Periods()) -> Trigger:
    """What an RCA of that share of the best quality means (None: it found no plan): REROUTED or
    DROPPED."""
    least = periods.least_share * control.best_share - _TINY
    return Trigger.REROUTED if share is not None and share >= least else Trigger.DROPPED


def after(control: Control, trigger: Trigger) -> Control:
    """The controller after a trigger. Raises IllegalTransition."""
    return replace(control, phase=CONTROL.next(control.phase, trigger))


def planned(control: Control, share: float, *, proven: bool) -> Control:
    """The controller after ViRCA answered with a plan of that share of the best quality; one that
    ran out of time lowers no bar. As printed, the periods go on counting from when they last
    ended."""
    return replace(after(control, Trigger.PLANNED), best_share=share if proven else 1.0)


def falls_short(share: float, rerouted: float, *, proven: bool) -> bool:
    """Whether a plan of that share, for want of time, serves less than the RCA answer that was
    DROPPED for it: then that answer is the better one. A proven plan weighs power, too."""
    return not proven and share < rerouted
