"""Long polls: requests that wait for something new. They are woken by wake-ups, and their number is limited."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from django.db import DatabaseError

from web.turns import Turn, Turns
from web.wakeups import Listener, notify_on_commit

logger = logging.getLogger(__name__)

# A wake-up may get lost, so waiting requests also look at this interval, in seconds.
_LOOK_SECONDS = 2.0
# The listener's thread stays for the next request: a long poll is followed by another one.
_LINGER_SECONDS = 5.0

_T = TypeVar("_T")


class LongPoll(Turns, Generic[_T]):
    """Looks in turns until it finds something or `seconds` have passed; `write` makes the answer.

    It looks once if the largest number of requests waits already.
    """

    def __init__(
        self, waiters: Waiters, look: Callable[[], _T | None], write: Callable[[_T | None], bytes], seconds: float
    ) -> None:
        self._waiters, self._look, self._write = waiters, look, write
        self._ends_at = time.monotonic() + seconds
        self._has_place = waiters.take_place()

    @property
    def topic(self) -> str:
        return self._waiters.topic

    def take(self) -> Turn:
        found = self._look()
        left = self._ends_at - time.monotonic()
        if found is not None or left <= 0 or not self._has_place:
            return Turn(self._write(found))
        return Turn(again_in=min(left, _LOOK_SECONDS))

    def close(self) -> None:
        if self._has_place:
            self._has_place = False
            self._waiters.leave_place()


class Waiters:
    """The requests of this process that wait for one topic; `limit` returns how many may wait.

    One thread listens for all, since a listener may hold a connection. It starts with the first waiting request and
    ends some time after the last.
    """

    def __init__(self, topic: str, limit: Callable[[], int]) -> None:
        self.topic = topic
        self.heard = 0
        self._limit = limit
        self._changed = threading.Condition()
        self._waiting = 0
        self._is_listening = False

    @property
    def listener_name(self) -> str:
        """The name of the thread that listens."""
        return f"{self.topic}-listener"

    def tell(self) -> None:
        """Wake the waiting requests of all processes, once the present transaction is committed."""
        notify_on_commit(self.topic)

    def wait_for(
        self, look: Callable[[], _T | None], seconds: float, wanted: Callable[[], bool] = lambda: True
    ) -> _T | None:
        """Return what `look` finds, called again after each wake-up; None after `seconds`, or once it is not `wanted`.

        If the largest number of requests waits already, it looks once and does not wait. It blocks its thread: for
        servers without turns (`web.turns`).
        """
        found = look()
        if found is not None or seconds <= 0:
            return found
        end = time.monotonic() + seconds
        with self.place() as is_given:
            while is_given and (left := end - time.monotonic()) > 0 and wanted():
                heard = self.heard
                found = look()
                if found is not None:
                    break
                self.wait(heard, min(left, _LOOK_SECONDS))
        return found

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Take a place for a waiting request; yields False if none is left."""
        is_given = self.take_place()
        try:
            if is_given:
                self._listen_for_all()
            yield is_given
        finally:
            if is_given:
                self.leave_place()

    def take_place(self) -> bool:
        """Take a place until `leave_place`; return whether one was left."""
        with self._changed:
            if self._waiting >= self._limit():
                return False
            self._waiting += 1
            return True

    def leave_place(self) -> None:
        """Give a place back."""
        with self._changed:
            self._waiting -= 1

    def _listen_for_all(self) -> None:
        with self._changed:
            if not self._is_listening:
                self._is_listening = True
                threading.Thread(target=self._listen, name=self.listener_name, daemon=True).start()

    def wait(self, heard: int, seconds: float) -> None:
        """Wait until there is a wake-up after `heard`."""
        with self._changed:
            self._changed.wait_for(lambda: self.heard != heard, seconds)

    def _listen(self) -> None:
        try:
            with Listener(self.topic) as listener:
                # Changes that came before the listener started.
                self._wake()
                last_needed = time.monotonic()
                while self._is_needed(last_needed):
                    if listener.wait(1.0):
                        self._wake()
                    if self._waiting:
                        last_needed = time.monotonic()
        except (DatabaseError, OSError):
            # Waiting requests still look at an interval; the next one starts another listener.
            logger.exception("The listener for wake-ups of %s failed", self.topic)
            with self._changed:
                self._is_listening = False

    def _is_needed(self, last_needed: float) -> bool:
        # Decided under the lock: a later request starts a new listener.
        with self._changed:
            self._is_listening = bool(self._waiting) or time.monotonic() - last_needed < _LINGER_SECONDS
            return self._is_listening

    def _wake(self) -> None:
        with self._changed:
            self.heard += 1
            self._changed.notify_all()
