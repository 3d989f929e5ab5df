"""Logs for readers without a thread: a thread per log waits for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

_Line = TypeVar("_Line")

# The most lines that wait for their reader; further lines wait at their source.
_MOST_LINES = 1000
_ASK_SECONDS = 0.5


class Pumped(Iterator[_Line | None]):
    """The items of a waiting iterator, and None where there is no new one.

    `following` gets a function that says whether lines are still wanted, and returns the iterator. Its errors are
    raised here.
    """

    def __init__(self, following: Callable[[Callable[[], bool]], Iterator[_Line]]) -> None:
        self._closed = threading.Event()
        self._lines: queue.Queue[_Line | BaseException] = queue.Queue(_MOST_LINES)
        source = following(lambda: not self._closed.is_set())
        threading.Thread(target=self._pump, args=(source,), name="log-tail", daemon=True).start()

    def __next__(self) -> _Line | None:
        try:
            line = self._lines.get_nowait()
        except queue.Empty:
            return None
        if isinstance(line, BaseException):
            raise line
        return line

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def _pump(self, source: Iterator[_Line]) -> None:
        try:
            for line in source:
                if not self._put(line):
                    return
        except Exception as error:  # the reader gets it
            self._put(error)
        else:
            self._put(StopIteration())

    def _put(self, line: _Line | BaseException) -> bool:
        while not self._closed.is_set():
            try:
                self._lines.put(line, timeout=_ASK_SECONDS)
            except queue.Full:
                continue
            return True
        return False
