"""One change of one run: lock the row, change its phase by the table, save it with its event, wake its readers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from runs.engines import get_engine
from runs.models import RunCause, RunEvent, RunPhase, RunReason, WorkflowRun
from runs.owners import owner_of, releases
from runs.transitions import Signal, due_wish, next_phase
from web.wakeups import notify_on_commit, run_topic


class RunChange:
    """A locked run, open for changes until the block that locked it ends."""

    def __init__(self, run: WorkflowRun, now: datetime) -> None:
        self.run = run
        self.now = now
        self.moved = False

    def move(
        self,
        signal: Signal,
        *,
        cause: RunCause,
        reason: RunReason = RunReason.NONE,
        message: str = "",
        finished_at: datetime | None = None,
    ) -> bool:
        """Apply a signal by the transition table; return whether the phase changed."""
        run = self.run
        phase = next_phase(run.phase, signal)
        if phase is None:
            return False
        self.record(cause, message, to_phase=phase)
        run.phase, run.reason, run.message = phase, reason, message
        if run.is_terminal:
            run.finished_at = finished_at or self.now
            if run.handed_over_at is None:
                run.workflow_ended_at = run.finished_at
        self.moved = True
        return True

    def record(self, cause: RunCause, message: str, to_phase: RunPhase | None = None) -> None:
        """Record an event and its cause."""
        RunEvent.objects.create(
            run=self.run,
            at=self.now,
            cause=cause,
            from_phase=self.run.phase,
            to_phase=to_phase or self.run.phase,
            message=message,
        )


@contextmanager
def run_changed(run_id: int, now: datetime | None = None) -> Iterator[RunChange]:
    """Lock a run for changes, in a transaction; save, schedule and announce them at the end of the block.

    Raises WorkflowRun.DoesNotExist.
    """
    with transaction.atomic():
        run = WorkflowRun.objects.select_for_update().get(pk=run_id)
        change = RunChange(run, now or timezone.now())
        before, wish_before = _values(run), due_wish(run)
        yield change
        if change.moved and _needs_nothing_more(run):
            run.released_at = change.now
        _reschedule(run, changed=due_wish(run) != wish_before)
        changed = [name for name, value in _values(run).items() if before[name] != value]
        if not changed:
            return
        run.updated_at = change.now
        run.save(update_fields=[*changed, "updated_at"])
        notify_on_commit(run_topic(run.pk))
        # The owner is gone once deletion is requested, so it is not told.
        if change.moved and not run.delete_requested_at:
            owner_of(run).phase_changed(run)


def _needs_nothing_more(run: WorkflowRun) -> bool:
    """Return whether nothing is left to do for a run: nothing to release, no log to keep, no failure to explain.

    Otherwise a controller would claim it only to record that.
    """
    if run.phase != RunPhase.SUCCEEDED or not run.workflow_ended_at or run.engine not in settings.ENGINES:
        return False
    return not releases(run) and get_engine(run.engine).keeps_logs


def _reschedule(run: WorkflowRun, *, changed: bool) -> None:
    # An unchanged wish keeps its backoff.
    if not changed:
        return
    due = due_wish(run)
    run.next_try_at = due.due_at if due else None
    run.tries = 0
    if due:
        notify_on_commit()


def _values(run: WorkflowRun) -> dict[str, Any]:
    return {field.attname: getattr(run, field.attname) for field in WorkflowRun._meta.concrete_fields}
