"""Compares an engine's Workflows with the rows, in both directions, and finds what the watch has missed."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime

from django.db import connections

from engines.base import Engine, EngineUnavailable, StopStrategy, WorkflowNotFound, WorkflowStatus
from runs.models import RunCause, WorkflowRun
from runs.selectors import runs_named, runs_open_at
from runs.services import is_running, run_observe, run_stray, run_vanish
from runs.transitions import is_older

logger = logging.getLogger(__name__)

RECONCILE_SECONDS = 30.0
# Without open runs, a list only serves to find Workflows without a row.
IDLE_ROUNDS = 10
PAUSE_SECONDS = 5.0
# Another controller may delete a run while this one looks at it.
_unless_deleted = contextlib.suppress(WorkflowRun.DoesNotExist)


class Reconciler:
    """Reconciles one engine."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock
        self._suspects: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._absent: set[str] = set()
        self._unowned: set[str] = set()

    def suspect(self, name: str) -> None:
        """Have a Workflow checked soon that seems to be gone or to have no row; may be called from any thread."""
        self._suspects.put(name)

    def run(self, stopping: threading.Event, every_seconds: float = RECONCILE_SECONDS) -> None:
        """Reconcile regularly until the controller stops; `suspect("")` wakes this up."""
        idle_rounds = IDLE_ROUNDS
        while not stopping.is_set():
            try:
                if idle_rounds >= IDLE_ROUNDS or runs_open_at(self._engine.alias):
                    self.look()
                    idle_rounds = 0
                idle_rounds += 1
                self._look_at_suspects(stopping, until=time.monotonic() + every_seconds)
            except EngineUnavailable as error:
                logger.warning(
                    "The Workflows of engine %s could not be compared with the database: %s", self._engine.alias, error
                )
                stopping.wait(min(every_seconds, PAUSE_SECONDS))
            except Exception:
                logger.exception(
                    "The Workflows of engine %s could not be compared with the database", self._engine.alias
                )
                connections.close_all()
                stopping.wait(min(every_seconds, PAUSE_SECONDS))
        connections.close_all()

    def _look_at_suspects(self, stopping: threading.Event, until: float) -> None:
        while not stopping.is_set() and (left := until - time.monotonic()) > 0:
            try:
                name = self._suspects.get(timeout=left)
            except queue.Empty:
                return
            if name:
                self.look_at(name)

    def look_at(self, name: str) -> None:
        """Check one Workflow that a watch has reported as gone, or that has no row."""
        run = WorkflowRun.objects.filter(name=name, engine=self._engine.alias).first()
        try:
            status = self._engine.get(name)
        except WorkflowNotFound:
            if run is not None:
                self._vanish(run)
            return
        if run is not None:
            with _unless_deleted:
                run_observe(run_id=run.pk, status=status, now=self._clock())
        elif status.name not in self._unowned:
            # A stopping Workflow also sends news; they must not cause the next, harder stop.
            self._stop_unowned(status)

    def look(self) -> None:
        """Compare everything once."""
        # The rows are read first: a Workflow that was submitted before the list began must be on the list.
        opened = {run.name: run for run in runs_open_at(self._engine.alias)}
        listed = {status.name: status for status in self._engine.list()}
        for name in listed.keys() & opened.keys():
            if not listed[name].version or listed[name].version != opened[name].workflow_version:
                with _unless_deleted:
                    run_observe(run_id=opened[name].pk, status=listed[name], now=self._clock())
        self._find_lost({name: run for name, run in opened.items() if name not in listed})
        self._find_strays([status for status in listed.values() if status.name not in opened and is_running(status)])
        self._unowned &= listed.keys()

    def _find_lost(self, missing: dict[str, WorkflowRun]) -> None:
        absent = {name for name, run in missing.items() if run.submitted_at}
        for name in absent & self._absent:
            self.look_at(name)
        self._absent = absent

    def _find_strays(self, statuses: list[WorkflowStatus]) -> None:
        rows = runs_named(self._engine.alias, [status.name for status in statuses])
        for status in statuses:
            run = rows.get(status.name)
            if run is None:
                self._stop_unowned(status)
            elif run.is_terminal and run.workflow_ended_at and _tells_of(run, status):
                logger.warning(
                    "Run %s has ended as %s but its Workflow still runs; the Workflow is stopped.", run.name, run.phase
                )
                with _unless_deleted:
                    run_stray(run_id=run.pk, now=self._clock())

    def _vanish(self, run: WorkflowRun) -> None:
        if not run.workflow_ended_at:
            logger.warning("The Workflow of run %s is gone from engine %s.", run.name, self._engine.alias)
        is_open = run.submitted_at is not None and run.workflow_ended_at is None
        last_known = self._engine.last_known(run.name, run.workflow_uid) if is_open else None
        with _unless_deleted:
            if last_known is not None and last_known.phase.is_terminal:
                run_observe(run_id=run.pk, status=last_known, cause=RunCause.RECONCILE, now=self._clock())
            run_vanish(run_id=run.pk, now=self._clock())

    def _stop_unowned(self, status: WorkflowStatus) -> None:
        if not is_running(status):
            return
        again = status.name in self._unowned
        self._unowned.add(status.name)
        logger.warning(
            "Workflow %s of engine %s belongs to no run; the Workflow is stopped.", status.name, self._engine.alias
        )
        try:
            self._engine.stop(status.name, StopStrategy.TERMINATE if again else StopStrategy.STOP)
        except WorkflowNotFound:
            logger.info("Workflow %s is already gone.", status.name)


def _tells_of(run: WorkflowRun, status: WorkflowStatus) -> bool:
    """Return whether a status belongs to a run's own Workflow and is newer than its end."""
    return status.digest in ("", run.manifest_digest) and not is_older(status.version, run.workflow_version)
