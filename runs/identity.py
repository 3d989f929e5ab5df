"""Who a controller is, and whether another one still lives.

Each controller holds a lock on a file under DATA_DIR/controllers. The kernel lets go of it when the process ends,
however it ends, so a controller on the same machine sees at once that another has died and takes its claims over. On
other machines the claims' lease has to run out.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import uuid
from pathlib import Path

from django.conf import settings


class Identity:
    """A name that no other controller has, held until `close` or the end of the process."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()[:40]}-{uuid.uuid4().hex[:12]}"
        self._path = _folder() / self.name
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def close(self) -> None:
        """Give the name up."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def is_dead(name: str) -> bool:
    """Return whether the controller of this name is known to have died, on this machine.

    One that closed in good order, or that lives on another machine, is not known to be dead.
    """
    path = _folder() / name
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


def forget(name: str) -> None:
    """Remove what a dead controller left behind."""
    with contextlib.suppress(FileNotFoundError):
        (_folder() / name).unlink()


def _folder() -> Path:
    folder = Path(settings.DATA_DIR) / "controllers"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
