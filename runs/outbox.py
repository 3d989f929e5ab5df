"""The outbox: which runs have a wish to carry out, and which controller carries it out.

A claim is a lease on a row. A controller renews the claims it works on, gives back those it did not finish, and takes
over those of a controller that died. Everything done under a claim may be done a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Min, Q, QuerySet

from runs.changes import run_changed
from runs.models import RunCause, RunPhase, WorkflowRun
from runs.transitions import Wish, backoff_seconds, due_wish

LEASE = timedelta(seconds=60)
_DEADLINES = ("deadline_at", "pending_deadline_at")


@dataclass(frozen=True)
class Claimed:
    """A claimed run, and the first of its deadlines."""

    run_id: int
    deadline_at: datetime | None


@dataclass(frozen=True)
class Wishes:
    """The number of due wishes of each engine without a claim, and when the next one will be due."""

    due: Mapping[str, int]
    next_at: datetime | None


def wishes(now: datetime) -> Wishes:
    """Look for wishes without a claim, without the lock that would keep others from writing to SQLite."""
    free = WorkflowRun.objects.filter(_free(now), next_try_at__isnull=False).order_by()
    number, next_at = Count("pk", filter=Q(next_try_at__lte=now)), Min("next_try_at", filter=Q(next_try_at__gt=now))
    rows = list(free.values_list("engine").annotate(number=number, next_at=next_at))
    moments = (moment for _, _, moment in rows if moment)
    return Wishes({engine: due for engine, due, _ in rows if due}, min(moments, default=None))


def claim(*, engine: str, limit: int, claimed_by: str, now: datetime) -> list[Claimed]:
    """Claim runs of an engine whose wish is due, longest due first."""
    if limit <= 0:
        return []
    due = WorkflowRun.objects.filter(_free(now), engine=engine, next_try_at__lte=now)
    due = due.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
    needed = ("pk", "phase", "handed_over_at", "stop_requested_at", "delete_requested_at", *_DEADLINES)
    claim_of_it = {"claimed_by": claimed_by, "claimed_until": now + LEASE}
    with transaction.atomic():
        rows = list(due.order_by("next_try_at", "pk").values(*needed)[:limit])
        new = [row["pk"] for row in rows if _is_new(row)]
        known = [row["pk"] for row in rows if not _is_new(row)]
        if new:
            # From here on the engine may have the Workflow, whenever this process dies.
            WorkflowRun.objects.filter(pk__in=new).update(**claim_of_it, handed_over_at=now)
        if known:
            WorkflowRun.objects.filter(pk__in=known).update(**claim_of_it)
    return [Claimed(row["pk"], min(filter(None, map(row.get, _DEADLINES)), default=None)) for row in rows]


def _is_new(row: Mapping[str, Any]) -> bool:
    wished_otherwise = row["handed_over_at"] or row["stop_requested_at"] or row["delete_requested_at"]
    return row["phase"] == RunPhase.QUEUED and not wished_otherwise


def give_back(*, claimed_by: str, run_id: int | None = None) -> None:
    """Let others claim a run, or all that a controller holds."""
    held = WorkflowRun.objects.filter(claimed_by=claimed_by)
    if run_id is not None:
        held = held.filter(pk=run_id)
    held.update(claimed_by="", claimed_until=None)


def renew(*, claimed_by: str, run_ids: Iterable[int], now: datetime) -> None:
    """Renew the claims of a controller on runs that it is still working on, and give back its other claims.

    Other claims exist if the connection to the database broke before the controller learned of them or of an outcome.
    """
    held = WorkflowRun.objects.filter(claimed_by=claimed_by)
    working_on = list(run_ids)
    held.filter(pk__in=working_on).update(claimed_until=now + LEASE)
    held.exclude(pk__in=working_on).update(claimed_by="", claimed_until=None)


def holders() -> list[str]:
    """Return the names of the controllers that hold claims."""
    return list(WorkflowRun.objects.filter(claimed_until__isnull=False).values_list("claimed_by", flat=True).distinct())


def postpone(*, run_id: int, wish: Wish, message: str, now: datetime) -> None:
    """Have a wish tried again later; the schedule is in the row, so that a restart does not change it."""
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


def next_deadline_at() -> datetime | None:
    """Return when the next deadline passes."""
    moments = [_unended(**{f"{name}__isnull": False}).aggregate(at=Min(name))["at"] for name in _DEADLINES]
    return min((moment for moment in moments if moment), default=None)


def expired(now: datetime) -> list[int]:
    """Return the runs whose deadline has passed."""
    # One query for each deadline: an OR of both would read every row.
    late = {pk for name in _DEADLINES for pk in _unended(**{f"{name}__lte": now}).values_list("pk", flat=True)}
    return sorted(late)


def checkpoint() -> None:
    """Write SQLite's write-ahead log into the database, without locking out others; does nothing on PostgreSQL.

    Otherwise the commit that makes the log too long does it, and its caller waits for the disk.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            cursor.fetchall()


def _free(now: datetime) -> Q:
    return Q(claimed_until=None) | Q(claimed_until__lte=now)


def _unended(**conditions: Any) -> QuerySet[WorkflowRun]:
    return WorkflowRun.objects.filter(finished_at=None, delete_requested_at=None, **conditions)
