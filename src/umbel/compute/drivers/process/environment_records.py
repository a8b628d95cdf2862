"""What a function's process itself carries: where it reports readiness, and its own record.

In: the environments that /proc shows. Out: records of living processes, for those whose file was
lost or cannot be read. The mark is the record as it was at the start, without the pid.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from umbel.compute.drivers.process import launch, procfs
from umbel.compute.drivers.process.records import Record, Records, parse


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A living process that was started with our state directory, and the record in its
    environment; None where that has none, or none that can be read."""

    process: procfs.Process
    record: Record | None


def find(records: Records) -> dict[str, Marked]:
    """All of them, by the function's id."""
    found: dict[str, Marked] = {}
    for process, environment in _leaders():
        id_ = records.id_of_ready_path(environment.get(launch.READY_FILE, ""))
        if id_ is None or id_ in found:
            continue
        record = parse(environment.get(launch.RECORD, "").encode())
        if record is not None and record.id == id_:
            record = replace(record, pid=process.pid, start_ticks=process.start_ticks)
        else:
            record = None
        found[id_] = Marked(process=process, record=record)
    return found


def _leaders() -> Iterator[tuple[procfs.Process, Mapping[str, str]]]:
    """Session leaders and their environments, the oldest first: what a function starts may lead a
    session too, with the same environment."""
    processes = [one for one in procfs.scan() if one.session == one.pid and one.alive]
    for process in sorted(processes, key=lambda one: one.start_ticks):
        environment = procfs.environment_of(process.pid)
        if launch.READY_FILE in environment:
            yield process, environment
