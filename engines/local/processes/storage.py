"""Directories of a sandbox on the host: what lies in them, and taking them away again."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

# Path, mode, user and group; of all but directories also the inode and when it was last changed.
Entry = tuple[str, int, int, int, int, int]

# The kernel's file times may lag behind its clock by one tick.
_SETTLED_NANOSECONDS = 30_000_000


def contents(directory: str, name: str) -> list[Entry]:
    """Return `name` and everything in it, paths from `directory`, sorted, no link followed."""
    found: list[Entry] = []
    _list_into(found, f"{directory}/{name}", name)
    found.sort()
    return found


class Unchanged:
    """Tells quickly that nothing has changed in some directories, from the times of their last changes.

    A change is an entry made or removed, or another mode of the directory itself; what is below them doesn't count.
    """

    def __init__(self) -> None:
        self._stamps: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._stamps) and self._stamps == self._now(self._stamps)

    def note(self, directories: Iterable[str]) -> None:
        """Remember the directories as they are, if their times are old enough to show any later change."""
        stamps = self._now(directories)
        self._stamps = stamps if max(stamps.values()) < time.time_ns() - _SETTLED_NANOSECONDS else {}

    @staticmethod
    def _now(directories: Iterable[str]) -> dict[str, int]:
        return {directory: os.lstat(directory).st_ctime_ns for directory in directories}


def _list_into(found: list[Entry], directory: str, prefix: str) -> None:
    status = os.lstat(directory)
    found.append((prefix, status.st_mode, status.st_uid, status.st_gid, 0, 0))
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _list_into(found, entry.path, f"{prefix}/{entry.name}")
            else:
                status = entry.stat(follow_symlinks=False)
                changed = status.st_ino, status.st_ctime_ns
                found.append((f"{prefix}/{entry.name}", status.st_mode, status.st_uid, status.st_gid, *changed))


def wipe(directory: str) -> None:
    """Delete a directory and all in it, also directories that deny their owner; nothing happens when it is missing."""
    try:
        clear(directory)
    except FileNotFoundError:
        return
    os.rmdir(directory)  # noqa: PTH106


def clear(directory: str, keep: frozenset[str] = frozenset()) -> None:
    """Delete all that is in a directory but the paths (from it, with a leading slash) in `keep`.

    Its own mode stays unless it denied its owner. Raises FileNotFoundError.
    """
    _clear(directory, None, "", keep)


def _clear(name: str, parent: int | None, prefix: str, keep: frozenset[str]) -> None:
    # Names are looked up below descriptors and links refused, so a tree that changes meanwhile cannot lead elsewhere.
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        directory = os.open(name, flags, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)
        directory = os.open(name, flags, dir_fd=parent)
    try:
        if os.fstat(directory).st_mode & 0o700 != 0o700:
            os.fchmod(directory, 0o700)
        with os.scandir(directory) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for inner, is_directory in found:
            _remove(directory, inner, is_directory, f"{prefix}/{inner}", keep)
    finally:
        os.close(directory)


def _remove(directory: int, name: str, is_directory: bool, path: str, keep: frozenset[str]) -> None:
    if path in keep:
        if is_directory:
            _clear(name, directory, path, keep)
    elif not is_directory:
        os.unlink(name, dir_fd=directory)
    else:
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError:
            _clear(name, directory, path, keep)
            os.rmdir(name, dir_fd=directory)
