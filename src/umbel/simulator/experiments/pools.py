"""Where tasks run: here, in processes, or wherever Ray finds a CPU. Tasks in, results out as they
come. Ray is not a dependency: it is imported on demand.
"""

import ctypes
import importlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from umbel.kit.errors import Unavailable
from umbel.simulator.experiments import work
from umbel.simulator.experiments.tasks import Task

Made = tuple[Task, dict[str, Any]]
Pool = Callable[[Sequence[Task]], Iterator[Made]]

_PR_SET_PDEATHSIG = 1


class WorkerLost(Unavailable):
    """A process of the pool died."""

    code = "umbel.experiment_worker_lost"


def pool(jobs: int, *, ray: bool) -> Pool:
    """The map for so many tasks at once. Its order is that of their ends."""
    if ray:
        return lambda tasks: on_ray(tasks, jobs)
    return here if jobs == 1 else lambda tasks: in_processes(tasks, jobs)


def here(tasks: Iterable[Task]) -> Iterator[Made]:
    """One after the other."""
    return ((task, work.done(task)) for task in tasks)


def in_processes(tasks: Sequence[Task], jobs: int) -> Iterator[Made]:
    """So many at once, each in a fresh interpreter: forking one with threads is asking for it.
    Raises WorkerLost; what was handed out before stands."""
    if not tasks:
        return
    context = multiprocessing.get_context("spawn")
    workers = min(jobs, len(tasks))
    parent = os.getpid()
    executor = ProcessPoolExecutor(workers, context, initializer=_follow, initargs=(parent,))
    try:
        futures = {executor.submit(work.done, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise WorkerLost(
            "a process died while it worked, perhaps for want of memory; what was made is kept,"
            " run it again with fewer --jobs"
        ) from error
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def on_ray(tasks: Sequence[Task], jobs: int) -> Iterator[Made]:
    """On the cluster that RAY_ADDRESS names, else on so many CPUs of this machine. Results come
    home: machines share no folder. Umbel must be installed on each."""
    ray = importlib.import_module("ray")
    cluster = bool(os.environ.get("RAY_ADDRESS"))
    ray.init(log_to_driver=False, **({} if cluster else {"num_cpus": jobs}))
    try:
        done = ray.remote(num_cpus=1)(work.done)
        waiting = {done.remote(task): task for task in tasks}
        while waiting:
            ready, _rest = ray.wait(list(waiting))
            for one in ready:
                yield waiting.pop(one), ray.get(one)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        raise WorkerLost(f"Ray: {cause or error}") from error
    finally:
        ray.shutdown()


def _follow(parent: int) -> None:
    """Die with the parent, also when it is killed; leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
