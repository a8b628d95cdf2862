"""`make chaos`: plays seeds, prints what broke and the command that plays it again."""

import argparse
import secrets
import sys

from support.chaos.plan import MOST_STEPS
from support.chaos.run import Outcome, run, shrink


def main() -> int:
    """Play the seeds asked for; answers how many broke an invariant, at most 1."""
    asked = argparse.ArgumentParser(prog="make chaos")
    asked.add_argument("--seed", type=int, help="the first seed; a random one without")
    asked.add_argument("--runs", type=int, default=1, help="how many seeds, one after the other")
    asked.add_argument("--steps", type=int, default=MOST_STEPS, help="only so many steps of each")
    wanted = asked.parse_args()
    first = secrets.randbelow(10**9) if wanted.seed is None else wanted.seed
    broken = 0
    for number in range(wanted.runs):
        outcome = run(first + number, wanted.steps)
        broken += bool(outcome.broken)
        _report(outcome, is_one=wanted.runs == 1, is_whole=wanted.steps == MOST_STEPS)
        _progress(number + 1, wanted.runs, broken)
    print(f"{wanted.runs} seed(s) from {first}: {broken} broken")
    return min(broken, 1)


def _report(outcome: Outcome, *, is_one: bool, is_whole: bool) -> None:
    if outcome.broken:
        shorter = shrink(outcome) if is_whole else outcome
        print("\r" + shorter.report())
    elif is_one:
        print("\n".join([*outcome.story, f"as wanted after {outcome.rested_s:.1f} s"]))
        print(f"trace {outcome.trace}")


def _progress(done: int, of: int, broken: int) -> None:
    if of > 1 and sys.stderr.isatty():
        bar = "#" * (40 * done // of)
        print(f"\r[{bar:<40}] {done}/{of}, {broken} broken", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
