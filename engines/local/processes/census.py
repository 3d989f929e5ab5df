"""Who lives in a sandbox: its processes by container, their memory, and what they leave behind.

A process belongs to the container whose mount namespace it is in; that holds for daemons too, which leave their
parents and sessions.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_TABLE_BYTES = 1 << 12

# How long a killed process is given before it is looked for again.
_DEATH_SECONDS = 0.0005


class Census:
    """Reads the /proc of one sandbox; works in its init process."""

    def __init__(self, proc: str, listeners: int) -> None:
        self._proc = proc
        self._listeners = listeners
        self._objects = self._open_all("sysvipc/shm", "sysvipc/msg", "sysvipc/sem")
        self._sockets = self._open_all("1/net/sockstat", "1/net/sockstat6")
        self._nothing: list[bytes] = []

    def _open_all(self, *names: str) -> list[int]:
        # Kept open: they are read after every pod.
        found = []
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found.append(os.open(f"{self._proc}/{name}", os.O_RDONLY | os.O_CLOEXEC))
        return found

    def members(self, identity: str) -> list[int]:
        """Return the process ids of a container."""
        found = []
        for name in os.listdir(self._proc):  # noqa: PTH208
            if name.isdigit() and name != "1":
                with contextlib.suppress(OSError):
                    if os.readlink(f"{self._proc}/{name}/ns/mnt") == identity:  # noqa: PTH115
                        found.append(int(name))
        return found

    def signal(self, identity: str, number: int) -> None:
        """Send a signal to every process of a container."""
        for pid in self.members(identity):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self, identity: str) -> None:
        """Kill every process of a container, also those started meanwhile."""
        while members := self.members(identity):
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_DEATH_SECONDS)

    def memory(self, identity: str, limit: int) -> int:
        """Return the resident bytes of a container.

        Pages that its processes share are told apart only when counting them for each would exceed `limit`.
        """
        members = self.members(identity)
        total = sum(self._resident(pid) for pid in members)
        if total <= limit or len(members) == 1:
            return total
        return sum(self._proportional(pid) for pid in members)

    def _resident(self, pid: int) -> int:
        try:
            return int(self._read(f"{pid}/statm").split()[1]) * _PAGE_BYTES
        except (OSError, IndexError):
            return 0

    def _proportional(self, pid: int) -> int:
        try:
            lines = self._read(f"{pid}/smaps_rollup").splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))

    def _read(self, name: str) -> str:
        descriptor = os.open(f"{self._proc}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, 1 << 16).decode()
        finally:
            os.close(descriptor)

    def leaves_nothing(self) -> bool:
        """Tell whether the dead left no sockets and no System V objects that the next pod could run into."""
        found = [os.pread(file, _TABLE_BYTES, 0) for file in (*self._objects, *self._sockets)]
        if found == self._nothing:
            return True
        if any(table.count(b"\n") > 1 for table in found[: len(self._objects)]):
            return False
        in_use = waiting = 0
        for table in found[len(self._objects) :]:
            for line in table.splitlines():
                if line.startswith((b"TCP:", b"TCP6:")):
                    words = line.split()
                    counts = dict(zip(words[1::2], words[2::2], strict=False))
                    in_use += int(counts.get(b"inuse", 0))
                    waiting += int(counts.get(b"tw", 0))
        nothing = waiting == 0 and in_use == self._listeners
        if nothing:
            self._nothing = found
        return nothing
