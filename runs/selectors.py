"""Reads of runs that several places need."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Prefetch, QuerySet

from runs.models import RunEvent, WorkflowRun
from web.errors import NotFound


def run_latest(owner_kind: str, owner_id: int) -> WorkflowRun | None:
    """Return the last attempt of an owner, or None."""
    return WorkflowRun.objects.filter(owner_kind=owner_kind, owner_id=owner_id).order_by("-attempt").first()


def run_latest_locked(owner_kind: str, owner_id: int) -> WorkflowRun | None:
    """Return the last attempt of an owner, locked until the transaction ends, or None."""
    runs = WorkflowRun.objects.select_for_update().filter(owner_kind=owner_kind, owner_id=owner_id)
    return runs.order_by("-attempt").first()


def runs_of(owner_kind: str, owner_ids: Iterable[int]) -> QuerySet[WorkflowRun]:
    """Return the runs of several owners, each owner's first attempt first; large documents are not loaded."""
    runs = WorkflowRun.objects.filter(owner_kind=owner_kind, owner_id__in=list(owner_ids))
    return runs.order_by("owner_id", "attempt")


def run_named(name: str) -> WorkflowRun:
    """Return the run of a Workflow's name. Raises NotFound."""
    return _found(WorkflowRun.objects.all(), name)


def run_with_everything(name: str) -> WorkflowRun:
    """Return the run of a Workflow's name, with its nodes and events. Raises NotFound."""
    events = Prefetch("events", RunEvent.objects.order_by("id"))
    return _found(WorkflowRun.objects.select_related("node_table").prefetch_related(events), name)


def _found(runs: QuerySet[WorkflowRun], name: str) -> WorkflowRun:
    run = runs.filter(name=name).first() if "\0" not in name else None
    if run is None:
        raise NotFound("There is no run with this name.")
    return run


def runs_open_at(engine: str) -> list[WorkflowRun]:
    """Return the runs that an engine may be working on, by their rows."""
    return list(
        WorkflowRun.objects.filter(
            engine=engine, handed_over_at__isnull=False, workflow_ended_at=None, delete_requested_at=None
        )
    )


def runs_named(engine: str, names: Iterable[str]) -> dict[str, WorkflowRun]:
    """Return an engine's runs of these names, by name."""
    found: dict[str, WorkflowRun] = {}
    waiting = list(names)
    # SQLite takes only so many parameters in a query.
    for start in range(0, len(waiting), 500):
        part = waiting[start : start + 500]
        found.update({run.name: run for run in WorkflowRun.objects.filter(engine=engine, name__in=part)})
    return found
