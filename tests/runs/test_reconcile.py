import logging
from datetime import UTC, datetime

import pytest

from engines.base import EngineUnavailable, StopStrategy, WorkflowPhase, WorkflowStatus
from runs import outbox
from runs.carrier import Carrier
from runs.models import WorkflowRun
from runs.reconcile import Reconciler
from runs.services import run_observe, run_vanish

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def reconciler(engine):
    return Reconciler(engine, lambda: NOW)


@pytest.fixture
def submitted(make_run, engine):
    """A run whose Workflow runs."""
    run = make_run(now=NOW)
    outbox.claim(engine="double", limit=9, claimed_by="me", now=NOW)
    Carrier(engine, "me", lambda: NOW).carry(run.pk)
    engine.set_phase(run.name, WorkflowPhase.RUNNING)
    return run


def now_of(run):
    return WorkflowRun.objects.get(pk=run.pk)


def test_what_the_watch_missed_is_found(submitted, reconciler, engine):
    engine.set_phase(submitted.name, WorkflowPhase.FAILED, "out of memory")

    reconciler.look()

    assert (now_of(submitted).phase, now_of(submitted).message) == ("failed", "out of memory")


def test_a_run_is_lost_when_its_workflow_is_absent_twice(submitted, reconciler, engine):
    engine.vanish(submitted.name)

    reconciler.look()
    assert now_of(submitted).phase == "submitted"
    reconciler.look()

    assert (now_of(submitted).phase, now_of(submitted).reason) == ("lost", "lost")


def test_a_run_that_was_absent_once_by_mistake_goes_on(submitted, reconciler, engine):
    workflow = engine._read(submitted.name)
    engine.vanish(submitted.name)
    reconciler.look()
    engine._write(workflow)

    reconciler.look()
    reconciler.look()

    assert now_of(submitted).phase == "running"


def test_a_run_that_is_being_submitted_is_not_lost(make_run, reconciler):
    run = make_run(now=NOW)
    outbox.claim(engine="double", limit=9, claimed_by="me", now=NOW)

    reconciler.look()
    reconciler.look()

    assert now_of(run).phase == "queued"


def test_a_workflow_that_a_watch_saw_deleted_is_lost_at_once(submitted, reconciler, engine):
    engine.vanish(submitted.name)

    reconciler.look_at(submitted.name)

    assert now_of(submitted).phase == "lost"


@pytest.mark.parametrize(
    ("phase", "message", "ended_as"),
    [
        (WorkflowPhase.SUCCEEDED, "", ("succeeded", "", "")),
        (WorkflowPhase.FAILED, "child failed", ("failed", "engine", "child failed")),
    ],
)
def test_a_workflow_whose_end_is_remembered_is_not_lost(
    submitted, reconciler, engine, monkeypatch, phase, message, ended_as
):
    asked = []
    ending = WorkflowStatus(submitted.name, phase, message, finished_at="2026-01-01T11:59:00Z")
    monkeypatch.setattr(engine, "last_known", lambda *named: asked.append(named) or ending)
    reconciler.look()
    engine.vanish(submitted.name)

    reconciler.look_at(submitted.name)
    reconciler.look_at(submitted.name)

    run = now_of(submitted)
    assert asked == [(submitted.name, f"uid-{submitted.name}")]
    assert (run.phase, run.reason, run.message) == ended_as
    assert run.finished_at == datetime(2026, 1, 1, 11, 59, tzinfo=UTC)
    assert run.workflow_ended_at == NOW


def test_a_workflow_that_is_only_remembered_to_have_run_is_lost(submitted, reconciler, engine, monkeypatch):
    began = WorkflowStatus(submitted.name, WorkflowPhase.RUNNING, started_at="2026-01-01T11:59:00Z")
    monkeypatch.setattr(engine, "last_known", lambda name, uid: began)
    engine.vanish(submitted.name)

    reconciler.look_at(submitted.name)

    assert now_of(submitted).phase == "lost"


def test_a_run_is_not_called_lost_while_its_end_cannot_be_looked_up(submitted, reconciler, engine, monkeypatch):
    def last_known(name, uid):
        raise EngineUnavailable("away")

    reconciler.look()
    monkeypatch.setattr(engine, "last_known", last_known)
    engine.vanish(submitted.name)

    with pytest.raises(EngineUnavailable):
        reconciler.look_at(submitted.name)

    assert now_of(submitted).phase == "running"


def test_a_workflow_without_a_row_is_reported_and_stopped(reconciler, engine, db, caplog):
    engine.put("stranger")

    with caplog.at_level(logging.WARNING):
        reconciler.look()

    assert "stranger" in caplog.text
    assert engine.get("stranger").message == f"Stopped with strategy '{StopStrategy.STOP}'"


def test_a_workflow_without_a_row_that_does_not_stop_is_terminated(reconciler, engine):
    engine.put("stranger")
    engine.say("deaf")
    reconciler.look()
    engine.unsay("deaf")

    reconciler.look()

    assert engine.get("stranger").message == f"Stopped with strategy '{StopStrategy.TERMINATE}'"


def test_a_workflow_without_a_row_is_not_terminated_for_stopping(reconciler, engine, db):
    engine.put("stranger")
    engine.say("deaf")

    reconciler.look_at("stranger")
    reconciler.look_at("stranger")

    assert engine.calls == ["stop stranger"]


def test_a_workflow_that_ended_without_a_row_is_left_alone(reconciler, engine):
    engine.put("stranger", WorkflowPhase.SUCCEEDED)

    reconciler.look()
    reconciler.look_at("stranger")

    assert engine.calls == []


def test_a_workflow_that_outlives_its_run_is_stopped(submitted, reconciler, engine):
    run_observe(run_id=submitted.pk, status=engine.get(submitted.name), now=NOW)
    run_vanish(run_id=submitted.pk, now=NOW)

    reconciler.look()
    outbox.claim(engine="double", limit=9, claimed_by="me", now=NOW)
    Carrier(engine, "me", lambda: NOW).carry(submitted.pk)

    assert now_of(submitted).phase == "lost"
    assert engine.get(submitted.name).phase is WorkflowPhase.FAILED


def test_a_deletion_under_way_is_not_disturbed(submitted, reconciler, engine):
    WorkflowRun.objects.filter(pk=submitted.pk).update(delete_requested_at=NOW)

    reconciler.look()

    assert f"stop {submitted.name}" not in engine.calls


def test_a_list_from_before_a_runs_end_does_not_stop_it(submitted, reconciler, engine, monkeypatch):
    before = engine.get(submitted.name)
    engine.set_phase(submitted.name, WorkflowPhase.SUCCEEDED)
    run_observe(run_id=submitted.pk, status=engine.get(submitted.name), now=NOW)
    monkeypatch.setattr(engine, "list", lambda: iter([before]))

    reconciler.look()

    assert now_of(submitted).stop_requested_at is None
    assert now_of(submitted).workflow_ended_at == NOW


def test_a_run_that_another_controller_deletes_holds_up_no_round(submitted, make_run, reconciler, engine, monkeypatch):
    listed = list(engine.list())

    def list_slowly():
        WorkflowRun.objects.all().delete()
        return iter(listed)

    monkeypatch.setattr(engine, "list", list_slowly)

    reconciler.look()

    assert not WorkflowRun.objects.exists()
