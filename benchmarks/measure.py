"""Measure what the documentation claims, each figure beside its reference in the same run: `make bench`.

Machines differ and are noisy, so read the ratios; nothing here fails on a slow machine. The fixed figures printed as
`claim` are those of docs/reference/performance.md.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import requests
from rich.console import Console
from rich.table import Table

from benchmarks import listing
from benchmarks.reference import STEPS, NoReferenceError, kfp_figures
from benchmarks.service import ai_engine_version_create, execution_create, schema_create
from usage_scripts.local_service import LocalService, local_service

FAN_OUT = 1000
# Two times of about a second each differ by half on a shared machine: the median of a few pairs says little.
FAN_OUT_REPEATS = 15
TERMINAL = ("succeeded", "failed", "stopped", "lost")


def percentile(values: list[float], share: float) -> float:
    """Return the nearest-rank percentile of seconds, `share` between 0 and 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def container(*command: str) -> dict[str, object]:
    return {"image": "busybox:latest", "command": list(command)}


ONE_STEP = {"entrypoint": "main", "templates": [{"name": "main", "container": container("true")}]}
FIFTY_STEPS = {
    "entrypoint": "main",
    "templates": [
        {"name": "main", "steps": [[{"name": f"s{number}", "template": "one"}] for number in range(STEPS)]},
        {"name": "one", "container": container("true")},
    ],
}
FAN_OUT_STEPS = {
    "entrypoint": "main",
    "templates": [
        {"name": "main", "steps": [[{"name": "n", "template": "one", "withSequence": {"count": str(FAN_OUT)},
                                     "arguments": {"parameters": [{"name": "i", "value": "{{item}}"}]}}]]},
        {"name": "one", "inputs": {"parameters": [{"name": "i"}]},
         "container": container("sh", "-c", "echo {{inputs.parameters.i}}")},
    ],
}  # fmt: skip


def run_to_the_end(
    session: requests.Session, service: LocalService, schema: str, version: int, look_every: float = 0.005
) -> tuple[float, float]:
    """Post an execution; return the seconds until its Workflow's end was stored, and until it was seen in the API.

    Looking costs the service processor time: what takes long is looked at seldom, and by when it was stored.
    """
    posted = time.time()
    execution = execution_create(session, service, schema, version)
    query = {"owner_kind": "execution", "owner_id": execution["id"]}
    while True:
        runs = session.get(f"{service.url}/api/runs/", params=query, timeout=60).json()["results"]
        if runs and runs[0]["phase"] in TERMINAL:
            seen = time.time() - posted
            if runs[0]["phase"] != "succeeded":
                raise RuntimeError(runs[0])
            run = session.get(f"{service.url}/api/runs/{runs[0]['name']}/", timeout=60).json()
            return datetime.fromisoformat(run["events"][-1]["at"]).timestamp() - posted, seen
        time.sleep(look_every)


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def kfp_cells(wanted: bool) -> tuple[str, str]:
    """Return what kfp's local runner needs for one step and for all in sequence, or why that is not known."""
    if not wanted:
        return ("kfp not asked (--with-kfp)",) * 2
    try:
        figures = kfp_figures()
    except NoReferenceError as error:
        return (f"kfp could not be run: {error}",) * 2
    return f"kfp 2.17 alone: {figures.single:.2f} s", f"kfp 2.17 alone: {figures.in_sequence:.1f} s"


def measure_engine(service: LocalService, version: int, table: Table, repeats: int, kfp: tuple[str, str]) -> None:
    session = service.session()
    schema_create(service, "bench-one-step", ONE_STEP)
    schema_create(service, "bench-fifty-steps", FIFTY_STEPS)
    schema_create(service, "bench-fan-out", FAN_OUT_STEPS)
    bare = [seconds_of(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)) for _ in range(repeats)]
    one = [run_to_the_end(session, service, "bench-one-step", version)[1] for _ in range(repeats)]
    table.add_row("one step of `true`, POST to terminal, p50", f"{statistics.median(one):.3f} s",
                  f"python -c pass: {statistics.median(bare):.3f} s; {kfp[0]}", "< 0.15 s")  # fmt: skip
    _, fifty = run_to_the_end(session, service, "bench-fifty-steps", version)
    table.add_row(f"{STEPS} steps in sequence", f"{fifty:.2f} s", kfp[1], "less than kfp")
    command = f"seq 0 {FAN_OUT - 1} | xargs -P 2 -I N sh -c 'echo N' > /dev/null"
    ratios, ours, theirs = [], [], []
    for _ in range(FAN_OUT_REPEATS):
        theirs.append(seconds_of(lambda: subprocess.run(["sh", "-c", command], check=True)))
        ours.append(run_to_the_end(session, service, "bench-fan-out", version, look_every=0.5)[0])
        ratios.append(ours[-1] / theirs[-1])
    beside = f"xargs -P 2: {statistics.median(theirs):.2f} s ({statistics.median(ratios):.2f} x)"
    table.add_row(f"{FAN_OUT} steps in one fan-out", f"{statistics.median(ours):.2f} s", beside, "< 2.5 x")


def measure_posts(service: LocalService, version: int, table: Table, repeats: int) -> None:
    """Time POSTs of executions, whose Workflows run meanwhile, beside the cheapest authenticated request."""
    session = service.session()
    for what, pause, claim in (
        ("POST of an execution, four a second, p95", 0.25, "< 50 ms"),
        ("POST after POST without a pause, p95", 0.0, ""),
    ):
        reference, posts = [], []
        for _ in range(repeats):
            reference.append(seconds_of(lambda: session.get(f"{service.url}/api/schemas/bench-one-step/", timeout=30)))
            posts.append(seconds_of(lambda: execution_create(session, service, "bench-one-step", version)))
            time.sleep(pause)
        beside = f"GET of a Schema, p95: {percentile(reference, 0.95) * 1000:.1f} ms"
        table.add_row(what, f"{percentile(posts, 0.95) * 1000:.1f} ms", beside, claim)


def measure_rest(service: LocalService, table: Table, seconds: float) -> None:
    """Read the memory and the processor time of the whole service while nobody asks anything of it."""

    def memory(field: str) -> float:
        total = 0
        for pid in service.processes():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(f"{field}:"):
                    total += int(line.split()[1])
        return total / 1024

    def ticks() -> int:
        stats = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in service.processes()]
        return sum(int(stat[11]) + int(stat[12]) for stat in stats)

    before = ticks()
    time.sleep(seconds)
    share = (ticks() - before) / seconds  # a tick is 10 ms, so ticks a second are percent of a core
    interpreter = subprocess.run(
        [sys.executable, "-c", "print(open('/proc/self/statm').read().split()[1])"], capture_output=True, check=True
    )
    table.add_row("memory at rest", f"{memory('Rss'):.0f} MB resident ({memory('Pss'):.0f} MB proportional)",
                  f"one bare interpreter: {int(interpreter.stdout) * 4 / 1024:.0f} MB", "< 350 MB")  # fmt: skip
    table.add_row("processor at rest", f"{share:.2f} % of a core over {seconds:.0f} s", "", "< 2 %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--rest-seconds", type=float, default=30)
    parser.add_argument("--with-kfp", action="store_true", help="install kfp's local runner and time it too")
    options = parser.parse_args()
    table = Table("what", "here", "reference", "claim", title="make bench")
    listing.measure(table)
    with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as folder, local_service(Path(folder)) as service:
        version = ai_engine_version_create(service)
        time.sleep(2)
        measure_rest(service, table, options.rest_seconds)
        measure_engine(service, version, table, options.repeats, kfp_cells(options.with_kfp))
        measure_posts(service, version, table, options.repeats * 2)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
