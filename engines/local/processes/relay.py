"""Relays: connections to a gateway inside a sandbox are joined to the real address outside.

Everything is non-blocking and driven by the supervisor's one epoll.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
from collections.abc import Callable
from functools import partial

_CHUNK_BYTES = 1 << 16
_CONNECT_TIMEOUT_MS = 10_000
_RESET = struct.pack("ii", 1, 0)

Handler = Callable[[int], None]


class Switchboard:
    """An epoll with a handler for each descriptor."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}

    def watch(self, descriptor: int, events: int, handler: Handler) -> None:
        """Call `handler` with the events of a descriptor from now on; 0 events stop that."""
        if descriptor in self._handlers:
            if events:
                self.epoll.modify(descriptor, events)
                self._handlers[descriptor] = handler
            else:
                self.epoll.unregister(descriptor)
                del self._handlers[descriptor]
        elif events:
            self.epoll.register(descriptor, events)
            self._handlers[descriptor] = handler

    def dispatch(self) -> None:
        """Serve what is ready, without waiting."""
        for descriptor, events in self.epoll.poll(0, 256):
            handler = self._handlers.get(descriptor)
            if handler is not None:
                handler(events)

    @property
    def closed(self) -> bool:
        return self.epoll.closed

    def close(self) -> None:
        """Remove all handlers."""
        self.epoll.close()
        self._handlers = {}


class _End:
    """One socket of a joint: its pending bytes, and whether it has sent its end."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.number = connection.fileno()
        self.pending = memoryview(b"")
        self.read_all = False
        self.told_end = False


class Joint:
    """Two connections joined: bytes, and the end of either direction, go from one to the other."""

    def __init__(self, board: Switchboard, inside: socket.socket, outside: socket.socket) -> None:
        self._board = board
        self._inside = _End(inside)
        self._outside = _End(outside)
        self._connected = False
        self.closed = False
        self.on_close: Callable[[Joint], None] = lambda _: None
        board.watch(self._outside.number, select.EPOLLOUT, self._on_connect)

    def _on_connect(self, _events: int) -> None:
        if self._outside.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.reset()
            return
        self._outside.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)
        self._connected = True
        self._rewatch()

    def _rewatch(self) -> None:
        for end, other, handler in (
            (self._inside, self._outside, self._on_inside),
            (self._outside, self._inside, self._on_outside),
        ):
            events = select.EPOLLOUT if end.pending else 0
            if not end.read_all and not other.pending:
                events |= select.EPOLLIN
            self._board.watch(end.number, events, handler)

    def _on_inside(self, events: int) -> None:
        self._move(self._inside, self._outside, events)

    def _on_outside(self, events: int) -> None:
        self._move(self._outside, self._inside, events)

    def _move(self, end: _End, other: _End, events: int) -> None:
        if self.closed:
            return
        try:
            if events & select.EPOLLOUT:
                self._flush(end, other)
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and not end.read_all and not other.pending:
                data = end.connection.recv(_CHUNK_BYTES)
                end.read_all = not data
                other.pending = memoryview(data)
                self._flush(other, end)
        except BlockingIOError:
            pass
        except OSError:
            self.reset()
            return
        if self._inside.told_end and self._outside.told_end:
            self.close()
        else:
            self._rewatch()

    @staticmethod
    def _flush(end: _End, source: _End) -> None:
        """Send pending bytes to `end`; after the last byte of `source`, shut it down."""
        if end.pending:
            with contextlib.suppress(BlockingIOError):
                end.pending = end.pending[end.connection.send(end.pending) :]
        if source.read_all and not end.pending and not end.told_end:
            end.told_end = True
            with contextlib.suppress(OSError):
                end.connection.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Reset both connections, so that neither side sees a regular end."""
        if self.closed:
            return
        for end in (self._inside, self._outside):
            with contextlib.suppress(OSError):
                end.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close()

    def close(self) -> None:
        """Close both connections."""
        if self.closed:
            return
        self.closed = True
        for end in (self._inside, self._outside):
            self._board.watch(end.number, 0, self._on_inside)
            end.connection.close()
        self.on_close(self)


class Exchange:
    """All gateways of one sandbox: its listening sockets and the joints they led to."""

    def __init__(self, board: Switchboard, most: int) -> None:
        self._board = board
        self._most = most
        self._doors: list[tuple[socket.socket, tuple[str, int] | None]] = []
        self._joints: set[Joint] = set()
        self._open = False

    def add(self, listener: socket.socket, address: tuple[str, int] | None) -> None:
        """Relay what `listener` accepts to `address`; None refuses all."""
        self._doors.append((listener, address))
        self._open_doors(True)

    def _open_doors(self, wanted: bool) -> None:
        self._open = wanted
        for listener, address in self._doors:
            events = select.EPOLLIN if wanted else 0
            self._board.watch(listener.fileno(), events, partial(self._accept, listener, address))

    def _accept(self, listener: socket.socket, address: tuple[str, int] | None, _events: int) -> None:
        while True:
            if len(self._joints) >= self._most:
                self._open_doors(False)
                return
            try:
                inside, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE) and self._joints:
                    self._open_doors(False)
                return
            inside.setblocking(False)
            self._join(inside, address)

    def _join(self, inside: socket.socket, address: tuple[str, int] | None) -> None:
        if address is None:
            inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            inside.close()
            return
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        try:
            outside = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError:
            inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            inside.close()
            return
        for one in (inside, outside):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        outside.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _CONNECT_TIMEOUT_MS)
        # An immediate refusal shows at the first event of the joint.
        outside.connect_ex(address)
        joint = Joint(self._board, inside, outside)
        joint.on_close = self._forget
        self._joints.add(joint)

    def _forget(self, joint: Joint) -> None:
        self._joints.discard(joint)
        if not self._open and self._doors:
            self._open_doors(True)

    def reset(self) -> None:
        """Reset all connections, also those not accepted yet; the listening sockets stay."""
        for joint in list(self._joints):
            joint.reset()
        for listener, _ in self._doors:
            while True:
                try:
                    inside, _ = listener.accept()
                except OSError:
                    break
                inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                inside.close()

    def close(self) -> None:
        """Reset all connections and close the listening sockets."""
        doors, self._doors = self._doors, []
        for joint in list(self._joints):
            joint.reset()
        for listener, _ in doors:
            if self._open:
                self._board.watch(listener.fileno(), 0, lambda _: None)
            listener.close()
