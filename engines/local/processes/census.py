"""The processes of a sandbox: the memory of a container without a control group, and remains of ended containers.

A process belongs to the container from whose init process it descends: an orphan becomes its child.
"""

from __future__ import annotations

import contextlib
import os
import time

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_TABLE_BYTES = 1 << 12
_BLOCK_BYTES = 512
# How long the unnamed files of a container are measured, and for how many containers the result is kept.
_LOOK_SECONDS = 0.01
_MOST_KNOWN = 64
# The column `rss` of /proc/sysvipc/shm.
_SEGMENT_RESIDENT = 14


class Census:
    """Reads the /proc of one sandbox; works in its init process."""

    def __init__(self, proc: str, shared_memory: str, listeners: int) -> None:
        self._proc = proc
        self._shared_memory = shared_memory
        self._listeners = listeners
        self._objects = self._open_all("sysvipc/shm", "sysvipc/msg", "sysvipc/sem")
        self._sockets = self._open_all("1/net/sockstat", "1/net/sockstat6")
        self._nothing: list[bytes] = []
        # Bytes in files without a name: of each container, by its init process, of each process.
        self._files: dict[int, dict[int, int]] = {}

    def _open_all(self, *names: str) -> list[int]:
        # Kept open, since they are read after every pod.
        found = []
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found.append(os.open(f"{self._proc}/{name}", os.O_RDONLY | os.O_CLOEXEC))
        return found

    def memory(self, init: int, limit: int) -> int:
        """Return the bytes that the container with this init process holds, with the shared memory of its pod.

        Pages that its processes share are told apart only when counting them for each would exceed `limit`.
        """
        members = self._descendants(init)
        shared = self._shared_bytes()
        held = sum(self._resident(pid) for pid in members)
        exact = shared + held > limit
        if exact:
            held = sum(self._proportional(pid) for pid in members)
            if shared + held > limit:
                return shared + held
        elsewhere = shared + self._in_files(init, members)
        if elsewhere + held > limit and not exact:
            held = sum(self._proportional(pid) for pid in members)
        return elsewhere + held

    def _descendants(self, init: int) -> list[int]:
        children: dict[int, list[int]] = {}
        for name in os.listdir(self._proc):  # noqa: PTH208
            if name.isdigit():
                with contextlib.suppress(OSError):
                    # A program's name may hold anything, so the next fields are counted from its end.
                    parent = self._read(f"{name}/stat").rpartition(")")[2].split()[1]
                    children.setdefault(int(parent), []).append(int(name))
        found, waiting = [], [init]
        while waiting:
            below = children.pop(waiting.pop(), [])
            found += below
            waiting += below
        return found

    def _shared_bytes(self) -> int:
        """Return the bytes in /dev/shm and in System V segments."""
        status = os.statvfs(self._shared_memory)
        held = (status.f_blocks - status.f_bfree) * status.f_frsize
        for line in self._read("sysvipc/shm").splitlines()[1:]:
            with contextlib.suppress(ValueError, IndexError):
                held += int(line.split()[_SEGMENT_RESIDENT])
        return held

    def _in_files(self, init: int, members: list[int]) -> int:
        """Return the bytes in unnamed files, as far as there was time to measure them again.

        A container may have very many descriptors, and everything else waits meanwhile.
        """
        if len(self._files) > _MOST_KNOWN:
            self._files.clear()
        before = self._files.get(init, {})
        # The oldest results are renewed first.
        living = set(members)
        known = {pid: held for pid, held in before.items() if pid in living}
        until = time.monotonic() + _LOOK_SECONDS
        for pid in [*(pid for pid in members if pid not in known), *known]:
            known.pop(pid, None)
            known[pid] = self._memory_files(pid)
            if time.monotonic() > until:
                break
        self._files[init] = known
        return sum(known.values())

    def _memory_files(self, pid: int) -> int:
        """Return the bytes of a process in unnamed files (memfd_create), which need not be mapped."""
        held, folder = 0, f"{self._proc}/{pid}/fd"
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208
                with contextlib.suppress(OSError):
                    if os.readlink(f"{folder}/{name}").startswith("/memfd:"):  # noqa: PTH115
                        held += os.stat(f"{folder}/{name}").st_blocks * _BLOCK_BYTES  # noqa: PTH116
        return held

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
            return os.read(descriptor, 1 << 16).decode(errors="replace")
        finally:
            os.close(descriptor)

    def leaves_nothing(self) -> bool:
        """Return whether ended containers left no sockets and no System V objects that the next pod could meet."""
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
