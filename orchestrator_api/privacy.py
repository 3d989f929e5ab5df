"""Files of the service are readable for its own user only, also in a folder that existed before and was open.

Imports no Django: the smallest of the service's processes use it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

# The local engine sets the rights of its own folder, which pods of other users may partly read.
ENGINE_FOLDER = "engine"
_UMASK = 0o077
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def start_private() -> None:
    """Make new files of this process and its children accessible to its user only."""
    os.umask(_UMASK)


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter; an existing one of this user is closed to others."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A link is followed to its folder.
    close_to_others(folder.resolve())


def close_to_others(path: Path) -> bool:
    """Remove the rights of other users from a file or folder; return whether none are left. Links are left alone."""
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) or not status.st_mode & _OTHERS:
            return True
        path.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)
    except FileNotFoundError:
        return True  # it went while we looked
    except PermissionError:
        return False  # it belongs to another user, as the volume of a cluster's pod may
    return True


def keep_private(folder: Path, database: Path | None = None) -> list[Path]:
    """Close all of a data folder to others, and a SQLite database wherever it is; return the paths that belong to
    other users."""
    make_private_folder(folder)
    folder = folder.resolve()
    beside = [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")] if database else []
    return [path for path in (folder, *_inside(folder), *beside) if not close_to_others(path)]


def _inside(folder: Path, left_out: Collection[str] = (ENGINE_FOLDER,)) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)
        if Path(parent) == folder:
            folders[:] = [name for name in folders if name not in left_out]
