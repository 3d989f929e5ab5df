"""Requests that wait for a message: they are woken by new messages, and their number is limited."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from django.conf import settings
from django.db import DatabaseError

from web.turns import Turn, Turns
from web.wakeups import Listener, notify_on_commit

logger = logging.getLogger(__name__)

_TOPIC = "channels"
LISTENER_NAME = "channel-listener"
# A wake-up may get lost, so waiting requests also look at this interval, in seconds.
_LOOK_SECONDS = 2.0
# The listener's thread stays for the next request: a long poll is followed by another one.
_LINGER_SECONDS = 5.0

_T = TypeVar("_T")


def tell_of_messages() -> None:
    """Wake the requests that wait for messages, once the present transaction is committed."""
    notify_on_commit(_TOPIC)


def wait_for(look: Callable[[], _T | None], seconds: float, wanted: Callable[[], bool] = lambda: True) -> _T | None:
    """Return what `look` finds, called again after each wake-up; None after `seconds`, or once it is not `wanted`.

    If the largest number of requests waits already (settings.FEDERATED_WAITING_REQUESTS), it looks once and does not
    wait. It blocks its thread: for servers without turns (`web.turns`).
    """
    found = look()
    if found is not None or seconds <= 0:
        return found
    end = time.monotonic() + seconds
    with _waiters.place() as is_given:
        while is_given and (left := end - time.monotonic()) > 0 and wanted():
            heard = _waiters.heard
            found = look()
            if found is not None:
                break
            _waiters.wait(heard, min(left, _LOOK_SECONDS))
    return found


class LongPoll(Turns, Generic[_T]):
    """Looks in turns until it finds something or `seconds` have passed; `write` makes the answer.

    It looks once if the largest number of requests waits already.
    """

    def __init__(self, look: Callable[[], _T | None], write: Callable[[_T | None], bytes], seconds: float) -> None:
        self._look, self._write = look, write
        self._ends_at = time.monotonic() + seconds
        self._has_place = _waiters.take_place()

    @property
    def topic(self) -> str:
        return _TOPIC

    def take(self) -> Turn:
        found = self._look()
        left = self._ends_at - time.monotonic()
        if found is not None or left <= 0 or not self._has_place:
            return Turn(self._write(found))
        return Turn(again_in=min(left, _LOOK_SECONDS))

    def close(self) -> None:
        if self._has_place:
            self._has_place = False
            _waiters.leave_place()


class _Waiters:
    """The waiting requests of this process; one thread listens for all, since a listener may hold a connection.

    The thread starts with the first waiting request and ends some time after the last.
    """

    def __init__(self) -> None:
        self.heard = 0
        self._changed = threading.Condition()
        self._waiting = 0
        self._is_listening = False

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
            if self._waiting >= settings.FEDERATED_WAITING_REQUESTS:
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
                threading.Thread(target=self._listen, name=LISTENER_NAME, daemon=True).start()

    def wait(self, heard: int, seconds: float) -> None:
        """Wait until there is a wake-up after `heard`."""
        with self._changed:
            self._changed.wait_for(lambda: self.heard != heard, seconds)

    def _listen(self) -> None:
        try:
            with Listener(_TOPIC) as listener:
                # Messages that came before the listener started.
                self._tell()
                last_needed = time.monotonic()
                while self._is_needed(last_needed):
                    if listener.wait(1.0):
                        self._tell()
                    if self._waiting:
                        last_needed = time.monotonic()
        except (DatabaseError, OSError):
            # Waiting requests still look at an interval; the next one starts another listener.
            logger.exception("The listener for messages of channels failed")
            with self._changed:
                self._is_listening = False

    def _is_needed(self, last_needed: float) -> bool:
        # Decided under the lock: a later request starts a new listener.
        with self._changed:
            self._is_listening = bool(self._waiting) or time.monotonic() - last_needed < _LINGER_SECONDS
            return self._is_listening

    def _tell(self) -> None:
        with self._changed:
            self.heard += 1
            self._changed.notify_all()


_waiters = _Waiters()
