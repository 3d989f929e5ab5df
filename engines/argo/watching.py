"""Follows Workflows: one list in pages, then one watch that goes on where it was interrupted.

A cursor is a resource version, or `list` while a first list is not complete: a caller that stops in the middle of it
begins again.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from engines.argo.client import Client, Refused
from engines.argo.options import Options
from engines.argo.paging import drained, pages
from engines.argo.workflows import is_preparing, selector, status_of
from engines.base import EngineUnavailable, WorkflowEvent, WorkflowStatus

logger = logging.getLogger(__name__)

LISTING = "list"
_GONE = 410
# How often a watch may bring nothing before that is an error.
_TRIES = 3
_PAUSE_SECONDS = 0.2
# A watch of this length was not ended at once.
_STEADY_SECONDS = 5.0


class _TooOld(Exception):
    """The API server no longer has the changes after a resource version."""


@dataclass
class _Place:
    """The position of a watch: after this version; `cursor` is the last one given to the caller."""

    version: str
    cursor: str


class _Known:
    """The last status given of each Workflow, without its nodes: a list must report those that are gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._statuses: dict[str, WorkflowStatus] = {}
        self._advanced: tuple[str, str] = ("", "")

    def note(self, event: WorkflowEvent) -> None:
        with self._lock:
            if event.deleted:
                self._statuses.pop(event.status.name, None)
            else:
                self._statuses[event.status.name] = replace(event.status, nodes={})

    def missing(self, present: set[str]) -> list[WorkflowStatus]:
        with self._lock:
            return [status for name, status in self._statuses.items() if name not in present]

    def advance(self, cursor: str, version: str) -> None:
        """Remember that nothing happened between a cursor and a later version."""
        with self._lock:
            self._advanced = (cursor, version)

    def furthest(self, cursor: str) -> str:
        with self._lock:
            return self._advanced[1] if cursor and self._advanced[0] == cursor else cursor


class Watch:
    """Follows the Workflows of one collection for one engine; remembers between calls what it has reported."""

    def __init__(self, client: Client, path: str, options: Options) -> None:
        self._client = client
        self._path = path
        self._options = options
        self._selector = selector(options)
        self._known = _Known()

    def events(self, since: str, timeout_seconds: float) -> Iterator[WorkflowEvent]:
        """Yield what changes after a cursor. Raises ValueError for a foreign cursor."""
        if since not in ("", LISTING) and not since.isdigit():
            raise ValueError(f"{since!r} is not a cursor of this engine")
        until = time.monotonic() + timeout_seconds
        place = _Place("" if since == LISTING else self._known.furthest(since), since)
        failures = relists = 0
        while relists <= _TRIES:
            before, began_at = place.version, time.monotonic()
            fault: EngineUnavailable | None = None
            try:
                if not place.version:
                    yield from self._listed(place)
                yield from self._changes(place, until)
            except _TooOld:
                logger.info("the API server no longer has the changes after %s; Workflows are listed again", before)
                place.version, relists = "", relists + 1
                continue
            except EngineUnavailable as error:
                if not place.version:
                    raise
                fault = error
            if time.monotonic() >= until:
                return
            # The position is known, so an interrupted watch is no error; a server that stays away is.
            is_steady = place.version != before or time.monotonic() - began_at > _STEADY_SECONDS
            failures = 1 if is_steady else failures + 1
            if failures > _TRIES:
                raise fault or EngineUnavailable("the API server ends each watch at once")
            time.sleep(_PAUSE_SECONDS * failures)
        raise EngineUnavailable("the API server's changes expire before they are read")

    def _listed(self, place: _Place) -> Iterator[WorkflowEvent]:
        """Yield existing Workflows, and those that are gone since; only the last event has a cursor to go on from."""
        present: dict[str, str] = {}
        version = ""
        held: WorkflowEvent | None = None
        for items, version in pages(self._client, self._path, self._options.page_size, labelSelector=self._selector):
            # Each is released at once: a page may be large.
            for workflow in drained(items):
                if is_preparing(workflow):
                    continue
                if held:
                    yield self._told(held, place)
                held = WorkflowEvent(status_of(workflow), cursor=LISTING)
                present[held.status.name] = version
        for status in self._known.missing({name for name, of in present.items() if of == version}):
            if held:
                yield self._told(held, place)
            held = WorkflowEvent(status, deleted=True, cursor=LISTING)
        if held:
            yield self._told(replace(held, cursor=version), place)
        place.version = version

    def _changes(self, place: _Place, until: float) -> Iterator[WorkflowEvent]:
        # Whole seconds, and not 0, which the API server would take as hours.
        seconds = max(1, math.ceil(until - time.monotonic()))
        query: dict[str, Any] = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "labelSelector": self._selector,
            "resourceVersion": place.version,
            "timeoutSeconds": seconds,
        }
        try:
            with self._client.lines(self._path, seconds + self._options.timeout_seconds, **query) as lines:
                for line in lines:
                    event = self._read(line, place)
                    if event:
                        yield self._told(event, place)
        except Refused as refused:
            if refused.status == _GONE:
                raise _TooOld from refused
            raise

    def _read(self, line: bytes, place: _Place) -> WorkflowEvent | None:
        try:
            change = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise EngineUnavailable("the watch of Workflows ended in the middle of a line") from error
        kind, found = change["type"], change["object"]
        if kind == "ERROR":
            refused = Refused(int(found.get("code") or 500), found)
            raise _TooOld if refused.status == _GONE else refused
        place.version = str(found["metadata"]["resourceVersion"])
        if kind == "BOOKMARK" or is_preparing(found):
            self._known.advance(place.cursor, place.version)
            return None
        return WorkflowEvent(status_of(found), deleted=kind == "DELETED", cursor=place.version)

    def _told(self, event: WorkflowEvent, place: _Place) -> WorkflowEvent:
        self._known.note(event)
        place.cursor = event.cursor
        return event
