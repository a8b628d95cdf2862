"""Workers by fork: `python -m umbel.media.workers.inside.fork_server ROOM`, for a media server.

In: orders on stdin; their words are a worker's options. Out: workers that start without an import.
GStreamer is not initialised here: it must not have a thread before a fork. Neighbours: main.py,
kit/fork_server.py.
"""

from umbel.kit import fork_server, prctl
from umbel.media.workers.inside import main as worker

_MODULE_WORDS = 3  # python -m umbel.media.workers.inside.main


def main() -> None:
    """Serve; in each forked process, be that worker."""
    prctl.set_name("umbel-forks")
    order = fork_server.serve()
    if order is not None:
        worker.main(order.words[_MODULE_WORDS:])


if __name__ == "__main__":
    main()
