"""Time lists of the API in-process on SQLite, beside a bare read and dump of the same rows.

Run by `measure.py` in a process of its own: `python -m benchmarks.listing` prints one JSON object.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command
from django.db import connection
from rich.table import Table

PARTNERS = 3
PATIENTS = 40
ROWS = 100
REPEATS = 30


def measure(table: Table) -> None:
    """Add a line for each list to the table."""
    with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as folder:
        environment = {
            **os.environ,
            "DATA_DIR": folder,
            "DATABASE_URL": f"sqlite:///{Path(folder) / 'bench.sqlite3'}",
            "SECRET_KEY": "a key of this measurement only, which signs nothing that lasts",
            "ALLOWED_HOSTS": "testserver",
            "DJANGO_SETTINGS_MODULE": "orchestrator_api.settings",
        }
        result = subprocess.run(
            [sys.executable, "-m", "benchmarks.listing"], env=environment, stdout=subprocess.PIPE, check=True
        )
    for name, figures in json.loads(result.stdout).items():
        table.add_row(
            f"list of {ROWS} {name}",
            f"{figures['milliseconds']:.1f} ms, {figures['queries']} queries",
            f"bare read and dump: {figures['reference']:.1f} ms",
            "< 25 ms, <= 10 queries",
        )


def milliseconds_of(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def main() -> None:
    django.setup()
    logging.disable(logging.CRITICAL)
    call_command("migrate", verbosity=0)
    # Models exist only once Django is set up, which importing this module must not do.
    from benchmarks import rows  # noqa: PLC0415

    client = rows.client()
    rows.create(ROWS, PARTNERS, PATIENTS)
    figures: dict[str, Any] = {}
    for name, bare in rows.BARE.items():
        path = f"/api/{name}/?page_size={ROWS}"
        answer = client.get(path)
        if answer.status_code != 200 or len(answer.json()["results"]) != ROWS:
            raise RuntimeError(f"{path} was answered {answer.status_code}: {answer.content[:300]!r}")
        connection.force_debug_cursor = True
        before = len(connection.queries_log)
        client.get(path)
        queries = len(connection.queries_log) - before
        connection.force_debug_cursor = False
        figures[name] = {
            "milliseconds": milliseconds_of(lambda path=path: client.get(path)),  # type: ignore[misc]
            "reference": milliseconds_of(bare),
            "queries": queries,
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
