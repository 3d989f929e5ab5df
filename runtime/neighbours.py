"""The containers beside this one in its pod: which of them have ended, and how.

Argo's executor writes it for all containers of a pod (cmd/argoexec/commands/emissary.go): below /var/run/argo/ctr each
has a folder of its name, once it has started, and in it `exitcode`, once it has ended. The names of all are in
/var/run/argo/template. The local engine writes one file (engines/local/container_ends.py). Where neither
exists, the ends are not known.
"""

import fcntl
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ARGO = Path("/var/run/argo")
LOCAL = Path("/var/run/orchestrator/containers.json")
# How long a program takes to exit after it has stopped listening.
EXIT_TIME = 0.5
LOOK_DELAY = 0.05

_KILLED = 137
_HINTS = {
    _KILLED: "the container was killed, usually because it used more memory than "
    "its version's limit in the model registry",
    126: "its command cannot be run",
    127: "its command is not in its image",
    64: "Argo's executor could not start it",
}


class Neighbours:
    """The ends of the other containers of the pod.

    An AI engine that was asked to end may exit with any code; the caller reports this with `asked_to_end`.
    """

    def __init__(self, folder: Path = ARGO, file: Path = LOCAL) -> None:
        self._folder, self._file = folder, file
        self._asked: set[str] = set()
        # AI engines that were asked to end and whose containers are not known yet.
        self._unidentified = 0

    @property
    def are_known(self) -> bool:
        """Return whether the ends of containers are known here."""
        return self._folder.is_dir() or self._file.is_file()

    def ended(self) -> dict[str, int]:
        """Return the exit codes of the containers that have ended, by name."""
        codes = self._told() | {folder.name: _exit_code(folder) for folder in self._folder.glob("ctr/*")}
        return {name: code for name, code in codes.items() if code is not None}

    def asked_to_end(self, before: Mapping[str, int]) -> None:
        """Note that an AI engine has ended on request; `before` are the containers that had ended before."""
        until = time.monotonic() + EXIT_TIME
        while not (new := set(self.ended()) - set(before) - self._asked) and time.monotonic() < until:
            if not self.are_known:
                return
            time.sleep(LOOK_DELAY)
        self._asked |= new
        self._unidentified += 0 if new else 1

    def death(self) -> str:
        """Return why the AI engine will not answer any more, '' where it still may.

        That is when a container has failed without a request to end, or when only this one is left.
        """
        ended = self.ended()
        failed = {name: code for name, code in ended.items() if code and name not in self._asked}
        if len(failed) > self._unidentified:
            return "; ".join(_said(name, code) for name, code in sorted(failed.items()))
        if ended and len(self._names() - set(ended)) <= 1:
            return "; ".join(_said(name, code) for name, code in sorted(ended.items()))
        return ""

    def _told(self) -> dict[str, int | None]:
        """Return the local engine's file: the exit code of each container, None for one that has not ended."""
        try:
            codes: Any = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        return {str(name): code for name, code in codes.items() if _is_code(code)} if isinstance(codes, dict) else {}

    def _names(self) -> set[str]:
        """Return the names of the pod's containers, also of those that haven't started."""
        names = {*self._told(), *(folder.name for folder in self._folder.glob("ctr/*"))}
        try:
            template: Any = json.loads((self._folder / "template").read_bytes())
            listed = [
                *((template.get("containerSet") or {}).get("containers") or []),
                *(template.get("sidecars") or []),
            ]
            return names | {str(container["name"]) for container in listed}
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            return names


def _is_code(code: object) -> bool:
    return code is None or (isinstance(code, int) and not isinstance(code, bool))


def _exit_code(folder: Path) -> int | None:
    """Return the exit code of a container, None while it runs, has not started, or the code is being written."""
    try:
        return int((folder / "exitcode").read_text(encoding="ascii"))
    except FileNotFoundError:
        return _KILLED if _is_killed(folder) else None
    except (OSError, ValueError):
        return None


def _is_killed(folder: Path) -> bool:
    """Return whether a started container was killed together with its executor, which then writes no exit code.

    The executor holds a lock while it lives (workflow/executor/osspecific/lock_unix.go).
    """
    if not (folder / "ready").exists():
        return False
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    # It releases the lock a moment before it writes the code.
    time.sleep(LOOK_DELAY)
    return not (folder / "exitcode").exists()


def _said(name: str, code: int) -> str:
    hint = f" ({_HINTS[code]})" if code in _HINTS else ""
    return f"container {name} ended with exit code {code}{hint}"
