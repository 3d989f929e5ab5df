"""Wake-ups between processes: a process that wrote rows wakes those that wait for them, so that they need not poll.

A wake-up carries no data: the receiver reads the rows. A wake-up may get lost (a full buffer, a process that is just
starting), so every waiter also looks again after a while.

With PostgreSQL a topic is a channel of LISTEN/NOTIFY. Otherwise all processes share a machine, and each listener is a
Unix datagram socket under DATA_DIR/wakeups whose file name starts with its topic.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import select
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from django.conf import settings
from django.db import DatabaseError, connection, transaction

logger = logging.getLogger(__name__)

WISHES = "wishes"

# sun_path has 108 bytes on Linux; a longer path is reached through an open folder.
_LONGEST_ADDRESS = 100
_AGAIN_SECONDS = 1.0
_numbers = itertools.count()


def run_topic(run_id: int) -> str:
    """Return the topic for changes of one run."""
    return f"run_{run_id}"


def notify(topic: str = WISHES) -> None:
    """Wake all listeners of a topic."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [_channel(topic)])
        return
    _notify_sockets(topic)


def notify_on_commit(topic: str = WISHES) -> None:
    """Wake all listeners of a topic once the present transaction is committed."""
    transaction.on_commit(partial(notify, topic), robust=True)


class Listener:
    """Waits for wake-ups of one topic; `poke` wakes it from another thread or a signal handler."""

    def __init__(self, topic: str = WISHES) -> None:
        self._poke_receiver, self._poke_sender = socket.socketpair()
        for end in (self._poke_receiver, self._poke_sender):
            end.setblocking(False)
        self._topic = topic
        self._source: _Source | None = _source(topic)

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait(self, timeout_seconds: float) -> bool:
        """Wait for a wake-up and return whether one came; wake-ups since the last call count.

        A broken connection to the database is opened anew; wake-ups in between are lost, so that counts as one.
        """
        if self._source is None and self._listen_again():
            return True
        sources: list[Any] = [self._poke_receiver, *([self._source] if self._source else [])]
        longest = timeout_seconds if self._source else min(timeout_seconds, _AGAIN_SECONDS)
        # Not select(): a process with many connections has descriptors above its limit of 1024.
        waiting = select.poll()
        for source in sources:
            waiting.register(source, select.POLLIN)
        ready = {descriptor for descriptor, _ in waiting.poll(max(0.0, longest) * 1000)}
        if self._poke_receiver.fileno() in ready:
            _drain(self._poke_receiver)
        if self._source and self._source.fileno() in ready:
            self._drain_source()
        return bool(ready)

    def fileno(self) -> int:
        """Return the descriptor that a wake-up makes readable, for an event loop; -1 if it is not listening now."""
        return self._source.fileno() if self._source else -1

    def drain(self) -> bool:
        """Take the present wake-ups without waiting; return whether it is still listening."""
        if self._source is None:
            return False
        try:
            self._source.drain()
        except DatabaseError:
            return False
        return True

    def _drain_source(self) -> None:
        try:
            if self._source:
                self._source.drain()
        except DatabaseError:
            logger.warning("The connection that waits for wake-ups broke; it is opened anew.", exc_info=True)
            if self._source:
                self._source.close()
            self._source = None
            self._listen_again()

    def _listen_again(self) -> bool:
        try:
            self._source = _source(self._topic)
        except DatabaseError:
            return False
        return True

    def poke(self) -> None:
        """Wake this listener."""
        with contextlib.suppress(BlockingIOError, OSError):
            self._poke_sender.send(b"1")

    def close(self) -> None:
        """Stop listening."""
        if self._source:
            self._source.close()
        self._poke_receiver.close()
        self._poke_sender.close()


class _Source(Protocol):
    def fileno(self) -> int: ...
    def drain(self) -> None: ...
    def close(self) -> None: ...


class _SocketSource:
    def __init__(self, topic: str) -> None:
        self._name = f"{topic}-{os.getpid()}-{next(_numbers)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        with _folder() as folder:
            # A process with the same id may have died here before.
            (folder / self._name).unlink(missing_ok=True)
            self._socket.bind(str(folder / self._name))

    def fileno(self) -> int:
        return self._socket.fileno()

    def drain(self) -> None:
        _drain(self._socket)

    def close(self) -> None:
        self._socket.close()
        with _folder() as folder:
            (folder / self._name).unlink(missing_ok=True)


class _PostgresSource:
    """A separate connection: a waiting connection cannot do anything else."""

    def __init__(self, topic: str) -> None:
        self._connection = connection.copy()
        # One thread creates a listener, another may wait and close it.
        self._connection.inc_thread_sharing()
        self._connection.ensure_connection()
        self._connection.set_autocommit(True)
        with self._connection.cursor() as cursor:
            cursor.execute(f"LISTEN {connection.ops.quote_name(_channel(topic))}")
        self._raw: Any = self._connection.connection

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def drain(self) -> None:
        with self._connection.wrap_database_errors:
            self._raw.poll()
        self._raw.notifies.clear()

    def close(self) -> None:
        self._connection.close()


def _source(topic: str) -> _Source:
    return _PostgresSource(topic) if connection.vendor == "postgresql" else _SocketSource(topic)


def _channel(topic: str) -> str:
    return f"orchestrator_{topic}"


def _drain(receiver: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while receiver.recv(64):
            pass


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Yield the folder of the sockets, by a path that is short enough for a socket's address."""
    folder = Path(settings.DATA_DIR) / "wakeups"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if len(os.fsencode(folder)) + 40 < _LONGEST_ADDRESS:
        yield folder
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _notify_sockets(topic: str) -> None:
    with _folder() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for path in folder.glob(f"{topic}-*"):
            try:
                sender.sendto(b"1", str(path))
            except BlockingIOError:
                continue  # Its buffer is full of unread wake-ups.
            except (ConnectionRefusedError, FileNotFoundError):
                path.unlink(missing_ok=True)  # Its process has died.
