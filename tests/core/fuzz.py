"""`python -m tests.core.fuzz N`: compare N random histories, whole and as of a moment,
with the real gto, on all cores. Prints the seed of each process and what became of the
histories; exits 1 with the smallest failing history when one differs."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
import traceback
from collections import Counter

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from tests.core.comparing import compare_history, compare_history_until, outcomes
from tests.core.histories import History, histories_until

# Hypothesis slows down over very long runs; each process does them in pieces.
PIECE = 250


def run_piece(task: tuple[int, int, bool]) -> tuple[int, Counter[str], str]:
    """Compare `count` histories from `number`: the seed, outcomes, and a failure."""
    number, count, shrink = task
    outcomes.clear()
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=phases,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(histories_until())
    def compare(then: tuple[History, int]) -> None:
        compare_history(then[0])
        compare_history_until(*then)

    try:
        compare()
    except Exception:
        return number, Counter(outcomes), traceback.format_exc()
    return number, Counter(outcomes), ""


def main(count: int, first: int, *, shrink: bool) -> int:
    """Exit status: 0 when all were equal."""
    started = time.monotonic()
    tasks = [
        (first + index, min(PIECE, count - done), shrink)
        for index, done in enumerate(range(0, count, PIECE))
    ]
    total: Counter[str] = Counter()
    failures = 0
    cores = os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(cores, len(tasks)), maxtasksperchild=8) as pool:
        for number, found, failure in pool.imap_unordered(run_piece, tasks):
            total += found
            if failure:
                failures += 1
                print(f"seed {number}:\n{failure}", flush=True)
    seconds = time.monotonic() - started
    print(
        f"seeds {first} to {first + len(tasks) - 1}, {seconds:.0f} s on {cores} cores"
    )
    for outcome, number in total.most_common():
        print(f"{number:8} {outcome}")
    print(f"{failures} of {len(tasks)} pieces found a difference.")
    return 1 if failures else 0


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    begin = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**9)
    sys.exit(main(wanted, begin, shrink="--no-shrink" not in sys.argv))
