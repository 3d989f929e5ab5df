"""Who lives in a sandbox: its processes by container, their memory, and what they leave behind.

A process belongs to the container whose mount namespace it is in; that holds for daemons too, which leave their
parents and sessions.
"""

from __future__ import annotations

import contextlib
import os
import signal

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Census:
    """Reads the /proc of one sandbox; works in its init process."""

    def __init__(self, proc: str, listeners: int) -> None:
        self._proc = proc
        self._listeners = listeners

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
        for name in ("shm", "msg", "sem"):
            with contextlib.suppress(FileNotFoundError):
                if self._read(f"sysvipc/{name}").count("\n") > 1:
                    return False
        in_use = waiting = 0
        for name in ("sockstat", "sockstat6"):
            with contextlib.suppress(FileNotFoundError):
                for line in self._read(f"1/net/{name}").splitlines():
                    kind, *counts = line.split()
                    if kind in ("TCP:", "TCP6:"):
                        values = dict(zip(counts[::2], counts[1::2], strict=False))
                        in_use += int(values.get("inuse", 0))
                        waiting += int(values.get("tw", 0))
        return waiting == 0 and in_use == self._listeners
