"""Time kfp's local runner on a component that does nothing; run by `reference.py` with an interpreter that has kfp.

The argument is a number of steps. Prints one JSON object: the seconds of each single run, and of a pipeline of that
many steps in sequence.
"""

import json
import logging
import sys
import time
from collections.abc import Callable

from kfp import dsl, local

STEPS = int(sys.argv[1])
REPEATS = 5


@dsl.component  # type: ignore[untyped-decorator] # kfp is not where the types are checked
def nothing() -> None:
    pass


@dsl.pipeline  # type: ignore[untyped-decorator]
def in_sequence() -> None:
    previous = None
    for _ in range(STEPS):
        task = nothing()
        if previous is not None:
            task.after(previous)
        previous = task


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    local.init(runner=local.SubprocessRunner(use_venv=False), raise_on_error=True)
    singles = [seconds_of(nothing) for _ in range(REPEATS)]
    print(json.dumps({"single": singles, "in_sequence": seconds_of(in_sequence)}))
