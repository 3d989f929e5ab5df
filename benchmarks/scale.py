"""Measure the Argo engine with thousands of live Workflows in a real API server: `python -m benchmarks.scale`.

etcd, kube-apiserver and the whole service run on this machine; what a controller of Argo would write, this program
writes. Requests are counted by the API server itself (`/metrics`). Needs what tests/services/kubernetes.sh makes ready.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import django
import requests
from django.core.management import call_command
from rich.console import Console
from rich.table import Table

from benchmarks.service import ai_engine_version_create, execution_create, schema_create
from engines.base import DIGEST_ANNOTATION, MANAGED_BY, MANAGED_BY_LABEL, manifest_digest
from tests.services.kubernetes import WORKFLOWS, ApiServer
from usage_scripts.local_service import LocalService, local_service

PATIENCE_SECONDS = 600.0
LOOK_SECONDS = 0.01
STEADY_SECONDS = 60.0
NODES = 5
# As the configuration's defaults have it.
RATE, BURST = 20.0, 40
_COUNTED = re.compile(r'apiserver_request_total\{.*?resource="(\w+)".*?verb="(\w+)".*?\} (\S+)')
_WATCHES = re.compile(r'apiserver_longrunning_requests\{.*?resource="workflows".*?verb="WATCH".*?\} (\S+)')
Requests = Counter[tuple[str, str]]


def manifest(name: str) -> dict[str, Any]:
    template = {"name": "main", "container": {"image": "busybox:latest", "command": ["true"]}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "main", "templates": [template]},
    }


def status(name: str, phase: str, ended: int) -> dict[str, Any]:
    """Return the status of a Workflow of which so many nodes have succeeded."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    nodes = {
        f"{name}-{number}": {
            "id": f"{name}-{number}",
            "name": f"{name}.step-{number}",
            "displayName": f"step-{number}",
            "type": "Pod",
            "templateName": "main",
            "phase": "Succeeded" if number < ended else "Running",
            "startedAt": now,
            "inputs": {"parameters": [{"name": "data-partner", "value": "data-partner-1"}]},
        }
        for number in range(NODES)
    }
    ends = {"finishedAt": now} if phase == "Succeeded" else {}
    return {"phase": phase, "startedAt": now, "progress": f"{ended}/{NODES}", "nodes": nodes, **ends}


class Cluster:
    """The API server, and the Workflows that this program keeps in it."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.namespace = server.make_namespace()
        self.workflows = WORKFLOWS.format(namespace=self.namespace)
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {server.token}"
        # Else what the environment says of certificates would win.
        self._session.trust_env = False
        self._session.verify = str(server.authority.certificate)

    def create(self, name: str) -> None:
        wanted = manifest(name)
        wanted["metadata"] |= {
            "labels": {MANAGED_BY_LABEL: MANAGED_BY},
            "annotations": {DIGEST_ANNOTATION: manifest_digest(manifest(name))},
        }
        self.server.api.post(self.workflows, {**wanted, "status": status(name, "Running", 0)})

    def tell(self, name: str, phase: str, ended: int) -> None:
        """Write what Argo would have."""
        self.server.api.patch(f"{self.workflows}/{name}", {"status": status(name, phase, ended)})

    def requests(self) -> Requests:
        """Return how many requests the API server has answered, by resource and verb."""
        found: Requests = Counter()
        for resource, verb, value in _COUNTED.findall(self._metrics()):
            found[resource, verb] += int(float(value))
        return found

    def is_watched(self) -> bool:
        return any(float(value) >= 1 for value in _WATCHES.findall(self._metrics()))

    def _metrics(self) -> str:
        answer = self._session.get(f"{self.server.server}/metrics", timeout=60)
        answer.raise_for_status()
        return answer.text


def rows_create(names: list[str]) -> None:
    """Store a run for each Workflow, as if it had been submitted a moment ago and nothing been heard of it since."""
    # Models exist only once Django is set up, which importing this module must not do.
    from runs.models import RunDocument, RunNodes, RunPhase, WorkflowRun  # noqa: PLC0415

    now = datetime.now(UTC)
    runs = WorkflowRun.objects.bulk_create(
        WorkflowRun(
            name=name,
            owner_kind="execution",
            owner_id=10**6 + number,
            engine="argo",
            manifest_digest=manifest_digest(manifest(name)),
            phase=RunPhase.SUBMITTED,
            handed_over_at=now,
            submitted_at=now,
        )
        for number, name in enumerate(names)
    )
    RunDocument.objects.bulk_create(RunDocument(run=run, manifest=manifest(run.name), config_maps={}) for run in runs)
    RunNodes.objects.bulk_create(RunNodes(run=run) for run in runs)


@contextmanager
def service_of(folder: Path, cluster: Cluster) -> Iterator[LocalService]:
    with local_service(
        folder,
        host="127.0.0.1",
        ENGINE="argo",
        ALLOWED_IMAGES="busybox:*",
        ARGO_KUBECONFIG=str(cluster.server.kubeconfig),
        ARGO_NAMESPACE=cluster.namespace,
        ARGO_REQUESTS_PER_SECOND=str(RATE),
        ARGO_BURST=str(BURST),
    ) as service:
        yield service


def wait(what: Callable[[], bool], look_every: float) -> float:
    """Return the seconds until something holds."""
    started = time.monotonic()
    while not what():
        if time.monotonic() - started > PATIENCE_SECONDS:
            raise RuntimeError("it takes too long")
        time.sleep(look_every)
    return time.monotonic() - started


def count_of(session: requests.Session, service: LocalService, **query: Any) -> int:
    answer = session.get(f"{service.url}/api/runs/", params={**query, "page_size": 1}, timeout=60)
    return int(answer.json()["count"])


def seen_after(session: requests.Session, service: LocalService, name: str, field: str, value: str) -> float:
    """Return the seconds until a field of a run has a value in the API."""

    def is_seen() -> bool:
        return bool(session.get(f"{service.url}/api/runs/{name}/", timeout=60).json()[field] == value)

    return wait(is_seen, LOOK_SECONDS)


def memory_of(service: LocalService) -> tuple[float, float]:
    """Return what the controller has in memory, and had at most, in MB."""
    for pid in service.processes():
        if b"run_controller" in Path(f"/proc/{pid}/cmdline").read_bytes():
            text = Path(f"/proc/{pid}/status").read_text()
            now, most = (int(re.findall(rf"{field}:\s+(\d+) kB", text)[0]) for field in ("VmRSS", "VmHWM"))
            return now / 1024, most / 1024
    raise RuntimeError("no controller runs")


def read_of(counted: Requests) -> int:
    return counted["workflows", "GET"] + counted["workflows", "LIST"]


def shown(counted: Requests) -> str:
    wanted = sorted((verb, resource) for (resource, verb), number in counted.items() if number)
    return ", ".join(f"{counted[resource, verb]} {verb} {resource}" for verb, resource in wanted) or "none"


def of_ours(counted: Requests) -> Requests:
    """Leave out what kube-apiserver asks itself."""
    ours = ("workflows", "secrets", "configmaps", "pods", "events", "nodes")
    return Counter({key: number for key, number in counted.items() if key[0] in ours})


def measure_start(service: LocalService, cluster: Cluster, before: Requests, table: Table, count: int) -> None:
    # Seldom: to be asked for its figures costs the API server more than a list does.
    seconds = wait(cluster.is_watched, 1.0)
    table.add_row("start with all of them known", f"watches {seconds:.1f} s after it is ready", "")
    before_rest = cluster.requests()
    time.sleep(STEADY_SECONDS)
    rest = of_ours(cluster.requests() - before_rest)
    started = of_ours(before_rest - before)
    table.add_row("requests until then", shown(started), f"{count // 200} pages of 200 for a list")
    table.add_row(f"requests in {STEADY_SECONDS:.0f} s without news", shown(rest), "one watch; a list every 30 s")
    now, most = memory_of(service)
    table.add_row("memory of the controller", f"{now:.0f} MB, {most:.0f} MB at most", "< 400 MB")


def measure_changes(service: LocalService, cluster: Cluster, names: list[str], table: Table) -> None:
    session = service.session()
    session.get(f"{service.url}/api/runs/{names[0]}/", timeout=60)
    half = len(names) // 2
    for what, chosen, phase, ended, field, value in (
        ("a node's end", names[:half], "Running", 1, "progress", f"1/{NODES}"),
        ("a Workflow's end", names[half:], "Succeeded", NODES, "phase", "succeeded"),
    ):
        before, times = cluster.requests(), []
        for name in chosen:
            cluster.tell(name, phase, ended)
            times.append(seen_after(session, service, name, field, value))
            time.sleep(0.1)
        # A reconciliation that happens to fall into this is no answer to a change.
        read = (cluster.requests() - before)["workflows", "GET"]
        times.sort()
        p50, p95 = statistics.median(times), times[round(0.95 * (len(times) - 1))]
        figures = f"p50 {p50:.3f} s, p95 {p95:.3f} s, most {times[-1]:.3f} s"
        table.add_row(f"{what}, until the API shows it ({len(chosen)} x)", figures, "< 1 s")
        table.add_row("    GETs of Workflows for each", f"{read / len(chosen):.2f}", "<= 1")


def measure_submissions(service: LocalService, cluster: Cluster, table: Table, count: int) -> None:
    session = service.session()
    template = {"name": "main", "container": {"image": "busybox:latest", "command": ["true"]}}
    schema_create(service, "bench", {"entrypoint": "main", "templates": [template]})
    version = ai_engine_version_create(service)
    # Full, whatever came before.
    time.sleep(BURST / RATE)
    before, started = cluster.requests(), time.monotonic()
    for _ in range(count):
        execution_create(session, service, "bench", version)
    posted = time.monotonic() - started
    wait(lambda: count_of(session, service, phase="submitted") >= count, 0.1)
    seconds = time.monotonic() - started
    made = of_ours(cluster.requests() - before)
    allowed = (made.total() - BURST) / RATE
    table.add_row(f"{count} runs posted", f"{posted:.1f} s", "")
    table.add_row(f"{count} runs submitted", f"{seconds:.1f} s", f"the rate allows it in {allowed:.1f} s")
    table.add_row("    requests", shown(made), f"{RATE:g} a second, {BURST} at once")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workflows", type=int, default=5000)
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--submissions", type=int, default=200)
    options = parser.parse_args()
    names = [f"bench-{number:05}" for number in range(options.workflows)]
    table = Table("what", "here", "claim or reference", title=f"{options.workflows} live Workflows")
    with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as name, ApiServer() as server:
        folder = Path(name)
        os.environ |= {
            "DATA_DIR": name,
            "SECRET_KEY": "a key of this measurement only, which signs nothing that lasts",
            "DJANGO_SETTINGS_MODULE": "orchestrator_api.settings",
        }
        django.setup()
        call_command("migrate", verbosity=0)
        cluster = Cluster(server)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(cluster.create, names))
        rows_create(names)
        with service_of(folder, cluster) as service:
            all_seen = partial(count_of, service.session(), service, phase="running")
            seconds = wait(lambda: all_seen() == len(names), 0.2)
            table.add_row("start with all of them changed", f"{seconds:.1f} s until the API shows it", "")
            _, most = memory_of(service)
            table.add_row("    memory of the controller", f"{most:.0f} MB at most", "< 400 MB")
        before = cluster.requests()
        with service_of(folder, cluster) as service:
            measure_start(service, cluster, before, table, len(names))
            measure_changes(service, cluster, names[: 2 * options.changes], table)
            measure_submissions(service, cluster, table, options.submissions)
            _, most = memory_of(service)
            table.add_row("memory of the controller, over all", f"{most:.0f} MB at most", "< 400 MB")
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
