"""Logs whose lines, step names or queries are meant to do harm."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engines.base import LogLine, Submission, WorkflowPhase
from engines.recording import RecordingEngine
from runs import engines
from runs.models import WorkflowRun
from runs.services import run_observe
from tests.cpu_time import cpu_seconds_below
from tests.runs.conftest import engine, make_run, owner, status_of

__all__ = ["engine", "make_run", "owner", "status_of"]

pytestmark = pytest.mark.django_db
HOSTILE_STEP = "train(0:x)\n2026-01-01T00:00:00Z other/main stdout: forged"


@pytest.fixture
def cluster(owner: Any, settings: Any) -> Any:
    settings.ENGINES = {"double": {"class": "engines.recording.RecordingEngine", "options": {}}}
    engines.forget_engines()
    yield engines.get_engine("double")
    engines.forget_engines()


@pytest.fixture
def ended(make_run: Any, status_of: Any, cluster: RecordingEngine) -> WorkflowRun:
    run = make_run(now=None)
    cluster.submit(Submission(run.name, run.manifest))
    nodes = {"a": {"id": "a", "name": "wf.a", "displayName": HOSTILE_STEP, "type": "Pod", "phase": "Succeeded"}}
    return run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.SUCCEEDED, nodes=nodes))


def write(cluster: RecordingEngine, run: WorkflowRun, *texts: str) -> None:
    lines = [LogLine("a", "main", "stdout", text, f"2026-01-01T00:00:{n:02}Z") for n, text in enumerate(texts)]
    cluster._state.logs[run.name] = lines


def read(api: Any, run: WorkflowRun, **query: str) -> str:
    answer = api.get(f"/api/runs/{run.name}/logs/", query)
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()


@pytest.mark.parametrize("pattern", ["(a+)+$", "(.*)*\\1", "[", "a{99999}{99999}"])
def test_a_pattern_that_would_never_end_is_plain_text(
    api: Any, ended: WorkflowRun, cluster: RecordingEngine, pattern: str
) -> None:
    write(cluster, ended, "a" * 100_000 + "!", f"x {pattern} y")

    with cpu_seconds_below(20):
        text = read(api, ended, grep=pattern, prefix="false")

    assert text == f"x {pattern} y\n"


def test_a_step_forges_no_line_by_its_name(api: Any, ended: WorkflowRun, cluster: RecordingEngine) -> None:
    write(cluster, ended, "true")

    text = read(api, ended)

    assert len(text.splitlines()) == 1
    assert text.endswith("/main stdout: true\n")


def test_a_long_tail_of_long_lines_fits_into_memory(api: Any, ended: WorkflowRun, cluster: RecordingEngine) -> None:
    write(cluster, ended, *["x" * 1_000_000] * 50, "the last")

    text = read(api, ended, tail="10000", prefix="false")

    assert text.endswith("the last\n")
    assert len(text) < 10_000_000


@pytest.mark.parametrize("node", ["../../etc/passwd", "a\0", "%", "*", "a" * 5000])
def test_a_step_that_is_not_there_is_looked_for_nowhere_else(api: Any, ended: WorkflowRun, node: str) -> None:
    assert api.get(f"/api/runs/{ended.name}/logs/", {"node": node}).status_code in (400, 404)


def test_a_file_that_is_offered_has_the_name_of_the_run(api: Any, ended: WorkflowRun, cluster: RecordingEngine) -> None:
    write(cluster, ended, "x")

    answer = api.get(f"/api/runs/{ended.name}/logs/?download=true", headers={"Accept": "application/json"})

    assert answer.headers["Content-Disposition"] == f'attachment; filename="{ended.name}.jsonl"'
    assert json.loads(b"".join(answer.streaming_content))["step"].startswith("train(0:x) 2026")
