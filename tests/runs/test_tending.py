from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engines.base import WorkflowPhase
from runs import outbox
from runs.carrier import WOUND_UP, Carrier
from runs.models import WorkflowRun
from runs.services import run_observe, run_wind_up
from runs.tending import abandoned_pods
from runs.transitions import TEND_AFTER

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LATER = NOW + TEND_AFTER
GRACE = timedelta(seconds=120)


def a_pod(main: str = "Failed", other: str = "Running", phase: str = "Running", name: str = "main") -> dict[str, Any]:
    """Return the nodes of a pod of a set of two containers."""
    return {
        "p": {"id": "p", "type": "Pod", "displayName": "train", "phase": phase, "children": ["m", "o"]},
        "m": {"id": "m", "type": "Container", "displayName": name, "phase": main, "boundaryID": "p"},
        "o": {"id": "o", "type": "Container", "displayName": "ai", "phase": other, "boundaryID": "p"},
    }


@pytest.fixture
def running(make_run: Any, status_of: Any, engine: Any) -> WorkflowRun:
    run = make_run(now=NOW)
    engine.put(run.name)
    return run_observe(run_id=run.pk, status=status_of(run), now=NOW)


def carried(engine: Any, now: datetime) -> None:
    for each in outbox.claim(engine="double", limit=9, claimed_by="me", now=now):
        Carrier(engine, "me", lambda: now).carry(each.run_id)


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        (a_pod(), ["p"]),
        (a_pod("Error"), ["p"]),
        (a_pod("Succeeded"), []),
        (a_pod(other="Succeeded"), []),
        (a_pod(phase="Failed"), []),
        (a_pod("Running", "Failed"), []),
        (a_pod(name="helper"), []),
    ],
)
def test_a_pod_is_abandoned_when_its_main_container_has_failed_and_others_go_on(nodes: Any, found: list[str]) -> None:
    assert abandoned_pods(nodes) == found


def test_an_abandoned_pod_is_ended_after_a_while(running: Any, engine: Any, status_of: Any, monkeypatch: Any) -> None:
    ended: list[tuple[str, str]] = []
    monkeypatch.setattr(engine, "end_pod", lambda name, node: ended.append((name, node)) or True)
    run_observe(run_id=running.pk, status=status_of(running, nodes=a_pod()), now=NOW)

    carried(engine, LATER - timedelta(seconds=1))
    assert ended == []
    carried(engine, LATER)

    assert ended == [(running.name, "p")]
    assert WorkflowRun.objects.get(pk=running.pk).tend_at is None


def test_a_pod_that_ends_by_itself_is_left_alone(running: Any, engine: Any, status_of: Any) -> None:
    run_observe(run_id=running.pk, status=status_of(running, nodes=a_pod()), now=NOW)
    run = run_observe(run_id=running.pk, status=status_of(running, nodes=a_pod(phase="Failed")), now=NOW)

    assert (run.tend_at, run.next_try_at) == (None, None)


def test_the_owner_is_told_of_pods_that_the_engine_cannot_end(
    running: Any, engine: Any, owner: Any, status_of: Any, monkeypatch: Any
) -> None:
    told: list[Sequence[str]] = []
    monkeypatch.setattr(owner, "steps_failed", lambda run, abandoned: told.append(abandoned))
    run_observe(run_id=running.pk, status=status_of(running, nodes=a_pod()), now=NOW)

    carried(engine, LATER)

    assert told == [["p"]]


def test_an_owner_that_heeds_failed_steps_is_told_of_every_one(
    running: Any, engine: Any, owner: Any, status_of: Any, monkeypatch: Any
) -> None:
    told: list[str] = []
    monkeypatch.setattr(owner, "heeds_failed_steps", lambda run: True)
    monkeypatch.setattr(owner, "steps_failed", lambda run, abandoned: told.append(run.name))
    run_observe(run_id=running.pk, status=status_of(running, nodes=a_pod(phase="Failed")), now=NOW)

    carried(engine, LATER)

    assert told == [running.name]


def test_what_still_runs_is_stopped_after_the_grace(running: Any, engine: Any, status_of: Any) -> None:
    run_wind_up(run_id=running.pk, grace=GRACE, now=NOW)

    carried(engine, NOW + GRACE - timedelta(seconds=1))
    assert f"stop {running.name}" not in engine.calls
    for _ in range(2):
        carried(engine, NOW + GRACE)

    assert f"stop {running.name}" in engine.calls
    run = run_observe(run_id=running.pk, status=status_of(running, WorkflowPhase.FAILED), now=NOW + GRACE)
    assert (run.phase, run.reason, run.message) == ("stopped", "stopped", WOUND_UP)


def test_a_workflow_that_ends_within_the_grace_is_not_stopped(running: Any, engine: Any, status_of: Any) -> None:
    run_wind_up(run_id=running.pk, grace=GRACE, now=NOW)
    run_observe(run_id=running.pk, status=status_of(running, WorkflowPhase.SUCCEEDED), now=NOW)

    for _ in range(3):
        carried(engine, NOW + 2 * GRACE)

    assert f"stop {running.name}" not in engine.calls
    assert WorkflowRun.objects.get(pk=running.pk).phase == "succeeded"


def test_a_second_end_does_not_put_off_the_stop(running: Any) -> None:
    first = run_wind_up(run_id=running.pk, grace=GRACE, now=NOW)
    again = run_wind_up(run_id=running.pk, grace=GRACE, now=NOW + timedelta(seconds=60))

    assert again.wind_up_at == first.wind_up_at == NOW + GRACE
