"""`make storm`: says each death on stderr, and what the storm cost in one line on stdout."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from support.storm import plan
from support.storm.report import costs, report
from support.storm.run import storm
from umbel.kit import log


def main() -> int:
    """0 when the goals hold, else 1."""
    asked = argparse.ArgumentParser(prog="make storm")
    asked.add_argument("--seconds", type=float, default=300, help="how long it lasts")
    asked.add_argument("--seed", type=int, default=1, help="draws what dies when")
    asked.add_argument("--load", type=int, default=0, help="busy loops that run next to it")
    asked.add_argument("--folder", type=Path, help="keep the platform's files and logs here")
    wanted = asked.parse_args()
    log.configure(level="error")
    with tempfile.TemporaryDirectory(prefix="umbel-storm-") as own:
        folder = wanted.folder or Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        found = asyncio.run(
            storm(
                plan.drawn(wanted.seed, wanted.seconds),
                wanted.seconds,
                folder,
                seed=wanted.seed,
                load=wanted.load,
                say=_say,
            )
        )
    for loss, gap_s, missed in costs(found):
        cost = f"longest gap {gap_s:5.2f} s, {missed:4} frames missed"
        _say(f"{loss.at_s - found.begin_s:6.1f} s  {loss.kind:<13} {cost}")
    result = {**report(found), "seed": wanted.seed, "load_average": round(os.getloadavg()[0], 2)}
    print(json.dumps(result), flush=True)
    return 0 if result["ok"] else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
