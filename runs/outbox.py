"""The outbox: which runs have a wish to carry, and who carries it.

A claim is a lease on a row. A controller renews those it works on, gives back what it did not finish, and takes over
those of a controller that died. Whatever is done under a claim may be done a second time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Min, Q, QuerySet

from runs.changes import run_changed
from runs.models import RunCause, RunPhase, WorkflowRun
from runs.transitions import Wish, backoff_seconds, due_wish

LEASE = timedelta(seconds=60)
_DEADLINES = ("deadline_at", "pending_deadline_at")


def claim(*, engine: str, limit: int, claimed_by: str, now: datetime) -> list[int]:
    """Claim runs of an engine whose wish is due, longest due first, and return their ids."""
    due = WorkflowRun.objects.filter(_free(now), engine=engine, next_try_at__lte=now)
    # The look without a lock keeps an idle controller from taking SQLite's only write lock.
    if limit <= 0 or not due.exists():
        return []
    with transaction.atomic():
        due = due.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        ids = list(due.order_by("next_try_at", "pk").values_list("pk", flat=True)[:limit])
        claimed = WorkflowRun.objects.filter(pk__in=ids)
        claimed.update(claimed_by=claimed_by, claimed_until=now + LEASE)
        # From here on the engine may know of it, whenever this process dies.
        claimed.filter(
            phase=RunPhase.QUEUED, handed_over_at=None, stop_requested_at=None, delete_requested_at=None
        ).update(handed_over_at=now)
    return ids


def give_back(*, claimed_by: str, run_id: int | None = None) -> None:
    """Let others claim a run, or all that a controller holds."""
    held = WorkflowRun.objects.filter(claimed_by=claimed_by)
    if run_id is not None:
        held = held.filter(pk=run_id)
    held.update(claimed_by="", claimed_until=None)


def renew(*, claimed_by: str, run_ids: Iterable[int], now: datetime) -> None:
    """Keep the claims on runs that are still being worked on."""
    WorkflowRun.objects.filter(claimed_by=claimed_by, pk__in=list(run_ids)).update(claimed_until=now + LEASE)


def holders() -> list[str]:
    """Return who holds claims."""
    return list(WorkflowRun.objects.filter(claimed_until__isnull=False).values_list("claimed_by", flat=True).distinct())


def postpone(*, run_id: int, wish: Wish, message: str, now: datetime) -> None:
    """Have a wish tried again later; the schedule is in the row, so that a restart neither hurries nor forgets it."""
    with run_changed(run_id, now) as change:
        run = change.run
        due = due_wish(run)
        if due is None or due.wish is not wish:
            return
        if run.tries == 0:
            change.record(RunCause.CONTROLLER, f"{wish.capitalize()} is tried again: {message}")
        run.next_try_at = now + timedelta(seconds=backoff_seconds(run.tries))
        run.tries += 1
        if run.phase == RunPhase.QUEUED:
            run.message = message


def next_wish_at(now: datetime) -> datetime | None:
    """Return when the next wish that nobody carries is due."""
    free = WorkflowRun.objects.filter(_free(now), next_try_at__isnull=False)
    moment: datetime | None = free.aggregate(at=Min("next_try_at"))["at"]
    return moment


def next_deadline_at() -> datetime | None:
    """Return when the next deadline passes."""
    moments = [_unended(**{f"{name}__isnull": False}).aggregate(at=Min(name))["at"] for name in _DEADLINES]
    return min((moment for moment in moments if moment), default=None)


def expired(now: datetime) -> list[int]:
    """Return the runs whose deadline has passed."""
    # One query for each deadline: an OR of both would read every row there ever was.
    late = {pk for name in _DEADLINES for pk in _unended(**{f"{name}__lte": now}).values_list("pk", flat=True)}
    return sorted(late)


def _free(now: datetime) -> Q:
    return Q(claimed_until=None) | Q(claimed_until__lte=now)


def _unended(**conditions: Any) -> QuerySet[WorkflowRun]:
    return WorkflowRun.objects.filter(finished_at=None, delete_requested_at=None, **conditions)
