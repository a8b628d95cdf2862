"""When a subscriber is tried again, and when it is given up. Pure: times and draws are arguments.

In: a Progress and what a POST came to. Out: the Progress after it. Neighbour: lane.py acts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from umbel.kit import backoff
from umbel.notify.model import (
    LIFE_CYCLE,
    Kind,
    Notice,
    Place,
    Progress,
    Roster,
    SubscriberEvent,
    SubscriberState,
)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """What a subscriber is allowed; times in seconds. It is given up after `most_failures` in a row
    or when it has failed for `longest_s`, whichever comes first."""

    post_s: float = 10.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    most_failures: int = 50
    longest_s: float = 1800.0
    most_waiting: int = 1000


def wait_s(failures: int, draw: float, patience: Patience, asked_s: float = 0.0) -> float:
    """How long to wait after so many failures in a row: doubling up to the longest, of which the
    draw (0 to 1) takes up to half off, so that subscribers behind one proxy do not come back
    together. What the receiver itself asked for (Retry-After) is heeded up to the longest."""
    own_s = backoff.wait_s(
        failures, draw, first_s=patience.first_wait_s, longest_s=patience.longest_wait_s
    )
    return max(own_s, min(asked_s, patience.longest_wait_s))


def due_s(progress: Progress, now_s: float, patience: Patience) -> float:
    """In how many seconds the next try is due. A wall clock that was set back costs no more than
    the longest wait."""
    return min(max(0.0, progress.retry_at_s - now_s), patience.longest_wait_s)


def answered(progress: Progress, notice_id: int, sequence: int, now_s: float) -> Progress:
    """The progress after the subscriber took the notice."""
    return replace(
        revived(progress, now_s),
        cursor=notice_id,
        sequence=sequence,
        delivered=progress.delivered + 1,
    )


def revived(progress: Progress, now_s: float) -> Progress:
    """The progress after the subscriber answered well, whatever it was before."""
    return replace(
        progress,
        state=LIFE_CYCLE.next(progress.state, SubscriberEvent.ANSWER),
        failures=0,
        failing_since_s=None,
        retry_at_s=0.0,
        last_answer_s=now_s,
    )


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a notice was not taken: the reason for people, after how long the receiver asked to be
    tried again, and whether it said that it is gone for good."""

    reason: str
    asked_s: float = 0.0
    is_final: bool = False


def failed(
    progress: Progress, why: Failure, now_s: float, draw: float, patience: Patience
) -> Progress:
    """The progress after a POST failed: tried again later, or given up."""
    failures = progress.failures + 1
    since_s = now_s if progress.failing_since_s is None else progress.failing_since_s
    is_over = failures >= patience.most_failures or now_s - since_s >= patience.longest_s
    event = SubscriberEvent.GIVE_UP if why.is_final or is_over else SubscriberEvent.FAIL
    return replace(
        progress,
        state=LIFE_CYCLE.next(progress.state, event),
        failures=failures,
        failing_since_s=since_s,
        retry_at_s=now_s + wait_s(failures, draw, patience, why.asked_s),
        last_error=why.reason,
        last_error_s=now_s,
    )


def classify(status: int, asked_s: float = 0.0) -> Failure | None:
    """What an HTTP status means: nothing for a good one. 410 (RFC 9110, section 15.5.11) is a
    receiver that wants no more; a redirect could lead a POST to a URL that is not registered."""
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return Failure(reason=f"answered {status}: redirects are not followed")
    return Failure(reason=f"answered {status}", asked_s=asked_s, is_final=status == 410)


def is_dead(progress: Progress) -> bool:
    """Whether it was given up."""
    return progress.state is SubscriberState.DEAD


def changes(before: Roster, now: Roster, at_s: float) -> Iterator[Notice]:
    """What to tell of the functions: those that left, then those that appeared; a function that
    moved did both."""
    for function, place in before.items():
        if now.get(function) != place:
            yield _told(Kind.FUNCTION_LEFT, function, place, at_s)
    for function, place in now.items():
        if before.get(function) != place:
            yield _told(Kind.FUNCTION_APPEARED, function, place, at_s)


def _told(kind: Kind, function: str, place: Place, at_s: float) -> Notice:
    body = {"node": place.node, "function": function, "role": place.role}
    return Notice(at_s=at_s, kind=kind, subject=place.node, body=body)
