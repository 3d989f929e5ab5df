"""The disk space of a run: its limit, its pods' limits, and the reserve that all runs leave free.

Each supervisor asks often how much of the disk is free, which costs nothing, and goes through its own folder when that
has changed. The result is in its file `usage`, which has a fixed length from the start. When less is free than the
reserve, all supervisors measure again; the one whose run uses most ends it, holding the lock `ending` of the engine's
folder until its pods' files are gone, so that no second run ends for the same shortage.

Open files without a name count as well (unlinked.py). Not seen are those that only a mapping or a
message between processes holds: they count only for the reserve.

Imported by the supervisor: it must load fast.
"""

# ruff: noqa: PTH116, PTH118, PTH119, PTH208

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from engines.local import layout, liveness, trees
from engines.local.unlinked import unlinked

SHORTEST_LOOK, LONGEST_LOOK, _IDLE_LOOK = 0.1, 1.0, 5.0
# What a fast disk writes in a second.
_FASTEST_BYTES = 2 << 30
_SLICE_SECONDS = 0.01
_BETWEEN_SLICES = 0.02
# At most this part of the time is used for measuring the folder.
_SHARE = 0.05
_UNNOTICED_BYTES, _UNNOTICED_INODES, _LONGEST_UNMEASURED = 256 << 10, 64, 30.0
_SETTLE_SECONDS, _FRESH_SECONDS, _PATIENCE_SECONDS = 0.3, 0.5, 15.0
# A run that uses less than this part of the reserve is not the cause of a shortage.
_NEGLIGIBLE = 16
_LEAST_RESERVE, _MOST_RESERVE, _RESERVE_PART, _INODES_PART = 1 << 30, 10 << 30, 20, 100
_LOOK_WHILE_COPYING = 64 << 20
_USAGE = "{:020d} {:020d} {:d}\n"


class DiskExceeded(OSError):
    """A run would use more of the disk than it may."""


class DiskLimits(NamedTuple):
    """The limit of a run and the reserve of the disk, in bytes; with None the reserve follows the size of the disk."""

    run: int
    reserve: int | None


class Free(NamedTuple):
    """The free space of a file system, and its reserve. Not every file system counts inodes."""

    bytes: int
    reserve: int
    inodes: int = 0
    inode_reserve: int = 0

    @property
    def is_short(self) -> bool:
        return self.bytes < self.reserve or self.inodes < self.inode_reserve

    def said(self) -> str:
        """Return what is short, as a message."""
        if self.bytes >= self.reserve:
            return "the engine's disk has almost no free inodes"
        return f"the engine's disk has {readable(self.bytes)} free; its reserve is {readable(self.reserve)}"


def free_of(directory: str, reserve: int | None) -> Free:
    """Return the free space of a directory's file system."""
    found = os.statvfs(directory)
    if reserve is None:
        part = found.f_blocks * found.f_frsize // _RESERVE_PART
        reserve = min(max(part, _LEAST_RESERVE), _MOST_RESERVE)
    inode_reserve = found.f_files // _INODES_PART if reserve else 0
    return Free(found.f_bavail * found.f_frsize, reserve, found.f_favail, inode_reserve)


def readable(count: int) -> str:
    """Return a number of bytes as people read it."""
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{int(size)} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"


class DiskBudget:
    """The disk space that a run may still use: copies are subtracted before they start; measuring corrects it."""

    def __init__(self, limit: int, look: Callable[[], None] = lambda: None) -> None:
        self.limit = limit
        self.used = 0
        # Why the run has to end, once it has used too much.
        self.exceeded = ""
        self._look = look
        self._unlooked = 0

    def spend(self, count: int) -> None:
        """Subtract bytes about to be written. Raises `DiskExceeded`."""
        self.used += count
        self.check()
        self._unlooked += count
        if self._unlooked >= _LOOK_WHILE_COPYING:
            self._unlooked = 0
            self._look()

    def check(self) -> None:
        """Raise `DiskExceeded` when more is used than allowed."""
        if self.used > self.limit:
            self.exceeded = self.exceeded or (
                f"the run used {readable(self.used)} of the disk; its limit is {readable(self.limit)}"
            )
            raise DiskExceeded(self.exceeded)


class Bound(NamedTuple):
    """The limit of a pod within some of its folders, and the message when it uses more."""

    paths: tuple[str, ...]
    limit: int
    message: str


class DiskKeeper:
    """Keeps one run within its limits. `directory` is the Workflow's folder; `evicted` pods are to be removed."""

    def __init__(self, root: str, directory: str, limits: DiskLimits) -> None:
        self.root = root
        self.directory = directory
        self.limits = limits
        self.budget = DiskBudget(limits.run, self._look_while_copying)
        self.free = free_of(root, limits.reserve)
        self.evicted: list[tuple[str, str]] = []
        self.busy = False
        self._bounds: dict[str, list[Bound]] = {}
        self._next = 0.0
        self._measuring: Iterator[None] | None = None
        self._spent = 0.0
        self._began_at = self._measured_at = self._measure_after = float("-inf")
        self._measured_free = Free(-1, 0)
        self._looked_at = float("-inf")
        self._short_since: float | None = None
        self._ending = -1
        self._usage = os.open(os.path.join(directory, layout.USAGE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._publish()

    # Limits of pods

    def bind(self, pod: str, bound: Bound) -> None:
        """Start to watch some folders of a pod."""
        self._bounds.setdefault(pod, []).append(bound)

    def release(self, pod: str) -> None:
        """Stop watching a pod's folders."""
        self._bounds.pop(pod, None)

    def take_evicted(self) -> list[tuple[str, str]]:
        """Return the pods that used more than they may, with a message for each."""
        evicted, self.evicted = self.evicted, []
        return evicted

    # Time

    def next_deadline(self) -> float:
        """Return when `look` is to be called, in monotonic seconds."""
        return self._next

    def look(self, busy: bool) -> None:
        """Check the disk if it is due; `busy`: whether this run has pods."""
        now = time.monotonic()
        if busy != self.busy:
            self.busy = busy
            self._publish()
            self._next = min(self._next, now + SHORTEST_LOOK)
        # An idle supervisor measures when others wake it.
        if now < self._next and (busy or now - self._looked_at < SHORTEST_LOOK):
            return
        self._looked_at = now
        self.free = free_of(self.root, self.limits.reserve)
        if self._short_since is None and self.free.is_short:
            self._short_since = now
        elif not self.free.is_short:
            self._short_since = None
        if self._measuring is None and self._is_to_be_measured(now):
            self._measuring, self._began_at, self._spent = self._measure(), now, 0.0
        if self._measuring is not None:
            self._go_on_measuring()
        if self._short_since is not None:
            self._settle(now, self._short_since)
        self._next = time.monotonic() + self._pause()

    def _pause(self) -> float:
        if self._measuring is not None:
            return _BETWEEN_SLICES
        if not self.busy:
            return _IDLE_LOOK if self._short_since is None else LONGEST_LOOK
        room = min(self.free.bytes - self.free.reserve, self.limits.run - self.budget.used)
        return min(max(room / _FASTEST_BYTES, SHORTEST_LOOK), LONGEST_LOOK)

    def _is_to_be_measured(self, now: float) -> bool:
        if self._short_since is not None and self._measured_at < self._short_since:
            return True
        # A run without pods does not grow.
        if now < self._measure_after or not (self.busy or self._short_since is not None):
            return False
        before, free = self._measured_free, self.free
        return (
            abs(free.bytes - before.bytes) >= _UNNOTICED_BYTES
            or abs(free.inodes - before.inodes) >= _UNNOTICED_INODES
            or self._short_since is not None
            or now - self._measured_at >= _LONGEST_UNMEASURED
        )

    # Measuring

    def _go_on_measuring(self) -> None:
        began = time.monotonic()
        assert self._measuring is not None
        try:
            for _ in self._measuring:
                if time.monotonic() - began >= _SLICE_SECONDS:
                    break
            else:
                self._measuring = None
        except trees.TooDeep:
            self._measuring = None
            self.budget.exceeded = self.budget.exceeded or (
                f"the run made directories more than {trees.DEEPEST} levels deep, whose size cannot be measured"
            )
        now = time.monotonic()
        self._spent += now - began
        if self._measuring is None:
            self._measured_at = self._began_at
            self._measure_after = now + max(self._spent / _SHARE, SHORTEST_LOOK)

    def _measure(self) -> Iterator[None]:
        """Measure the run's folder, a piece at a time."""
        self._measured_free = self.free
        seen: set[trees.Identity] = set()
        total = 0
        for pod, bounds in list(self._bounds.items()):
            for bound in bounds:
                used = 0
                for path in bound.paths:
                    # Each limit is measured by itself; files of two limits count once for the run.
                    for piece in trees.measured(path, set(), least=0):
                        used += piece
                        yield
                if used > bound.limit and pod in self._bounds:
                    self.evicted.append((pod, bound.message))
                    break
        for piece in trees.measured(self.directory, seen):
            total += piece
            yield
        for piece in unlinked(seen, os.stat(self.directory).st_dev) if self.busy else ():
            total += piece
            yield
        self.budget.used = total
        self._publish()
        with contextlib.suppress(DiskExceeded):
            self.budget.check()

    def measure_now(self) -> int:
        """Measure and return the disk space that the run uses now."""
        for _ in self._measure():
            pass
        return self.budget.used

    def _publish(self) -> None:
        with contextlib.suppress(OSError):
            text = _USAGE.format(self.budget.used, time.monotonic_ns(), self.busy)
            os.pwrite(self._usage, text.encode(), 0)

    def _look_while_copying(self) -> None:
        """Refuse copies that would use the reserve, since a copy is not interrupted."""
        self._publish()
        free = free_of(self.root, self.limits.reserve)
        if free.is_short:
            raise DiskExceeded(f"an artifact is too large: {free.said()}")

    # Which run ends when the disk is short

    def _settle(self, now: float, since: float) -> None:
        """End this run if it uses most, once all runs have measured."""
        used = self.budget.used
        if self._measured_at < since or now - since < _SETTLE_SECONDS or used < self.free.reserve // _NEGLIGIBLE:
            return
        own = os.path.basename(self.directory)
        for name, theirs, stamp, busy in self._others():
            late = stamp < since - _FRESH_SECONDS
            if late and now - since >= _PATIENCE_SECONDS:
                # Its supervisor does not answer.
                continue
            # A run without pods has not changed.
            if (late and busy) or (theirs, name) > (used, own):
                layout.poke(os.path.join(self.root, layout.WORKFLOWS, name), layout.CONTROL, b"!")
                return
        if not self._take_ending():
            # Another run ends; its space is not free yet.
            self._short_since = None
            return
        free = free_of(self.root, self.limits.reserve)
        if free.is_short:
            self.budget.exceeded = self.budget.exceeded or (
                f"the run used {readable(used)} of the disk, more than any other: {free.said()}"
            )
        else:
            os.close(self._ending)
            self._ending, self._short_since = -1, None

    def _take_ending(self) -> bool:
        """Hold the engine's lock for the run that ends, until this process ends."""
        if self._ending >= 0:
            return True
        path = os.path.join(self.root, layout.ENDING)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._ending = lock
        return True

    def _others(self) -> Iterator[tuple[str, int, float, bool]]:
        """Yield name, bytes, time of the last measurement and whether it has pods, for all other active runs."""
        folder = os.path.join(self.root, layout.WORKFLOWS)
        own = os.path.basename(self.directory)
        for name in os.listdir(folder):
            if name == own:
                continue
            with contextlib.suppress(OSError, ValueError):
                usage = os.open(os.path.join(folder, name, layout.USAGE), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    used, stamp, busy = os.pread(usage, 64, 0).split()
                finally:
                    os.close(usage)
                if liveness.is_alive(Path(folder, name)):
                    yield name, int(used), int(stamp) / 1e9, busy == b"1"

    def is_still_short(self) -> bool:
        """Return whether less than the reserve is free, also after this run has freed its space."""
        return free_of(self.root, self.limits.reserve).is_short
