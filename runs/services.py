"""What can be done with a run.

    run = run_create(owner_kind="execution", owner_id=7, name="execution-7-1-a1b2c3", manifest=manifest)
    run_stop(run_id=run.pk)
    run_delete(owner_kind="execution", owner_id=7)

The first three write wishes, which a controller carries out at the engine; the others record the results. Each takes
`now` as the time; the default is the present.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from engines.base import Manifest, WorkflowPhase, WorkflowStatus, manifest_digest
from runs.changes import RunChange, run_changed
from runs.engines import get_engine
from runs.kept_logs import log_forgotten
from runs.last_words import with_last_words
from runs.models import RunCause, RunDocument, RunEvent, RunNodes, RunPhase, RunReason, WorkflowRun
from runs.nodes import failure_message, is_waiting, something_started, waited_for, waiting_message
from runs.owners import owner_of
from runs.tending import needs_tending
from runs.transitions import TEND_AFTER, Signal, due_wish, is_older, signal_of
from web.wakeups import notify_on_commit


@transaction.atomic
def run_create(
    *,
    owner_kind: str,
    owner_id: int,
    name: str,
    manifest: Manifest,
    config_maps: Mapping[str, Mapping[str, str]] | None = None,
    attempt: int = 1,
    engine: str | None = None,
    deadline_seconds: float | None = None,
    pending_deadline_seconds: float | None = None,
    now: datetime | None = None,
) -> WorkflowRun:
    """Queue a Workflow; a controller submits it once the caller's transaction is committed.

    Without an engine it goes to the engine for new runs, or to the one that this engine chooses.

    Raises ImproperlyConfigured for an engine that settings.ENGINES does not have.
    """
    alias = engine or get_engine(settings.ENGINE).placed(manifest)
    if alias not in settings.ENGINES:
        raise ImproperlyConfigured(f"The engine {alias!r} is not configured in ENGINES.")
    now = now or timezone.now()
    run = WorkflowRun(
        name=name,
        owner_kind=owner_kind,
        owner_id=owner_id,
        attempt=attempt,
        engine=alias,
        manifest_digest=manifest_digest(manifest),
        created_at=now,
        updated_at=now,
        deadline_at=_after(now, deadline_seconds),
        pending_deadline_at=_after(now, pending_deadline_seconds),
    )
    due = due_wish(run)
    run.next_try_at = due.due_at if due else None
    run.save(force_insert=True)
    RunDocument.objects.create(
        run=run, manifest=manifest, config_maps={k: dict(v) for k, v in (config_maps or {}).items()}
    )
    RunNodes.objects.create(run=run)
    RunEvent.objects.create(run=run, at=now, cause=RunCause.API, to_phase=RunPhase.QUEUED)
    notify_on_commit()
    return run


def run_stop(*, run_id: int, cause: str = RunCause.API, message: str = "", now: datetime | None = None) -> WorkflowRun:
    """Request that a run is stopped; its row is kept. Changes nothing if the run has ended."""
    with run_changed(run_id, now) as change:
        run = change.run
        if run.is_terminal or run.stop_requested_at:
            return run
        run.stop_requested_at = change.now
        run.message = message
        if run.handed_over_at is None:
            change.move(
                Signal.STOPPED,
                cause=RunCause(cause),
                reason=RunReason.STOPPED,
                message=message or "Stopped before it was submitted.",
            )
        else:
            change.record(RunCause(cause), message or "Stop requested.")
        return run


def run_wind_up(*, run_id: int, grace: timedelta, now: datetime | None = None) -> WorkflowRun:
    """Have a run's Workflow stopped after a grace period, because its execution has ended.

    Changes nothing if the Workflow has ended, or its end has been requested already.
    """
    with run_changed(run_id, now) as change:
        run = change.run
        if not (run.workflow_ended_at or run.is_terminal or run.stop_requested_at or run.wind_up_at):
            run.wind_up_at = change.now + grace
        return run


def run_tended(*, run_id: int, now: datetime | None = None) -> WorkflowRun:
    """Record that a run's failed steps have been handled."""
    with run_changed(run_id, now) as change:
        change.run.tend_at = None
        return change.run


def run_delete(*, owner_kind: str, owner_id: int, now: datetime | None = None) -> None:
    """Request the deletion of every run of an owner: first its Workflow, then its row."""
    with transaction.atomic():
        ids = WorkflowRun.objects.filter(owner_kind=owner_kind, owner_id=owner_id, delete_requested_at=None)
        for run_id in ids.order_by("pk").values_list("pk", flat=True):
            with run_changed(run_id, now) as change:
                change.run.delete_requested_at = change.now
                change.record(RunCause.API, "Deletion requested.")


def run_observe(
    *,
    run_id: int,
    status: WorkflowStatus,
    cause: str = RunCause.ENGINE,
    last_words: str = "",
    now: datetime | None = None,
) -> WorkflowRun:
    """Record the engine's status of a run's Workflow, and the last words of a failed container.

    A status that is older than the known one, or that belongs to another Workflow of this name, changes nothing.
    Nodes are updated even after the run has ended, since its Workflow may run for a while longer.
    """
    with run_changed(run_id, now) as change:
        run = change.run
        if not _is_news(run, status):
            return run
        run.workflow_uid = status.uid or run.workflow_uid
        # A status without a version is an end that the engine only remembers: its progress is not known.
        run.workflow_version = status.version or run.workflow_version
        run.progress = status.progress[:20] if status.version else run.progress
        run.handed_over_at = run.handed_over_at or change.now
        run.submitted_at = run.submitted_at or change.now
        run.started_at = run.started_at or _time(status.started_at)
        if something_started(status):
            run.pending_deadline_at = None
        run.waiting_since = (run.waiting_since or change.now) if is_waiting(status) else None
        run.tend_at = (run.tend_at or change.now + TEND_AFTER) if needs_tending(run, status) else None
        if status.phase.is_terminal:
            run.workflow_ended_at = run.workflow_ended_at or change.now
        waited = (
            waited_for(run.nodes, status.nodes) if status.phase in (WorkflowPhase.FAILED, WorkflowPhase.ERROR) else ""
        )
        if status.nodes:
            RunNodes.objects.filter(run=run).update(nodes=dict(status.nodes))
        _follow(change, status, RunCause(cause), waited, last_words)
        return run


def _is_news(run: WorkflowRun, status: WorkflowStatus) -> bool:
    if status.digest and status.digest != run.manifest_digest:
        return False
    if is_older(status.version, run.workflow_version):
        return False
    known = bool(status.version) and status.version == run.workflow_version
    return not known or run.phase == RunPhase.QUEUED or (status.phase.is_terminal and not run.workflow_ended_at)


def _follow(change: RunChange, status: WorkflowStatus, cause: RunCause, waited: str, last_words: str) -> None:
    run = change.run
    # The reason of a wait is kept until the run proceeds; the engine's own words come first.
    waiting = run.message if run.waiting_since and run.phase != RunPhase.QUEUED else ""
    signal = signal_of(status.phase, stop_requested=run.stop_requested_at is not None)
    message = status.message.replace("\0", "\ufffd")
    reason = RunReason.NONE
    if signal is Signal.FAILED:
        reason, message = RunReason.ENGINE, failure_message(status).replace("\0", "\ufffd")
        if waited and waited not in message:
            message = f"{message} (before that: {waited})"
        message = with_last_words(message, last_words)
    elif signal is Signal.STOPPED:
        reason, message = RunReason.STOPPED, run.message or message or "Stopped as requested."
    elif run.stop_requested_at:
        message = run.message
    change.move(signal, cause=cause, reason=reason, message=message, finished_at=_time(status.finished_at))
    if not run.is_terminal:
        run.message = message or waiting


def run_images_noted(*, run_id: int, images: Mapping[str, str], now: datetime | None = None) -> WorkflowRun:
    """Record the images of a run; a known digest is not replaced by an unknown one."""
    with run_changed(run_id, now) as change:
        known = change.run.images
        change.run.images = {**known, **{image: digest or known.get(image, "") for image, digest in images.items()}}
        return change.run


def run_fail(
    *, run_id: int, message: str, cause: str = RunCause.CONTROLLER, now: datetime | None = None
) -> WorkflowRun:
    """Fail a run that cannot be submitted; a Workflow of its name at the engine is not ours and is left alone."""
    with run_changed(run_id, now) as change:
        run = change.run
        if change.move(Signal.REJECTED, cause=RunCause(cause), reason=RunReason.ENGINE, message=message):
            run.handed_over_at = None
            run.workflow_ended_at = run.finished_at
        return run


def run_expire(*, run_id: int, now: datetime | None = None) -> WorkflowRun:
    """Fail a run whose deadline has passed, and request that its Workflow is stopped.

    The row decides: an end that was recorded before stays, and an end that the engine reports later changes nothing.
    """
    with run_changed(run_id, now) as change:
        run = change.run
        message = _expiry(run, change.now)
        if message and change.move(Signal.EXPIRED, cause=RunCause.DEADLINE, reason=RunReason.DEADLINE, message=message):
            run.stop_requested_at = run.stop_requested_at or change.now
        return run


def _expiry(run: WorkflowRun, now: datetime) -> str:
    if run.is_terminal or run.delete_requested_at:
        return ""
    known = run.message or waiting_message(run.nodes)
    known = f" Last known: {known}" if known else ""
    if run.deadline_at and run.deadline_at <= now:
        return f"The run had not ended by its deadline, {run.deadline_at:%Y-%m-%d %H:%M:%S} UTC.{known}"
    if run.pending_deadline_at and run.pending_deadline_at <= now:
        return f"No step of the run had started by {run.pending_deadline_at:%Y-%m-%d %H:%M:%S} UTC.{known}"
    return ""


def run_vanish(*, run_id: int, cause: str = RunCause.RECONCILE, now: datetime | None = None) -> WorkflowRun:
    """Record that the engine no longer has the submitted Workflow of a run."""
    with run_changed(run_id, now) as change:
        run = change.run
        if run.handed_over_at is None or run.workflow_ended_at or run.delete_requested_at:
            return run
        if run.stop_requested_at:
            change.move(
                Signal.STOPPED,
                cause=RunCause(cause),
                reason=RunReason.STOPPED,
                message=run.message or "Stopped as requested; its Workflow is gone.",
            )
        elif run.phase == RunPhase.QUEUED:
            return run
        else:
            _vanish(change, RunCause(cause))
        run.workflow_ended_at = change.now
        return run


def _vanish(change: RunChange, cause: RunCause) -> None:
    """End a run whose Workflow is gone: as lost, unless its owner knows the end; an ended Workflow may be deleted."""
    run = change.run
    gone = "The Workflow disappeared from the engine before its end was seen"
    succeeded = owner_of(run).has_succeeded(run)
    if succeeded:
        change.move(Signal.SUCCEEDED, cause=cause, message=f"{gone}; it had reported success.")
    elif succeeded is False:
        message = f"{gone}; it had reported a failure."
        change.move(Signal.FAILED, cause=cause, reason=RunReason.ENGINE, message=message)
    else:
        known = [run.phase, run.progress and f"{run.progress} nodes ended", run.message or waiting_message(run.nodes)]
        message = f"{gone}. Last known: {', '.join(filter(None, known))}"
        change.move(Signal.VANISHED, cause=cause, reason=RunReason.LOST, message=message)


def run_stray(*, run_id: int, now: datetime | None = None) -> WorkflowRun:
    """Request that the Workflow of an ended run is stopped, since the engine still runs it."""
    with run_changed(run_id, now) as change:
        run = change.run
        if run.is_terminal and (run.workflow_ended_at or not run.stop_requested_at):
            run.handed_over_at = run.handed_over_at or change.now
            run.stop_requested_at = change.now
            run.workflow_ended_at = run.stop_sent_at = run.terminate_sent_at = None
            change.record(RunCause.RECONCILE, "The run has ended but its Workflow still runs; the Workflow is stopped.")
        return run


def run_stop_sent(*, run_id: int, terminate: bool = False, now: datetime | None = None) -> WorkflowRun:
    """Record that the engine was told to stop a run's Workflow."""
    with run_changed(run_id, now) as change:
        change.run.stop_sent_at = change.run.stop_sent_at or change.now
        change.run.submitted_at = change.run.submitted_at or change.now
        if terminate:
            change.run.terminate_sent_at = change.now
        return change.run


def run_released(*, run_id: int, now: datetime | None = None) -> WorkflowRun:
    """Record that a run's owner has released what the run needed."""
    with run_changed(run_id, now) as change:
        change.run.released_at = change.now
        return change.run


def run_deleted(*, run_id: int) -> None:
    """Remove the row of a run whose Workflow is gone."""
    with transaction.atomic():
        # The run is locked before its related rows, as everywhere: another controller may be writing its nodes.
        locked = WorkflowRun.objects.select_for_update().filter(pk=run_id, delete_requested_at__isnull=False)
        if run := locked.first():
            log_forgotten(run_id)
            run.delete()


def is_running(status: WorkflowStatus) -> bool:
    """Return whether an engine still works, or may start to work, on a Workflow."""
    return status.phase in (WorkflowPhase.PENDING, WorkflowPhase.RUNNING)


def _after(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def _time(text: str | None) -> datetime | None:
    return parse_datetime(text) if text else None
