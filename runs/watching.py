"""Writes the engines' news into the rows: one thread watches each engine, one thread writes.

News that change a run's phase are written at once. News of nodes only are held back, longer for more nodes, and only
the last of them is written: otherwise a fan-out of a thousand steps would rewrite a thousand nodes several thousand
times.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connections

from engines.base import Engine, EngineUnavailable, WorkflowEvent, WorkflowPhase, WorkflowStatus
from runs.engines import get_engine
from runs.last_words import soon_known_last_words
from runs.models import TERMINAL_PHASES, RunPhase, WorkflowRun
from runs.services import run_observe
from runs.transitions import backoff_seconds

logger = logging.getLogger(__name__)

WATCH_SECONDS = 60.0
# The pause between two tries while the engine cannot be watched; its news are not seen in that time.
LONGEST_PAUSE_SECONDS = 5.0
Key = tuple[str, str]


@dataclass(frozen=True)
class News:
    engine: str
    status: WorkflowStatus
    deleted: bool = False
    failures: int = 0
    not_before: float = 0.0

    @property
    def key(self) -> Key:
        return self.engine, self.status.name


@dataclass(frozen=True)
class _Written:
    phase: WorkflowPhase
    at: float


def holding_seconds(nodes: int) -> float:
    """Return the shortest time between two writes of a Workflow's nodes, in seconds."""
    return 0.2 + nodes / 1000


class Inbox:
    """The last news of each Workflow that have not been written yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: dict[Key, News] = {}
        self._written: dict[Key, _Written] = {}
        self._closed = False

    def put(self, news: News) -> None:
        """Add news; older news of the same Workflow are dropped."""
        with self._changed:
            self._waiting[news.key] = news
            self._changed.notify()

    def put_back(self, news: News) -> None:
        """Add news again that could not be written, unless there are newer ones."""
        delay = backoff_seconds(news.failures)
        with self._changed:
            again = News(news.engine, news.status, news.deleted, news.failures + 1, self._clock() + delay)
            self._waiting.setdefault(news.key, again)
            self._written.pop(news.key, None)

    def take(self, timeout_seconds: float | None = None) -> list[News]:
        """Return the news to be written now; wait if there are none yet.

        Returns nothing after the time-out, or once the inbox is closed and empty.
        """
        end = None if timeout_seconds is None else self._clock() + timeout_seconds
        with self._changed:
            while True:
                now = self._clock()
                ready = [news for news in self._waiting.values() if self._closed or self._due(news) <= now]
                if ready or self._closed or (end is not None and end <= now):
                    for news in ready:
                        self._take_out(news, now)
                    return ready
                moments = [self._due(news) for news in self._waiting.values()]
                if end is not None:
                    moments.append(end)
                self._changed.wait(min(moments) - now if moments else None)

    def close(self) -> None:
        """Let `take` return the remaining news, and never wait again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _due(self, news: News) -> float:
        written = self._written.get(news.key)
        if written is None or news.deleted or news.status.phase is not written.phase:
            return news.not_before
        return max(news.not_before, written.at + holding_seconds(len(news.status.nodes)))

    def _take_out(self, news: News, now: float) -> None:
        del self._waiting[news.key]
        if news.deleted or news.status.phase.is_terminal:
            self._written.pop(news.key, None)
        else:
            self._written[news.key] = _Written(news.status.phase, now)


class Watcher:
    """Watches one engine, again and again."""

    def __init__(self, engine: Engine, inbox: Inbox, stopping: threading.Event) -> None:
        self._engine = engine
        self._inbox = inbox
        self._stopping = stopping
        self._cursor = ""
        self._failures = 0

    def run(self) -> None:
        """Watch until the controller stops."""
        while not self._stopping.is_set():
            try:
                self.watch_once()
                self._failures = 0
            except EngineUnavailable as error:
                # The watch goes on where it broke: the current state lacks Workflows that ended and were deleted since.
                if not self._failures:
                    logger.warning("The watch of engine %s broke: %s", self._engine.alias, error)
                self._failures += 1
            except Exception:
                logger.exception("The watch of engine %s failed", self._engine.alias)
                # The cursor may be the cause of the failure; missed news are mostly in the current state.
                self._cursor = ""
                self._failures += 1
            if self._failures:
                self._stopping.wait(min(LONGEST_PAUSE_SECONDS, backoff_seconds(self._failures)))

    def watch_once(self, timeout_seconds: float = WATCH_SECONDS) -> None:
        """Pass on the engine's news until its watch ends."""
        for event in self._engine.watch(self._cursor, timeout_seconds):
            self._cursor = event.cursor or self._cursor
            # After a watch that brought news, the next failure begins with a short pause again.
            self._failures = 0
            self._inbox.put(_news(self._engine, event))
            if self._stopping.is_set():
                return


def _news(engine: Engine, event: WorkflowEvent) -> News:
    return News(engine.alias, event.status, event.deleted)


class Observer:
    """Writes news into the rows; `suspect` finds out what a Workflow's deletion means."""

    def __init__(self, inbox: Inbox, suspect: Callable[[str, str], None]) -> None:
        self._inbox = inbox
        self._suspect = suspect

    def run(self) -> None:
        """Write until the inbox is closed."""
        while ready := self._inbox.take():
            for news in ready:
                self._try(news)
        connections.close_all()

    def _try(self, news: News) -> None:
        try:
            self.write(news)
        except Exception:
            logger.exception("The news of engine %s on Workflow %s could not be stored", *news.key)
            connections.close_all()
            self._inbox.put_back(news)

    def write(self, news: News) -> None:
        """Write the news of one Workflow."""
        status = news.status
        known = WorkflowRun.objects.filter(name=status.name, engine=news.engine)
        run = known.values("pk", "phase", "workflow_version", "workflow_ended_at").first()
        if run is not None and not _is_known(run, status):
            # Another controller may have deleted it in the meantime.
            with contextlib.suppress(WorkflowRun.DoesNotExist):
                is_open = run["phase"] not in TERMINAL_PHASES and news.engine in settings.ENGINES
                words = soon_known_last_words(status, get_engine(news.engine)) if is_open else ""
                run_observe(run_id=run["pk"], status=status, last_words=words)
        if run is None or news.deleted:
            self._suspect(news.engine, status.name)


def _is_known(run: Mapping[str, Any], status: WorkflowStatus) -> bool:
    """Return whether a status is known already; avoids the lock when a watch begins with every Workflow."""
    same = bool(status.version) and status.version == run["workflow_version"] and run["phase"] != RunPhase.QUEUED
    return same and (run["workflow_ended_at"] is not None or not status.phase.is_terminal)
