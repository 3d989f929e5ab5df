"""Why runs wait or failed: engines and owners are asked, and the answer is written into the run's message."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import connections
from django.db.models import QuerySet

from engines.base import Engine, EngineUnavailable
from runs.changes import RunChange, run_changed
from runs.last_words import last_words, with_last_words
from runs.models import Node, RunCause, RunPhase, RunReason, WorkflowRun
from runs.nodes import waiting_message
from runs.owners import owner_of

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
# The pauses between two questions about the same run; the first is also the pause before the first question.
FIRST_PAUSE_SECONDS = 3.0
LONGEST_PAUSE_SECONDS = 30.0
AT_A_TIME = 20
MAX_MESSAGE = 2000


def run_waiting_explained(*, run_id: int, message: str, before: str = "", now: datetime | None = None) -> None:
    """Record why a run waits, with an event if that differs from the last explanation, `before`.

    An empty message removes the last explanation. A run that no longer waits is not changed.
    """
    with run_changed(run_id, now) as change:
        if change.run.waiting_since:
            _explained(change, message, before)


def run_stranded_explained(*, run_id: int, message: str, before: str = "", now: datetime | None = None) -> None:
    """Record that a cluster node of a run that does not wait is lost, as `run_waiting_explained` does."""
    with run_changed(run_id, now) as change:
        if not change.run.waiting_since:
            _explained(change, message, before)


def _explained(change: RunChange, message: str, before: str) -> None:
    run = change.run
    message, before = storable(message), storable(before)
    if run.is_terminal or run.stop_requested_at or run.message == message:
        return
    if not message and run.message != before:
        return
    run.message = message
    if message and message != before:
        change.record(RunCause.ENGINE, message)


def run_end_explained(
    *, run_id: int, explanation: str, is_said_last: bool = False, now: datetime | None = None
) -> None:
    """Add an explanation from the engine, or a container's last line of log, to a failed run's message; tell its owner.

    The end is recorded at once, in the engine's own words; the explanation follows as a separate event.
    """
    with run_changed(run_id, now) as change:
        run = change.run
        explanation = storable(explanation)
        if not _may_be_explained(run) or not explanation or explanation in run.message:
            return
        amended = with_last_words(run.message, explanation) if is_said_last else f"{run.message} ({explanation})"
        before, run.message = run.message, amended
        change.record(RunCause.ENGINE, explanation)
        if not run.delete_requested_at:
            owner_of(run).message_amended(run, before)


def explain_end(run: WorkflowRun, engine: Engine, now: datetime) -> None:
    """Ask once why a run failed, if more may be known than the engine's status. Raises EngineUnavailable."""
    if not _may_be_explained(run):
        return
    if explanation := engine.explain(run.name):
        run_end_explained(run_id=run.pk, explanation=explanation, now=now)
    if words := last_words(run.nodes, run.name, engine, run.message):
        run_end_explained(run_id=run.pk, explanation=words, is_said_last=True, now=now)


def _may_be_explained(run: WorkflowRun) -> bool:
    failed = run.phase == RunPhase.FAILED and run.reason == RunReason.ENGINE
    return run.handed_over_at is not None and (failed or run.phase == RunPhase.LOST)


def storable(text: str) -> str:
    """Return a text as a column may hold it: bounded, and without NUL, which PostgreSQL refuses."""
    return text.strip().replace("\0", "\ufffd")[:MAX_MESSAGE]


class _Asked:
    """What is kept of one run between two questions."""

    def __init__(self, next_at: datetime) -> None:
        self.next_at = next_at
        self.times = 0
        self.told = ""


class Explainer:
    """Asks one engine about the runs that cannot go on, in its own thread, so that nothing else waits for the answers.

    Its memory is not stored: another controller, or the next one, asks anew.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock
        self._asked: dict[int, _Asked] = {}
        # The messages of runs on lost cluster nodes, and when to look for such runs again.
        self._stranded: dict[int, str] = {}
        self._strands_at: datetime | None = None

    def run(self, stopping: threading.Event) -> None:
        """Ask until the controller stops."""
        while not stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except EngineUnavailable as error:
                logger.info("Engine %s does not tell why runs wait: %s", self._engine.alias, error)
            except Exception:
                logger.exception("Engine %s: the reasons why runs wait could not be stored", self._engine.alias)
                connections.close_all()
        connections.close_all()

    def look(self) -> None:
        """Ask about the runs that are due, a limited number at a time. Raises EngineUnavailable."""
        now = self._clock()
        waiting = dict(_waiting_at(self._engine.alias))
        self._asked = {pk: asked for pk, asked in self._asked.items() if pk in waiting}
        for pk, since in waiting.items():
            self._asked.setdefault(pk, _Asked(since + timedelta(seconds=FIRST_PAUSE_SECONDS)))
        due = sorted((pk for pk, asked in self._asked.items() if asked.next_at <= now), key=self._next_at)
        for pk in due[:AT_A_TIME]:
            asked = self._asked[pk]
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(asked.times, 10))
            asked.next_at, asked.times = now + timedelta(seconds=pause), asked.times + 1
            self._ask(pk, asked)
        if self._strands_at is None or self._strands_at <= now:
            self._strands_at = now + timedelta(seconds=LONGEST_PAUSE_SECONDS)
            self._look_for_stranded()

    def _look_for_stranded(self) -> None:
        """Explain runs whose cluster nodes are lost: to their engine these runs still seem to run."""
        unready = Node.objects.filter(engine=self._engine.alias, ready=False).values_list("name", flat=True)
        found = self._engine.stranded(list(unready)) if unready else {}
        going = _live_at(self._engine.alias).filter(waiting_since=None, name__in=found).values_list("pk", "name")
        told = {pk: found[name] for pk, name in going}
        for pk in {*self._stranded, *told}:
            message, before = told.get(pk, ""), self._stranded.get(pk, "")
            with suppress(WorkflowRun.DoesNotExist):  # it was deleted since
                run_stranded_explained(run_id=pk, message=message, before=before, now=self._clock())
        self._stranded = told

    def _next_at(self, pk: int) -> datetime:
        return self._asked[pk].next_at

    def _ask(self, pk: int, asked: _Asked) -> None:
        run = WorkflowRun.objects.select_related("node_table").filter(pk=pk).first()
        if run is None:
            return
        parts = [owner_of(run).waits_for(run), waiting_message(run.nodes), self._engine.explain(run.name)]
        said: list[str] = []
        for part in filter(None, parts):
            if not any(part in other for other in said):
                said = [other for other in said if other not in part] + [part]
        message = " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in said)
        if message != asked.told or message != run.message:
            with suppress(WorkflowRun.DoesNotExist):  # it was deleted while the engine was asked
                run_waiting_explained(run_id=pk, message=message, before=asked.told, now=self._clock())
            asked.told = message


def _live_at(engine: str) -> QuerySet[WorkflowRun]:
    return WorkflowRun.objects.filter(engine=engine, finished_at=None, stop_requested_at=None, delete_requested_at=None)


def _waiting_at(engine: str) -> list[tuple[int, datetime]]:
    waiting = _live_at(engine).filter(waiting_since__isnull=False)
    return list(waiting.values_list("pk", "waiting_since"))  # type: ignore[arg-type]
