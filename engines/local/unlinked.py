"""Open files without a name, which no walk through a folder finds.

Imported by the supervisor: it must load fast.
"""

# ruff: noqa: PTH116, PTH208

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterator

from engines.local.trees import Identity

_TMPFS = 0x01021994
_STATFS_BYTES = 256
_BLOCK = 512

_libc = ctypes.CDLL(None, use_errno=True)


def unlinked(seen: set[Identity], device: int) -> Iterator[int]:
    """Yield the bytes of unnamed files that descendants of this process hold open, a process at a time.

    Files in memory count only where the engine's folder itself is in memory.
    """
    for pid in _descendants(os.getpid()):
        total = 0
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for number in descriptors:
            try:
                found = os.stat(f"/proc/{pid}/fd/{number}")
            except OSError:
                continue
            identity = (found.st_dev, found.st_ino)
            if found.st_nlink or not stat.S_ISREG(found.st_mode) or not found.st_blocks or identity in seen:
                continue
            if found.st_dev == device or not _is_in_memory(f"/proc/{pid}/fd/{number}"):
                seen.add(identity)
                total += found.st_blocks * _BLOCK
        yield total


def _is_in_memory(path: str) -> bool:
    room = ctypes.create_string_buffer(_STATFS_BYTES)
    if _libc.statfs(os.fsencode(path), room) != 0:
        return False
    # The first member of struct statfs is the type, a long.
    return ctypes.c_long.from_buffer(room).value == _TMPFS


def _descendants(pid: int) -> list[int]:
    """Return the descendants of a process."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            file = os.open(f"/proc/{name}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            # pid (any name) state ppid …
            children.setdefault(int(os.read(file, 4096).rpartition(b")")[2].split()[1]), []).append(int(name))
        except (OSError, ValueError, IndexError):
            pass
        finally:
            os.close(file)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        more = children.get(waiting.pop(), [])
        found += more
        waiting += more
    return found
