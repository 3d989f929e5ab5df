"""A watch of the engine's folder: woken by datagrams from supervisors, and polling from time to time."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time
import uuid
from collections.abc import Callable, Iterator

from engines.base import WorkflowEvent, WorkflowNotFound
from engines.local import layout
from engines.local.folder import Folder, Record, status_of

_SWEEP_SECONDS = 1.0
# Two processes that write at the same time may write their stamps in another order than their files.
_OVERLAP_NS = 2_000_000_000


class Cursor:
    """The position of a watch: the newest stamp seen, and the versions of changes stamped shortly before it."""

    def __init__(self, text: str = "") -> None:
        stamp, recent = json.loads(text) if text else (0, {})
        self.stamp = int(stamp)
        self.recent: dict[str, tuple[int, str]] = {name: (entry[0], entry[1]) for name, entry in recent.items()}

    def has_seen(self, record: Record, deleted: bool) -> bool:
        """Return whether this change was seen before."""
        if record["stamp"] <= self.stamp - _OVERLAP_NS:
            return True
        seen = self.recent.get(record["name"])
        return seen is not None and seen[1] == _mark(record, deleted)

    def take(self, record: Record, deleted: bool) -> str:
        """Add a change and return the cursor as text."""
        self.stamp = max(self.stamp, record["stamp"])
        self.recent[record["name"]] = (record["stamp"], _mark(record, deleted))
        oldest = self.stamp - _OVERLAP_NS
        self.recent = {name: entry for name, entry in self.recent.items() if entry[0] > oldest}
        return json.dumps([self.stamp, self.recent], separators=(",", ":"))


def _listener(directory: str, name: str) -> socket.socket:
    try:
        return layout.listen(directory, name)
    except OSError as error:
        if not layout.is_full(error):
            raise
        # Nothing can wake it; it polls.
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)


def _mark(record: Record, deleted: bool) -> str:
    return f"{record['uid']}:{'gone' if deleted else record['version']}"


class Watch:
    """One watch, from `since` on; `tend` is called at every poll."""

    def __init__(self, folder: Folder, since: str, tend: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._tend = tend
        self._resumed = bool(since)
        self._cursor = Cursor(since)
        self._seen: dict[str, str] = {}
        self._known: dict[str, Record] = {}
        self._all = True
        self._woken: set[str] = set()

    def events(self, timeout_seconds: float) -> Iterator[WorkflowEvent]:
        """Yield changes until the time-out."""
        until = time.monotonic() + timeout_seconds
        directory = str(self._folder.root / layout.WATCHERS)
        name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        with _listener(directory, name) as listener:
            try:
                swept = 0.0
                while True:
                    if self._all or time.monotonic() - swept >= _SWEEP_SECONDS:
                        swept = time.monotonic()
                        yield from self._sweep()
                    else:
                        yield from self._look_at(self._woken)
                    self._woken.clear()
                    left = until - time.monotonic()
                    if left <= 0:
                        return
                    self._wait(listener.fileno(), min(left, _SWEEP_SECONDS, self._until_due()))
                    self._hear(listener)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(directory, name))  # noqa: PTH108, PTH118

    @staticmethod
    def _wait(descriptor: int, seconds: float) -> None:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        poller.poll(max(seconds, 0) * 1000 + 1)

    def _hear(self, listener: object) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._woken.add(listener.recv(512).decode())  # type: ignore[attr-defined]

    def _until_due(self) -> float:
        return max(self._folder.next_due(list(self._known.values())) - time.time(), 0.0)

    def _sweep(self) -> Iterator[WorkflowEvent]:
        self._tend()
        first, self._all = self._all, False
        names = set(self._folder.names())
        for record in sorted(self._folder.gone_records(), key=lambda record: int(record["stamp"])):
            if record["name"] in self._known or (first and self._resumed):
                yield from self._event(record, deleted=True)
        yield from self._look_at(names | set(self._known))
        if self._folder.next_due(list(self._known.values())) <= time.time():
            self._woken.update(self._folder.remove_overdue(list(self._known.values())))
            yield from self._look_at(set(self._woken))

    def _look_at(self, names: set[str]) -> Iterator[WorkflowEvent]:
        for name in sorted(names):
            try:
                record = self._folder.record(name)
            except WorkflowNotFound:
                last = layout.read_json(str(self._folder.gone / f"{name}.json")) or self._known.get(name)
                if last is not None and name in self._known:
                    yield from self._event(last, deleted=True)
                continue
            yield from self._event(record, deleted=False)

    def _event(self, record: Record, *, deleted: bool) -> Iterator[WorkflowEvent]:
        name, mark = record["name"], _mark(record, deleted)
        if deleted:
            self._known.pop(name, None)
        else:
            self._known[name] = record
        if self._seen.get(name) == mark:
            return
        self._seen[name] = mark
        if self._resumed and self._cursor.has_seen(record, deleted):
            return
        cursor = self._cursor.take(record, deleted)
        yield WorkflowEvent(status_of(record), deleted=deleted, cursor=cursor)
