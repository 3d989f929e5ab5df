"""Directories of a sandbox on the host: list and remove their content."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable

from engines.local import trees

# Path, mode, user and group; of all but directories also the inode and when it was last changed; of directories, in the
# last place, how many extended attributes they have, for access control lists are such.
Entry = tuple[str, int, int, int, int, int]

# The kernel's file times may lag behind its clock by one tick.
_SETTLED_NANOSECONDS = 30_000_000
# An unused view holds less.
_MOST_ENTRIES, _DEEPEST = 2000, 50


class TooMuch(Exception):
    """A directory holds more entries than are worth listing."""


def contents(directory: str, name: str) -> list[Entry]:
    """Return `name` and everything in it, paths from `directory`, sorted, no link followed. Raises `TooMuch`."""
    found: list[Entry] = []
    _list_into(found, f"{directory}/{name}", name)
    found.sort()
    return found


class Unchanged:
    """Finds quickly that some directories are unchanged, by the times of their last changes.

    A change is an entry made or removed, or another mode of the directory itself; changes in subdirectories do not
    count.
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
    if len(found) > _MOST_ENTRIES or prefix.count("/") > _DEEPEST:
        raise TooMuch
    status = os.lstat(directory)
    found.append((prefix, status.st_mode, status.st_uid, status.st_gid, 0, len(_attributes(directory))))
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _list_into(found, entry.path, f"{prefix}/{entry.name}")
            else:
                status = entry.stat(follow_symlinks=False)
                changed = status.st_ino, status.st_ctime_ns
                found.append((f"{prefix}/{entry.name}", status.st_mode, status.st_uid, status.st_gid, *changed))


def _attributes(directory: str) -> list[str]:
    try:
        return os.listxattr(directory, follow_symlinks=False)
    except OSError:
        # The file system has none.
        return []


def reset(directory: str, mode: int) -> None:
    """Remove the content of a directory and reset its own mode and attributes. Raises OSError."""
    clear(directory)
    for name in _attributes(directory):
        with contextlib.suppress(PermissionError):
            os.removexattr(directory, name, follow_symlinks=False)
    if os.stat(directory).st_mode & 0o7777 != mode:  # noqa: PTH116
        os.chmod(directory, mode)  # noqa: PTH101


def wipe(directory: str) -> None:
    """Delete a directory and all in it, also directories that deny their owner; nothing happens when it is missing."""
    trees.remove(directory)


def clear(directory: str, keep: frozenset[str] = frozenset()) -> None:
    """Delete all that is in a directory except the paths (relative to it, with a leading slash) in `keep`.

    A kept path is not a link. Raises FileNotFoundError.
    """
    found = trees.opened(directory)
    try:
        if os.fstat(found).st_mode & 0o700 != 0o700:
            os.fchmod(found, 0o700)
        names = os.listdir(found)  # noqa: PTH208 - pathlib is slow to import
    finally:
        os.close(found)
    for name in names:
        path = f"{directory}/{name}"
        if f"/{name}" not in keep:
            trees.remove(path)
        elif not os.path.islink(path) and os.path.isdir(path):  # noqa: PTH112, PTH114
            below = (inner.removeprefix(f"/{name}") for inner in keep if inner.startswith(f"/{name}/"))
            clear(path, frozenset(below))
