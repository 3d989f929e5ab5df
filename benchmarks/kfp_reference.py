"""Time kfp's local runner on a component that does nothing; run by `measure.py` with an interpreter that has kfp.

Prints one JSON object: the seconds of each single run, and of a pipeline of `STEPS` such steps in sequence.
"""

import json
import logging
import time

from kfp import dsl, local

STEPS = 50
REPEATS = 5


@dsl.component
def nothing() -> None:
    pass


@dsl.pipeline
def in_sequence() -> None:
    previous = None
    for _ in range(STEPS):
        task = nothing()
        if previous is not None:
            task.after(previous)
        previous = task


def seconds_of(work: object) -> float:
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - started


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    local.init(runner=local.SubprocessRunner(use_venv=False), raise_on_error=True)
    singles = [seconds_of(nothing) for _ in range(REPEATS)]
    print(json.dumps({"single": singles, "in_sequence": seconds_of(in_sequence)}))
