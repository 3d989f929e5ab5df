from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction

from engines.base import WorkflowPhase
from runs import engines
from runs.models import RunEvent, RunPhase, RunReason, WorkflowRun
from runs.owners import RunOwner, register
from runs.selectors import run_latest, runs_of
from runs.services import (
    run_create,
    run_delete,
    run_expire,
    run_fail,
    run_observe,
    run_stop,
    run_stray,
    run_vanish,
)

pytestmark = pytest.mark.django_db
THEN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def handed_over(run):
    run.handed_over_at = THEN
    run.save()
    return run


def events(run):
    return [(e.cause, e.from_phase, e.to_phase) for e in RunEvent.objects.filter(run=run)]


def test_a_new_run_is_queued_with_its_document_and_deadlines(make_run):
    run = make_run(now=THEN, deadline_seconds=60, pending_deadline_seconds=5, config_maps={"c": {"k": "v"}})

    run = WorkflowRun.objects.get(pk=run.pk)
    assert (run.phase, run.engine, run.next_try_at) == ("queued", "double", THEN)
    assert run.manifest["kind"] == "Workflow"
    assert run.config_maps == {"c": {"k": "v"}}
    assert run.nodes == {}
    assert run.deadline_at == THEN + timedelta(seconds=60)
    assert run.pending_deadline_at == THEN + timedelta(seconds=5)
    assert events(run) == [("api", "", "queued")]


def test_a_run_for_an_unknown_engine_is_refused(make_run):
    with pytest.raises(ImproperlyConfigured, match="elsewhere"):
        make_run(engine="elsewhere")


@pytest.mark.parametrize(("host_network", "engine"), [(False, "argo"), (True, "argo-privileged")])
def test_a_run_goes_where_the_engine_of_new_runs_places_it(make_run, settings, host_network, engine):
    options = {"privileged_engine": "argo-privileged"}
    settings.ENGINES = {"argo": {"class": "engines.argo.ArgoEngine", "options": options}, "argo-privileged": {}}
    settings.ENGINE = "argo"
    engines.forget_engines()

    assert make_run(manifest={"spec": {"hostNetwork": host_network}}).engine == engine


def test_an_attempt_has_one_run(make_run):
    run = make_run()

    with pytest.raises(IntegrityError), transaction.atomic():
        make_run(owner_id=run.owner_id)
    make_run(owner_id=run.owner_id, attempt=2)


@pytest.mark.parametrize("values", [{"phase": "failed"}, {"phase": "running", "finished_at": THEN}, {"phase": "odd"}])
def test_the_database_refuses_a_row_that_contradicts_itself(make_run, values):
    run = make_run()

    with pytest.raises(IntegrityError), transaction.atomic():
        WorkflowRun.objects.filter(pk=run.pk).update(**values)


def test_a_run_follows_its_workflow(make_run, status_of, engine):
    run = make_run()

    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.PENDING))
    run_observe(run_id=run.pk, status=status_of(run, started_at="2026-01-01T12:00:01Z", progress="0/1"))
    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.SUCCEEDED, finished_at="2026-01-01T12:00:09Z"))

    run.refresh_from_db()
    assert (run.phase, run.reason, run.progress) == ("succeeded", "", "")
    assert run.started_at == THEN + timedelta(seconds=1)
    assert run.finished_at == THEN + timedelta(seconds=9)
    assert run.nodes["node-1"]["displayName"] == "main"
    assert [to for _, _, to in events(run)] == ["queued", "submitted", "running", "succeeded"]
    assert engine.calls == [f"phase:{phase} {run.name}" for phase in ("submitted", "running", "succeeded")]


def test_a_failure_says_what_the_engine_said(make_run, status_of):
    run = make_run()
    nodes = {
        "a": {"type": "Steps", "phase": "Failed", "message": "child 'b' failed", "displayName": "steps"},
        "b": {"type": "Pod", "phase": "Failed", "message": "Error (exit code 3)", "displayName": "train"},
    }

    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.FAILED, message="child 'b' failed", nodes=nodes))

    run.refresh_from_db()
    assert (run.phase, run.reason) == ("failed", "engine")
    assert run.message == "child 'b' failed (train: Error (exit code 3))"


def test_old_news_and_those_of_another_workflow_change_nothing(make_run, status_of):
    run = make_run()
    run_observe(run_id=run.pk, status=status_of(run, version="20", nodes={}))

    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.FAILED, version="19"))
    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.FAILED, version="21", digest="other"))
    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.FAILED, version="20"))

    assert WorkflowRun.objects.filter(pk=run.pk, phase="failed", workflow_version="20").exists()


def test_an_end_is_final_but_nodes_go_on(make_run, status_of, engine):
    run = make_run(now=THEN, deadline_seconds=1)
    run_observe(run_id=run.pk, status=status_of(run))
    run_expire(run_id=run.pk, now=THEN + timedelta(seconds=1))

    nodes = {"node-1": {"type": "Pod", "phase": "Succeeded"}}
    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.SUCCEEDED, nodes=nodes))

    run.refresh_from_db()
    assert (run.phase, run.reason) == ("failed", "deadline")
    assert run.nodes == nodes
    assert run.workflow_ended_at is not None
    assert engine.calls[-1] == f"phase:failed {run.name}"


def test_nodes_may_hold_what_a_database_may_not(make_run, status_of):
    run = make_run()

    run_observe(run_id=run.pk, status=status_of(run, message="a\0b", nodes={"n": {"message": "a\0b"}}))

    run.refresh_from_db()
    assert run.message == "a\ufffdb"
    assert run.nodes == {"n": {"message": "a\ufffdb"}}


def test_an_update_of_nodes_does_not_rewrite_the_manifest(make_run, status_of, django_assert_num_queries):
    run = make_run()
    run_observe(run_id=run.pk, status=status_of(run))
    status = status_of(run, progress="1/2")

    # Savepoint, lock, nodes, row, release.
    with django_assert_num_queries(5) as captured:
        run_observe(run_id=run.pk, status=status)

    assert not [q for q in captured.captured_queries if "rundocument" in q["sql"]]


def test_a_run_that_no_controller_took_stops_at_once(make_run, engine):
    run = make_run()

    run_stop(run_id=run.pk, now=THEN)

    run.refresh_from_db()
    assert (run.phase, run.reason) == ("stopped", "stopped")
    assert run.finished_at == run.workflow_ended_at == THEN
    assert engine.calls == [f"phase:stopped {run.name}"]


def test_a_run_that_a_controller_took_stops_when_its_workflow_does(make_run, status_of):
    run = handed_over(make_run())

    run_stop(run_id=run.pk, message="No longer needed.")
    assert WorkflowRun.objects.get(pk=run.pk).phase == "queued"
    run_observe(run_id=run.pk, status=status_of(run))
    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.FAILED, message="Stopped with strategy 'Stop'"))

    run.refresh_from_db()
    assert (run.phase, run.reason, run.message) == ("stopped", "stopped", "No longer needed.")


def test_a_workflow_that_succeeds_in_spite_of_the_stop_has_succeeded(make_run, status_of):
    run = handed_over(make_run())
    run_stop(run_id=run.pk)

    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.SUCCEEDED))

    assert WorkflowRun.objects.get(pk=run.pk).phase == RunPhase.SUCCEEDED


def test_stopping_what_has_ended_changes_nothing(make_run, status_of):
    run = make_run()
    run_observe(run_id=run.pk, status=status_of(run, WorkflowPhase.SUCCEEDED))

    assert run_stop(run_id=run.pk).stop_requested_at is None


def test_a_refused_run_fails_and_leaves_the_engine_alone(make_run):
    run = handed_over(make_run())

    run_fail(run_id=run.pk, message="/spec: odd")

    run.refresh_from_db()
    assert (run.phase, run.reason, run.message) == ("failed", "engine", "/spec: odd")
    assert run.handed_over_at is None


def test_a_deadline_fails_the_run_and_stops_its_workflow(make_run, status_of):
    run = make_run(now=THEN, deadline_seconds=60)
    run_observe(run_id=run.pk, status=status_of(run, message="working"))
    late = THEN + timedelta(seconds=60)

    run_expire(run_id=run.pk, now=late - timedelta(seconds=1))
    assert WorkflowRun.objects.get(pk=run.pk).phase == "running"
    run_expire(run_id=run.pk, now=late)

    run.refresh_from_db()
    assert (run.phase, run.reason) == ("failed", "deadline")
    assert run.message == "The run had not ended by its deadline, 2026-01-01 12:01:00 UTC. Last known: working"
    assert run.stop_requested_at == run.next_try_at == late


def test_a_pending_deadline_says_what_was_waited_for(make_run, status_of):
    run = make_run(now=THEN, pending_deadline_seconds=5)
    nodes = {"a": {"type": "Pod", "phase": "Pending", "displayName": "train", "message": "no node matches"}}
    # Argo calls a Workflow Running although its only pod cannot be scheduled.
    run_observe(run_id=run.pk, status=status_of(run, nodes=nodes))

    run_expire(run_id=run.pk, now=THEN + timedelta(seconds=5))

    run.refresh_from_db()
    assert (run.phase, run.reason) == ("failed", "deadline")
    assert (
        run.message == "No step of the run had started by 2026-01-01 12:00:05 UTC. Last known: train: no node matches"
    )


def test_what_has_started_has_met_its_pending_deadline(make_run, status_of):
    run = make_run(now=THEN, pending_deadline_seconds=5)
    run_observe(run_id=run.pk, status=status_of(run))

    run_expire(run_id=run.pk, now=THEN + timedelta(seconds=5))

    assert WorkflowRun.objects.get(pk=run.pk).phase == "running"


def test_a_vanished_workflow_makes_its_run_lost(make_run, status_of):
    run = make_run()
    run_observe(run_id=run.pk, status=status_of(run))

    run_vanish(run_id=run.pk)

    run.refresh_from_db()
    assert (run.phase, run.reason) == ("lost", "lost")
    assert "disappeared" in run.message
    assert events(run)[-1] == ("reconcile", "running", "lost")


def test_a_lost_run_says_what_was_last_known(make_run, status_of):
    run = make_run()
    nodes = {"a": {"type": "Pod", "phase": "Pending", "displayName": "train", "message": "no node matches"}}
    run_observe(run_id=run.pk, status=status_of(run, nodes=nodes, progress="1/2"))

    run_vanish(run_id=run.pk)

    known = "Last known: running, 1/2 nodes ended, train: no node matches"
    assert WorkflowRun.objects.get(pk=run.pk).message.endswith(known)


@pytest.mark.parametrize(("reported", "phase"), [(True, "succeeded"), (False, "failed"), (None, "lost")])
def test_a_vanished_workflow_ended_as_its_owner_knows(make_run, status_of, owner, reported, phase):
    run = make_run()
    run_observe(run_id=run.pk, status=status_of(run))
    owner.has_succeeded = lambda run: reported

    run_vanish(run_id=run.pk)

    assert WorkflowRun.objects.get(pk=run.pk).phase == phase


def test_what_was_never_submitted_cannot_vanish(make_run):
    run = handed_over(make_run())

    run_vanish(run_id=run.pk)

    assert WorkflowRun.objects.get(pk=run.pk).phase == "queued"


def test_a_vanished_workflow_that_should_stop_has_stopped(make_run):
    run = handed_over(make_run())
    run_stop(run_id=run.pk)

    run_vanish(run_id=run.pk)

    assert WorkflowRun.objects.get(pk=run.pk).reason == RunReason.STOPPED


def test_a_workflow_that_comes_back_after_its_run_ended_is_stopped(make_run, status_of):
    run = make_run()
    run_observe(run_id=run.pk, status=status_of(run))
    run_vanish(run_id=run.pk)

    run_stray(run_id=run.pk, now=THEN)

    run.refresh_from_db()
    assert run.phase == "lost"
    assert (run.next_try_at, run.stop_requested_at, run.workflow_ended_at) == (THEN, THEN, None)


def test_a_deletion_is_wished_for_every_attempt_and_tells_the_owner_nothing(make_run, status_of, engine):
    first = make_run()
    second = make_run(owner_id=first.owner_id, attempt=2)
    other = make_run()

    run_delete(owner_kind="test", owner_id=first.owner_id)
    run_observe(run_id=second.pk, status=status_of(second))

    wished = WorkflowRun.objects.filter(delete_requested_at__isnull=False)
    assert set(wished) == {first, second}
    assert other not in wished
    assert engine.calls == []


def test_the_latest_attempt_and_all_of_them_are_found(make_run):
    first = make_run()
    second = make_run(owner_id=first.owner_id, attempt=2)
    other = make_run()

    assert run_latest("test", first.owner_id) == second
    assert run_latest("other", first.owner_id) is None
    assert list(runs_of("test", [first.owner_id, other.owner_id])) == [first, second, other]


def test_a_failed_owner_leaves_the_run_as_it_was(make_run, status_of, owner, monkeypatch):
    run = make_run()

    def fail(_run):
        raise RuntimeError("no")

    monkeypatch.setattr(owner, "phase_changed", fail)
    with pytest.raises(RuntimeError):
        run_observe(run_id=run.pk, status=status_of(run))

    assert WorkflowRun.objects.get(pk=run.pk).phase == "queued"


def test_services_take_names_only(make_run):
    with pytest.raises(TypeError):
        run_create("test", 1)


class SilentOwner(RunOwner):
    """Has nothing to release."""


@pytest.mark.parametrize(
    ("phase", "keeps_logs", "over"),
    [
        (WorkflowPhase.SUCCEEDED, True, True),
        (WorkflowPhase.SUCCEEDED, False, False),
        (WorkflowPhase.FAILED, True, False),
    ],
)
def test_an_end_that_leaves_nothing_to_do_is_not_claimed_again(make_run, status_of, engine, phase, keeps_logs, over):
    engine.keeps_logs = keeps_logs
    run = make_run()
    register("test", SilentOwner())

    run = run_observe(run_id=run.pk, status=status_of(run, phase))

    assert (run.released_at is not None, run.next_try_at is None) == (over, over)
