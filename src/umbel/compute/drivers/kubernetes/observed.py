"""What a cluster shows of a function's pod, in our words. Pure.

In: a pod as the client library decoded it. Out: the function's state, and one reason where it
failed. Most of it is in the status of the pod's only container.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from umbel.compute.drivers.kubernetes.pods import RECORD, PodRecord, parse
from umbel.compute.drivers.kubernetes.usage import NONE, Amounts, of_amounts
from umbel.compute.model import FunctionState

_MOST_TEXT = 300
_NOT_STARTED = {
    "ErrImagePull": "its image cannot be pulled",
    "ImagePullBackOff": "its image cannot be pulled",
    "ErrImageNeverPull": "its image is not there",
    "InvalidImageName": "its image's name is wrong",
    "CreateContainerConfigError": "its container cannot be made",
    "CreateContainerError": "its container cannot be made",
    "RunContainerError": "its container cannot be started",
}
"""Why a container that waits does not run soon, by the kubelet's reasons. Others pass."""


@dataclass(frozen=True, kw_only=True)
class SeenPod:
    """A function's pod as its cluster shows it. `uid` tells it from an earlier one of the function.
    `is_over`: its container does not run and never will. `is_placed`: a machine has it.
    `is_silent`: its cluster does not hear of its machine, and all else is as it was. `requested`
    is what was promised to it."""

    record: PodRecord
    uid: str
    state: FunctionState
    reason: str = ""
    is_over: bool = False
    is_placed: bool = False
    is_silent: bool = False
    requested: Amounts = NONE


def seen(pod: Any) -> SeenPod | None:
    """The function's pod; None for one without a record of ours."""
    metadata, status = pod.metadata, pod.status
    record = parse((metadata.annotations or {}).get(RECORD, "") if metadata else "")
    if record is None or not metadata.uid:
        return None
    reason = next((text for look in _FAILURES if (text := look(pod))), "")
    # The cluster takes the condition Ready away from a pod whose machine it does not hear of. What
    # the kubelet said of the container stays.
    is_ready = _is_ready(pod)
    state = FunctionState.FAILED if reason else FunctionState.BOOTING
    if not reason and is_ready:
        state = FunctionState.ACTIVE
    return SeenPod(
        record=record,
        uid=metadata.uid,
        state=state,
        reason=reason,
        is_over=status is not None and status.phase in {"Failed", "Succeeded"},
        is_placed=bool(pod.spec and pod.spec.nodeName),
        is_silent=is_ready and not _has(status, "Ready"),
        requested=_requested(pod),
    )


def _has(status: Any, kind: str) -> bool:
    return any(one.type == kind and one.status == "True" for one in _conditions(status))


def _conditions(status: Any) -> list[Any]:
    return (status.conditions or []) if status is not None else []


def _requested(pod: Any) -> Amounts:
    containers = pod.spec.containers if pod.spec is not None else []
    resources = containers[0].resources if containers else None
    return of_amounts(resources.requests if resources is not None else None)


def _is_ready(pod: Any) -> bool:
    return any(one.ready for one in _containers(pod))


def _containers(pod: Any) -> list[Any]:
    return (pod.status.containerStatuses or []) if pod.status is not None else []


def _container(pod: Any) -> Any:
    """The state of its container; None before there is one."""
    found = _containers(pod)
    return found[0].state if found else None


def _ended(pod: Any) -> str:
    state = _container(pod)
    ended = state.terminated if state is not None else None
    if ended is None:
        return ""
    if ended.reason == "OOMKilled":
        return "it used more memory than it may"
    number = ended.signal or (ended.exitCode - 128 if 128 < ended.exitCode < 128 + 65 else 0)
    text = f"killed by signal {number}" if number else f"ended with status {ended.exitCode}"
    if number == signal.SIGTERM or not ended.exitCode:
        return f"{text}: its cluster ended it, or its health probes were missed"
    said = _line(ended.message)
    return f"{text}: {said}" if said and not number else text


def _refused(pod: Any) -> str:
    """Why the machine did not take it, or sent it away."""
    status = pod.status
    if status is None or status.phase not in {"Failed", "Succeeded"}:
        return ""
    said = _line(status.message) or status.phase
    return f"{status.reason}: {said}" if status.reason else f"its pod is over: {said}"


def _unscheduled(pod: Any) -> str:
    for one in _conditions(pod.status):
        if one.type == "PodScheduled" and one.status == "False" and one.reason == "Unschedulable":
            return f"its cluster has no room for it: {_line(one.message)}"
    return ""


def _waiting(pod: Any) -> str:
    state = _container(pod)
    waiting = state.waiting if state is not None else None
    if waiting is None or waiting.reason not in _NOT_STARTED:
        return ""
    return f"{_NOT_STARTED[waiting.reason]}: {_line(waiting.message) or waiting.reason}"


def _leaving(pod: Any) -> str:
    return "its pod was deleted in its cluster" if pod.metadata.deletionTimestamp else ""


_FAILURES: tuple[Callable[[Any], str], ...] = (_ended, _refused, _unscheduled, _waiting, _leaving)


def _line(text: str | None) -> str:
    """The last line of what was said."""
    lines = (text or "").strip().splitlines()
    return lines[-1].strip()[:_MOST_TEXT] if lines else ""
