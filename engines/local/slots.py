"""Locks that the supervisors of all Workflows share: places for running pods, and mutexes.

A place is a lock on a file, held by an open descriptor, so that the kernel frees it with its holder. A process that
finds no free place takes a ticket: a datagram socket in the queue's folder, whose name has its time. A process that
frees a place wakes the oldest ticket; only the oldest may take. A place freed by a killed process wakes nobody:
waiters look again after `RETRY_SECONDS`.
"""

# ruff: noqa: PTH103, PTH118, PTH208

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time

RETRY_SECONDS = 1.0
_WAKE = b"!"


class Slots:
    """A number of places, as files in a folder."""

    def __init__(self, directory: str, count: int) -> None:
        self.directory = directory
        self.count = count
        self._ticket: socket.socket | None = None
        self._ticket_name = ""
        self._next = os.getpid() % max(count, 1)
        os.makedirs(os.path.join(directory, "queue"), exist_ok=True)
        self._queue = os.open(os.path.join(directory, "queue"), os.O_RDONLY | os.O_DIRECTORY)
        # The whole path of a socket may be longer than the 108 bytes that an address holds.
        self._address = f"/proc/self/fd/{self._queue}"

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a place may be free, -1 when not waiting."""
        return -1 if self._ticket is None else self._ticket.fileno()

    def take(self) -> int | None:
        """Return a place (a descriptor for `free`), or None and join the queue."""
        if self._ticket is not None:
            with contextlib.suppress(BlockingIOError):
                while self._ticket.recv(16):
                    pass
        if self._someone_before():
            self._stand_in_queue()
            return None
        place = self._try()
        if place is None:
            # Joining the queue first and trying again misses no place that is freed in between.
            self._stand_in_queue()
            place = None if self._someone_before() else self._try()
        if place is not None:
            self.leave_queue()
        return place

    def free(self, place: int) -> None:
        """Give a place back and wake the oldest ticket."""
        os.close(place)
        self._wake_first()

    def others_wait(self) -> bool:
        """Return whether another process waits in the queue."""
        return any(name != self._ticket_name for name in os.listdir(self._queue))

    def leave_queue(self) -> None:
        """Leave the queue."""
        if self._ticket is not None:
            self._ticket.close()
            self._ticket = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._ticket_name, dir_fd=self._queue)
            self._ticket_name = ""
            self._wake_first()

    def close(self) -> None:
        """Leave the queue and close the folder."""
        self.leave_queue()
        os.close(self._queue)

    def _try(self) -> int | None:
        for offset in range(self.count):
            index = (self._next + offset) % self.count
            path = os.path.join(self.directory, str(index))
            place = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(place)
                continue
            self._next = index + 1
            return place
        return None

    def _stand_in_queue(self) -> None:
        if self._ticket is not None:
            return
        name = f"{time.time_ns():020d}-{os.getpid()}"
        ticket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        ticket.bind(f"{self._address}/{name}")
        self._ticket, self._ticket_name = ticket, name

    def _someone_before(self) -> bool:
        for name in sorted(os.listdir(self._queue)):
            if name == self._ticket_name:
                return False
            if self._wake(name):
                return True
        return False

    def _wake_first(self) -> None:
        for name in sorted(os.listdir(self._queue)):
            if self._wake(name):
                return

    def _wake(self, name: str) -> bool:
        """Wake one ticket; a ticket whose process is gone is removed."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            try:
                sender.sendto(_WAKE, f"{self._address}/{name}")
            except BlockingIOError:
                return True
            except (ConnectionRefusedError, FileNotFoundError):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=self._queue)
                return False
        return True
