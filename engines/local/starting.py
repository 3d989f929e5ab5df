"""Starting processes that outlive the caller: supervisors, and the nursery that forks them faster."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from engines.local import nursery
from engines.local.options import PROJECT

_LOCK_DESCRIPTOR = 3
_NURSERY = "engines.local.nursery"
_KEEP_SECONDS = 20.0
# It first writes its pid: from then on a free lock means that it has died.
_SAY_WHO = f"os.write({_LOCK_DESCRIPTOR},b'%d\\n'%os.getpid());os.set_inheritable({_LOCK_DESCRIPTOR},False);"
_START = (
    "sys.path.insert(0,sys.argv[1]);sys.path.extend({libraries!r});import importlib;"
    "sys.exit(importlib.import_module(sys.argv[2]).main(sys.argv[3:]))"
)
# The packages for conditions and expressions; with all packages Python would start several times slower.
_PACKAGES = ("lark", "re2")


def spawn(module: str, arguments: list[str], log: Path, lock: int | None = None) -> int:
    """Start `module.main(arguments)` as a process of its own session, with a lock if one is given; return its pid."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions: list[tuple[Any, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
        (os.POSIX_SPAWN_OPEN, 2, str(log), flags, 0o644),
    ]
    program = "import os,sys;" + (_SAY_WHO if lock is not None else "") + _START.format(libraries=_libraries())
    if lock == _LOCK_DESCRIPTOR:
        os.set_inheritable(lock, True)
    elif lock is not None:
        actions.append((os.POSIX_SPAWN_DUP2, lock, _LOCK_DESCRIPTOR))
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", "-X", "utf8", "-c", program, str(PROJECT), module, *arguments],
        {"PATH": os.defpath},
        file_actions=actions,
        setsid=True,
    )


@functools.cache
def _libraries() -> list[str]:
    """Return the directories of the packages."""
    found = (importlib.util.find_spec(name) for name in _PACKAGES)
    return [*dict.fromkeys(str(Path(spec.origin).parent.parent) for spec in found if spec and spec.origin)]


class Reaper:
    """Reaps processes that this one started."""

    def __init__(self) -> None:
        self._children: list[int] = []
        self._lock = threading.Lock()

    def add(self, pid: int) -> None:
        """Add a child."""
        with self._lock:
            self._children.append(pid)

    def reap(self) -> None:
        """Reap the children that have ended."""
        with self._lock:
            left = []
            for pid in self._children:
                with contextlib.suppress(ChildProcessError):
                    if os.waitpid(pid, os.WNOHANG) == (0, 0):
                        left.append(pid)
            self._children = left


class NurseryKeeper:
    """Keeps a nursery of this same code running for an engine's folder."""

    def __init__(self, root: Path, reaper: Reaper) -> None:
        self._root = root
        self._reaper = reaper
        self.name = f"nursery-{_fingerprint()}"
        self._looked = 0.0
        self._lock = threading.Lock()

    def keep(self) -> None:
        """Start a nursery if none listens; checked from time to time."""
        with self._lock:
            if self._looked and time.monotonic() - self._looked < _KEEP_SECONDS:
                return
            self._looked = time.monotonic()
        if not nursery.is_there(str(self._root), self.name):
            self._reaper.add(spawn(_NURSERY, [str(self._root), self.name], self._root / "nursery.log"))

    def fork(self, workflow: str, lock: int) -> bool:
        """Have the nursery start a Workflow's supervisor; return whether it did."""
        return nursery.ask(str(self._root), self.name, workflow, lock) is not None


def _fingerprint() -> str:
    """Return a text that changes with the engine's code and with the Python version."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    stamps = [sys.executable, *(f"{path}:{path.stat().st_mtime_ns}" for path in files)]
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:16]
