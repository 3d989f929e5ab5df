"""The log of a run as it is written, in turns: a follower needs no thread between two lines.

A follower of a run that is still queued first waits for its Workflow.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from django.conf import settings

from engines.base import EngineError, LogLine, LogTail
from runs.log_query import Chooser, LogQuery
from runs.logs import engine_of, log_lines
from runs.models import WorkflowRun
from web.errors import ServiceUnavailable
from web.turns import Turn, Turns
from web.wakeups import run_topic

logger = logging.getLogger(__name__)

Writer = Callable[[Iterator[LogLine]], Iterator[bytes]]

LOOK_SECONDS = 2.0
# A log with new lines is read again soon, a silent one less and less often.
_SOONEST_SECONDS, _LATEST_SECONDS = 0.05, 1.0
_TURN_BYTES = 256 * 1024
_TURN_LINES = 20_000


class _Places:
    """Counts the followers in this process, in all and at engines that need a thread for each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = {False: 0, True: 0}

    def take(self, by_thread: bool) -> None:
        """Take a place. Raises ServiceUnavailable if none is left."""
        with self._lock:
            is_full = sum(self._taken.values()) >= settings.LOG_FOLLOWERS
            if is_full or (by_thread and self._taken[True] >= settings.LOG_FOLLOWERS_BY_THREAD):
                raise ServiceUnavailable("Too many logs are being followed; try again later.")
            self._taken[by_thread] += 1

    def leave(self, by_thread: bool) -> None:
        """Give a place back."""
        with self._lock:
            self._taken[by_thread] -= 1


_places = _Places()


class FollowedLog(Turns):
    """The lines of a log that a query asks for: those already written, and new ones until the run ends.

    A limit on the number of lines applies to those already written.

    At its creation it raises EngineUnavailable, WorkflowNotFound if the engine no longer has the Workflow, NotFound if
    the engine is no longer configured, and ServiceUnavailable if too many logs are being followed.
    """

    def __init__(self, run: WorkflowRun, query: LogQuery, written: Writer) -> None:
        self._run, self._query, self._written = run, query, written
        self._chooser = Chooser(query)
        # The number of wanted lines that are skipped.
        self._surplus = 0
        self._tail: LogTail | None = None
        self._pause = _SOONEST_SECONDS
        if run.submitted_at is not None:
            engine_of(run).get(run.name)
        self._by_thread = run.engine not in settings.ENGINES or engine_of(run).tails_by_thread
        _places.take(self._by_thread)
        self._has_place = True

    @property
    def topic(self) -> str:
        return "" if self._tail is not None else run_topic(self._run.pk)

    def take(self) -> Turn:
        if self._tail is None and (turn := self._begun()) is not None:
            return turn
        assert self._tail is not None
        try:
            return self._lines(self._tail)
        except EngineError as error:
            # The answer breaks off, so that the reader knows that it is incomplete.
            logger.warning("The log of run %s broke off: %s", self._run.name, error)
            raise

    def close(self) -> None:
        if self._has_place:
            self._has_place = False
            _places.leave(self._by_thread)
        if self._tail is not None:
            self._tail.close()

    def _begun(self) -> Turn | None:
        """Open the log once the Workflow exists; return a turn if it does not exist yet or never will."""
        if self._run.submitted_at is None:
            known = WorkflowRun.objects.filter(pk=self._run.pk).first()
            if known is None or (known.submitted_at is None and known.is_terminal):
                return Turn()
            if known.submitted_at is None:
                return Turn(again_in=LOOK_SECONDS)
            self._run = known
        if self._query.tail is not None:
            there = sum(1 for _ in log_lines(self._run, self._query.of_all()))
            self._surplus = max(0, there - self._query.tail)
        self._tail = engine_of(self._run).tail(self._run.name, self._query.node_id)
        return None

    def _is_wanted(self, line: LogLine) -> bool:
        if not self._chooser.wants(line):
            return False
        if self._surplus:
            self._surplus -= 1
            return False
        return True

    def _lines(self, tail: LogTail) -> Turn:
        said, content = _Said(tail, self._is_wanted), bytearray()
        for piece in self._written(iter(said)):
            content += piece
            if len(content) >= _TURN_BYTES:
                return Turn(bytes(content), 0.0)
        if said.has_ended:
            return Turn(bytes(content))
        if said.goes_on:
            return Turn(bytes(content), 0.0)
        self._pause = _SOONEST_SECONDS if content else min(_LATEST_SECONDS, self._pause * 1.5)
        return Turn(bytes(content), self._pause)


class _Said:
    """The wanted lines up to the next None, or until enough lines were read for one turn."""

    def __init__(self, tail: LogTail, is_wanted: Callable[[LogLine], bool]) -> None:
        self._tail, self._is_wanted = tail, is_wanted
        self.has_ended, self.goes_on = True, False

    def __iter__(self) -> Iterator[LogLine]:
        for looked_at, line in enumerate(self._tail, 1):
            if line is None:
                self.has_ended = False
                return
            if self._is_wanted(line):
                yield line
            if looked_at >= _TURN_LINES:
                self.has_ended, self.goes_on = False, True
                return
