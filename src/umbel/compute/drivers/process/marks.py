"""What a function's process itself carries: where it reports readiness, and its own record.

In: the environments that /proc shows. Out: records of living processes, for those whose file was
lost or cannot be read. The mark is the record as it was at the start, without the pid.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import structlog

from umbel.compute.drivers.process import launch, procfs
from umbel.compute.drivers.process.records import Record, Records, parse

log = structlog.get_logger(__name__)


def find(records: Records, function_id: str) -> Record | None:
    """The record of the function's living process by its own marks. A process whose mark cannot
    be read is ended: nobody could watch or stop it."""
    return found_all(records).get(function_id)


def found_all(records: Records) -> dict[str, Record]:
    """The records of all living processes that were started with this state directory."""
    found: dict[str, Record] = {}
    for process, environment in _leaders():
        id_ = records.id_of_ready_path(environment.get(launch.READY_FILE, ""))
        if id_ is None or id_ in found:
            continue
        record = parse(environment.get(launch.RECORD, "").encode())
        if record is not None and record.id == id_:
            found[id_] = replace(record, pid=process.pid, start_ticks=process.start_ticks)
        else:
            log.warning("function without a readable mark ended", id=id_, pid=process.pid)
            procfs.kill_family(process)
    return found


def _leaders() -> Iterator[tuple[procfs.Process, Mapping[str, str]]]:
    """Session leaders and their environments, the oldest first: what a function starts may lead a
    session too, with the same environment."""
    processes = [one for one in procfs.scan() if one.session == one.pid and one.alive]
    for process in sorted(processes, key=lambda one: one.start_ticks):
        environment = procfs.environment_of(process.pid)
        if launch.READY_FILE in environment:
            yield process, environment
