"""The containers beside this one in its pod: which have ended, and how.

Argo's executor tells it to all containers of a pod (cmd/argoexec/commands/emissary.go): below /var/run/argo/ctr each
has a folder of its name, once it has started, and in it `exitcode`, once it has ended. The names of all stand in
/var/run/argo/template. The local engine tells the same by one file (engines/local/container_ends.py). Where neither is
there, nothing is known.
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
    _KILLED: "it was killed, mostly because it took more memory than its version's limit in the model registry",
    126: "its command can't be run",
    127: "its command isn't in its image",
    64: "Argo's executor couldn't start it",
}


class Neighbours:
    """What became of the other containers of the pod.

    An AI engine that was asked to end may exit as it likes. Who asks says so, by `asked_to_end`.
    """

    def __init__(self, folder: Path = ARGO, file: Path = LOCAL) -> None:
        self._folder, self._file = folder, file
        self._asked: set[str] = set()
        # Those that were asked, of which it isn't known yet which containers they are.
        self._unidentified = 0

    @property
    def are_known(self) -> bool:
        """Tell whether anybody says here what becomes of them."""
        return self._folder.is_dir() or self._file.is_file()

    def ended(self) -> dict[str, int]:
        """Return the exit codes of the containers that have ended, by name."""
        codes = self._told() | {folder.name: _exit_code(folder) for folder in self._folder.glob("ctr/*")}
        return {name: code for name, code in codes.items() if code is not None}

    def asked_to_end(self, before: Mapping[str, int]) -> None:
        """Note that an AI engine has gone as it was asked to; `before` are those that had ended before."""
        until = time.monotonic() + EXIT_TIME
        while not (new := set(self.ended()) - set(before) - self._asked) and time.monotonic() < until:
            if not self.are_known:
                return
            time.sleep(LOOK_DELAY)
        self._asked |= new
        self._unidentified += 0 if new else 1

    def death(self) -> str:
        """Return why nobody will answer any more who doesn't answer now, '' where that isn't so.

        That's when a container has failed that nobody asked to end, or when none but this one is left.
        """
        ended = self.ended()
        failed = {name: code for name, code in ended.items() if code and name not in self._asked}
        if len(failed) > self._unidentified:
            return "; ".join(_said(name, code) for name, code in sorted(failed.items()))
        if ended and len(self._names() - set(ended)) <= 1:
            return "; ".join(_said(name, code) for name, code in sorted(ended.items()))
        return ""

    def _told(self) -> dict[str, int | None]:
        """Return what the local engine tells: the exit code of each container, None for one that has not ended."""
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
    """Tell whether a container that has started was killed with Argo's executor in it, which then writes nothing.

    The executor holds a lock as long as it lives (workflow/executor/osspecific/lock_unix.go).
    """
    if not (folder / "ready").exists():
        return False
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    # It gives the lock back a moment before it writes the code.
    time.sleep(LOOK_DELAY)
    return not (folder / "exitcode").exists()


def _said(name: str, code: int) -> str:
    hint = f" ({_HINTS[code]})" if code in _HINTS else ""
    return f"container {name} ended with exit code {code}{hint}"
