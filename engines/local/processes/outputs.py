"""Read a container's outputs inside its view and with its own rights, and send them to the supervisor.

The container's init process reads when no other process is left in the container, and sends descriptors. So a link
leads where it leads for the container, and only files that the container could read are read. Only files, directories
and links are sent; devices, pipes and sockets are skipped, as by tar.

Messages, each a JSON array: [kind, name, mode, target of a link], with the descriptor of a file; names are relative to
the path, "" is the path itself. The last one is ["end"] or ["failed", why].
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator

from engines.local.pods import OutputEntry, OutputUnreadable
from engines.local.processes.wire import Channel

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DEEPEST = 200
# The kernel's own files describe the process that reads them.
_KERNELS_OWN = ("/proc", "/sys/devices/system/cpu")
_PATIENCE_SECONDS = 60.0


class _Refused(Exception):
    """The content of a path is not sent."""


def send(connection: socket.socket, path: str) -> None:
    """Send the content of a path of this process's view, then close the connection."""
    channel = Channel(connection)
    try:
        try:
            _send_all(channel, path)
            channel.send(["end"])
        except _Refused as problem:
            channel.send(["failed", str(problem)])
        except FileNotFoundError:
            channel.send(["end"])
        except OSError as error:
            channel.send(["failed", f"{error.filename or path}: {error.strerror}"])
    except OSError:
        # The reader is gone.
        pass
    finally:
        channel.close()


def send_nothing(connection: socket.socket) -> None:
    """Send that a path does not exist, then close the connection."""
    channel = Channel(connection)
    with contextlib.suppress(OSError):
        channel.send(["end"])
    channel.close()


def _send_all(channel: Channel, path: str) -> None:
    devices = _kernels_devices()
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        if status.st_dev in devices:
            raise _Refused(f"{path} leads to the kernel's own files")
        if stat.S_ISREG(status.st_mode):
            channel.send(["file", "", status.st_mode & 0o777, ""], [descriptor])
        elif stat.S_ISDIR(status.st_mode):
            channel.send(["directory", "", status.st_mode & 0o777, ""])
            _send_below(channel, descriptor, path, devices)
        else:
            raise _Refused(f"{path} is neither a file nor a directory")
    finally:
        os.close(descriptor)


def _kernels_devices() -> set[int]:
    found = set()
    for path in _KERNELS_OWN:
        if os.path.exists(path):  # noqa: PTH110 - pathlib is slow to import
            found.add(os.stat(path).st_dev)  # noqa: PTH116
    return found


def _send_below(channel: Channel, directory: int, path: str, devices: set[int]) -> None:
    walk = _Walk(channel, path, devices)
    waiting = [(os.dup(directory), "")]
    try:
        while waiting:
            current, prefix = waiting.pop()
            try:
                if prefix.count("/") > _DEEPEST:
                    raise _Refused(f"{path}: more than {_DEEPEST} directories lie in each other")
                with os.scandir(current) as entries:
                    names = sorted(entry.name for entry in entries)
                for name in names:
                    found = walk.send_one(current, name, prefix)
                    if found is not None:
                        waiting.append((found, f"{prefix}{name}/"))
            finally:
                os.close(current)
    finally:
        for descriptor, _ in waiting:
            os.close(descriptor)


class _Walk:
    """Sends the content of directories below a path."""

    def __init__(self, channel: Channel, path: str, devices: set[int]) -> None:
        self._channel = channel
        self._path = path
        self._devices = devices

    def send_one(self, directory: int, name: str, prefix: str) -> int | None:
        """Send one entry; return a descriptor if it is a directory."""
        before = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISLNK(before.st_mode):
            self._channel.send(["link", f"{prefix}{name}", 0o777, os.readlink(name, dir_fd=directory)])
            return None
        if before.st_dev in self._devices or not (stat.S_ISREG(before.st_mode) or stat.S_ISDIR(before.st_mode)):
            return None
        try:
            descriptor = os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=directory)
        except OSError as error:
            raise _Refused(f"{self._path}/{prefix}{name}: {error.strerror}") from error
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self._channel.send(["directory", f"{prefix}{name}", status.st_mode & 0o777, ""])
            return descriptor
        try:
            if stat.S_ISREG(status.st_mode):
                self._channel.send(["file", f"{prefix}{name}", status.st_mode & 0o777, ""], [descriptor])
        finally:
            os.close(descriptor)
        return None


def receive(connection: socket.socket) -> Iterator[OutputEntry]:
    """Yield the entries that `send` sends. Raises OutputUnreadable."""
    connection.settimeout(_PATIENCE_SECONDS)
    channel = Channel(connection)
    try:
        while True:
            for message in channel.messages():
                if message[0] == "end":
                    return
                if message[0] == "failed":
                    raise OutputUnreadable(str(message[1]))
                kind, name, mode, target = message
                descriptor = channel.take_descriptors(1)[0] if kind == "file" else -1
                try:
                    yield OutputEntry(kind, name, int(mode), target, descriptor)
                finally:
                    if descriptor >= 0:
                        os.close(descriptor)
            if channel.ended:
                raise OutputUnreadable("the container's init process ended while its outputs were read")
            try:
                channel.receive()
            except TimeoutError as error:
                raise OutputUnreadable("the container's files could not be read in time") from error
    finally:
        channel.close()
