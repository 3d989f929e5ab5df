"""Trees of files that pods have made: measure and remove them.

Pods make directories of any depth, deny access to their owner, and move them. Names are looked up below
descriptors and links refused, so a tree that changes meanwhile leads nowhere else. Imported by the supervisor.
"""

# ruff: noqa: PTH101, PTH106, PTH108

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

# The size of the smallest file on most file systems; an empty one takes an inode and a directory entry.
ENTRY_BYTES = 4096
DEEPEST = 200
_LIFTED_AT = 48
_PIECE = 256
_BLOCK = 512
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Identity = tuple[int, int]


class TooDeep(Exception):
    """A tree has more levels than can be walked."""


def opened(name: str, parent: int | None = None) -> int:
    """Open a directory for reading, also one that denies its owner. Raises OSError for anything else."""
    try:
        return os.open(name, _FLAGS, dir_fd=parent)
    except PermissionError:
        path = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{path}", 0o700)
        finally:
            os.close(path)
        return os.open(name, _FLAGS, dir_fd=parent)


def measured(path: str, seen: set[Identity], least: int = ENTRY_BYTES) -> Iterator[int]:
    """Yield, a piece at a time, the disk space of a tree; inodes in `seen` count as 0.

    Each file and directory counts at least `least` bytes.

    The caller may do other work between two pieces. Entries that are gone are skipped. Raises `TooDeep`.
    """
    try:
        top = opened(path)
    except OSError:
        return
    found = os.fstat(top)
    waiting: list[tuple[int, list[str]]] = []
    try:
        if (found.st_dev, found.st_ino) in seen:
            os.close(top)
            return
        waiting.append((top, _names(top)))
        total = _size(found, least)
        count = 0
        while waiting:
            directory, names = waiting[-1]
            if not names:
                waiting.pop()
                os.close(directory)
                continue
            name = names.pop()
            try:
                entry = os.stat(name, dir_fd=directory, follow_symlinks=False)
                identity = (entry.st_dev, entry.st_ino)
                if identity in seen:
                    continue
                if stat.S_ISDIR(entry.st_mode):
                    if len(waiting) >= DEEPEST:
                        raise TooDeep
                    inner = opened(name, directory)
                    waiting.append((inner, []))
                    waiting[-1][1].extend(_names(inner))
                elif entry.st_nlink > 1:
                    seen.add(identity)
            except OSError:
                continue
            total += _size(entry, least)
            count += 1
            if count % _PIECE == 0:
                yield total
                total = 0
        yield total
    finally:
        for directory, _ in waiting:
            os.close(directory)


def _names(directory: int) -> list[str]:
    return os.listdir(directory)


def _size(found: os.stat_result, least: int) -> int:
    return max(found.st_blocks * _BLOCK, least)


def remove(path: str) -> None:
    """Remove a tree, however deep; nothing happens when it is missing. Raises OSError when something stays.

    It needs no free disk space.
    """
    try:
        top = opened(path)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(path)
        return
    try:
        # Entries that are too deep are moved to the top, and found there the next time.
        while _empty(top, top, 0):
            pass
    finally:
        os.close(top)
    os.rmdir(path)


def _empty(directory: int, top: int, depth: int) -> bool:
    """Remove the content of a directory; return whether an entry was moved up."""
    mode = os.fstat(directory).st_mode
    if mode & 0o700 != 0o700:
        os.fchmod(directory, 0o700)
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    lifted = False
    for name, is_directory in found:
        # A dying process may remove it as well.
        with contextlib.suppress(FileNotFoundError):
            if not is_directory:
                os.unlink(name, dir_fd=directory)
                continue
            try:
                os.rmdir(name, dir_fd=directory)
            except OSError:
                if depth < _LIFTED_AT:
                    lifted |= _remove_inner(name, directory, top, depth + 1)
                else:
                    # A directory can be moved only where it is writable itself.
                    inner = opened(name, directory)
                    os.fchmod(inner, 0o700)
                    os.close(inner)
                    os.rename(name, f".{os.urandom(12).hex()}", src_dir_fd=directory, dst_dir_fd=top)
                    lifted = True
    return lifted


def _remove_inner(name: str, directory: int, top: int, depth: int) -> bool:
    inner = opened(name, directory)
    try:
        lifted = _empty(inner, top, depth)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=directory)
    return lifted


def remove_quietly(path: str) -> None:
    """Remove a tree as far as possible."""
    with contextlib.suppress(OSError):
        remove(path)
