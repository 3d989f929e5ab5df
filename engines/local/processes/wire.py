"""Messages between the supervisor and the init processes of its sandboxes: JSON with descriptors, over a socket."""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any

_LENGTH_BYTES = 4
_MOST_DESCRIPTORS = 250
# As plain numbers: combining the enumeration's members is slow.
_CLOSE_ON_EXEC = int(socket.MSG_CMSG_CLOEXEC)
_DONT_WAIT = int(socket.MSG_DONTWAIT)
_READ_BYTES = 1 << 16
_FIXED = 3
_CONTROL_BYTES = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)


class Channel:
    """One end of the connection between the supervisor and an init process."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.ended = False
        # Whether descriptors may come; a message without them is cheaper to read.
        self.takes_descriptors = True
        self.descriptors: list[int] = []
        self._buffer = bytearray()

    def send(self, message: Sequence[Any], descriptors: Sequence[int] = ()) -> None:
        """Send one message. Raises OSError when the other side is gone."""
        body = json.dumps(message).encode()
        frame = len(body).to_bytes(_LENGTH_BYTES, "big") + body
        if descriptors:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
            frame = frame[self.connection.sendmsg([frame], rights) :]
        if frame:
            self.connection.sendall(frame)

    def receive(self, wait: bool = True) -> None:
        """Read what has arrived; descriptors are kept in `descriptors` in the order of their messages."""
        flags = _CLOSE_ON_EXEC if wait else _CLOSE_ON_EXEC | _DONT_WAIT
        try:
            data = self._read(flags)
        except BlockingIOError:
            return
        except ConnectionResetError:
            self.ended = True
            return
        self._buffer += data
        self.ended = not data

    def _read(self, flags: int) -> bytes:
        if not self.takes_descriptors:
            return self.connection.recv(_READ_BYTES, flags)
        data, controls, _, _ = self.connection.recvmsg(_READ_BYTES, _CONTROL_BYTES, flags)
        for level, kind, payload in controls:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
                self.descriptors.extend(received)
        return data

    def messages(self) -> Iterator[list[Any]]:
        """Yield the messages that have arrived whole."""
        while len(self._buffer) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH_BYTES:end])
            del self._buffer[:end]
            yield json.loads(body)

    def take_descriptors(self, count: int) -> list[int]:
        """Return the oldest `count` descriptors; they are the caller's to close."""
        taken, self.descriptors = self.descriptors[:count], self.descriptors[count:]
        return taken

    def close(self) -> None:
        """Close the connection and every descriptor that was not taken."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []
        self.connection.close()


def keep_only(connection: socket.socket, quiet: bool = False) -> Channel:
    """Close every descriptor of this forked process but the connection and, unless it is to be `quiet`, stderr."""
    os.dup2(connection.fileno(), _FIXED, inheritable=False)
    os.closerange(_FIXED + 1, max(map(int, os.listdir("/proc/self/fd"))) + 1)  # noqa: PTH208 - pathlib is slow to import
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2) if quiet else (0, 1):
        os.dup2(null, descriptor)
    os.close(null)
    return Channel(socket.socket(fileno=_FIXED))
