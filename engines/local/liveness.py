"""Whether a Workflow's supervisor lives: it holds a lock that it inherited from its starter.

The lock belongs to the open file description (`F_OFD_SETLK`): it is held from before the supervisor
starts until its last descriptor is gone, however it ends, and can be tested without being taken.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from engines.local import layout

_FLOCK = "hhqqi4x"
_STEP = 0.005


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True


@contextlib.contextmanager
def taken(directory: Path) -> Iterator[int | None]:
    """Take a Workflow's lock and return its descriptor, None when another process holds it."""
    descriptor = os.open(directory / layout.LOCK, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor if _try_lock(descriptor) else None
    finally:
        os.close(descriptor)


def is_alive(directory: Path) -> bool:
    """Return whether a Workflow's lock is held."""
    try:
        descriptor = os.open(directory / layout.LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
    finally:
        os.close(descriptor)
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


def has_begun(directory: Path) -> bool:
    """Return whether a supervisor has ever run for a Workflow."""
    return _pid(directory) is not None


def _pid(directory: Path) -> int | None:
    try:
        text = (directory / layout.LOCK).read_text().split()
    except FileNotFoundError:
        return None
    return int(text[-1]) if text else None


def wait_for_end(directory: Path, seconds: float) -> bool:
    """Wait until a Workflow's lock is free; return False after the time-out."""
    until = time.monotonic() + seconds
    while is_alive(directory):
        if time.monotonic() > until:
            return False
        time.sleep(_STEP)
    return True


def kill(directory: Path) -> None:
    """Kill a Workflow's supervisor; its pods die with it."""
    pid = _pid(directory)
    if pid is None:
        return
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # The pid may be reused by now; if the lock is still held, the pid is its holder's.
        if is_alive(directory):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
