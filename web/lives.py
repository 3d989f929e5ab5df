"""Which processes of this machine are alive: each process with unfinished work holds a lock on its own file.

The kernel releases the lock when the process ends, in whatever way, so others see at once that it has died and can
clean up what it left behind. The files are under DATA_DIR, one folder for each kind of process.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import socket
import uuid
from functools import lru_cache
from pathlib import Path

from django.conf import settings

REQUESTS = "requests"


class Life:
    """A name that no other process has, held until `close` or the end of the process."""

    def __init__(self, kind: str) -> None:
        self.name = f"{_host()}-{uuid.uuid4().hex[:12]}"
        self._path = _folder(kind) / self.name
        # The file is locked before others can see it; otherwise the process would look dead for a moment.
        unborn = self._path.with_name(f".{self.name}")
        self._descriptor = os.open(unborn, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        unborn.rename(self._path)

    def beat(self) -> None:
        """Update the file's time of change, to show that this process makes progress."""
        os.utime(self._descriptor)

    def close(self) -> None:
        """Give the name up."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def own_name() -> str:
    """Return the name under which this process serves requests."""
    return _own(os.getpid(), str(settings.DATA_DIR)).name


def is_dead(kind: str, name: str) -> bool:
    """Return whether the process of this name is known to have died, on this machine.

    A process that called `close`, or that runs on another machine, is not known to be dead.
    """
    return bool(name) and _lock_is_free(_folder(kind) / name)


def has_ended(kind: str, name: str) -> bool:
    """Return whether the process of this name is known to have ended on this machine, in whatever way."""
    return name.startswith(f"{_host()}-") and (not (_folder(kind) / name).exists() or is_dead(kind, name))


def dead(kind: str) -> list[str]:
    """Return the names of the processes of a kind that are known to have died."""
    return [path.name for path in _folder(kind).glob("[!.]*") if _lock_is_free(path)]


def is_any_alive(kind: str) -> bool:
    """Return whether a process of a kind is alive on this machine."""
    return any(not _lock_is_free(path) for path in _folder(kind).glob("[!.]*"))


def forget(kind: str, name: str) -> None:
    """Remove what a dead process left behind."""
    with contextlib.suppress(FileNotFoundError):
        (_folder(kind) / name).unlink()


@lru_cache(maxsize=4)
def _own(_pid: int, _data_dir: str) -> Life:
    # Cached by process id: a forked child is another process.
    life = Life(REQUESTS)
    atexit.register(life.close)
    return life


def _host() -> str:
    return socket.gethostname()[:40]


def _lock_is_free(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _folder(kind: str) -> Path:
    folder = Path(settings.DATA_DIR) / kind
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
