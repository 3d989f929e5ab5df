"""Control groups limit the memory of a container; the kernel counts all of it.

Version 2 (https://docs.kernel.org/admin-guide/cgroup-v2.html) or the memory controller of version 1, whichever exists
and is writable, mostly where the service is root. Elsewhere `census.py` counts.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from typing import Self

_PREFIX = "orchestrator-"
_NAME = re.compile(rf"{_PREFIX}((\d+)-\d+)-\d+")


@dataclass(frozen=True)
class Version:
    """The names of a version's files; `enough` are written first, as far as they exist."""

    limit: str
    events: str
    beside: tuple[tuple[str, str], ...]


# Swap counts too, and the kernel kills all processes of a container together.
VERSION_TWO = Version("memory.max", "memory.events", (("memory.swap.max", "0"), ("memory.oom.group", "1")))
VERSION_ONE = Version("memory.limit_in_bytes", "memory.oom_control", (("memory.swappiness", "0"),))
_ONE_WITH_SWAP = "memory.memsw.limit_in_bytes"


class Group:
    """The control group of one container at a time."""

    def __init__(self, path: str, version: Version) -> None:
        self._path = path
        self._version = version
        self._kills = 0

    def limit(self, limit_bytes: int) -> None:
        """Set the memory limit of the members, and reset the count of kills. Raises OSError."""
        for name, value in self._version.beside:
            with contextlib.suppress(OSError):
                self._write(name, value)
        if self._version is VERSION_ONE:
            # The limit with swap can never be below the one without.
            with contextlib.suppress(OSError):
                self._write(_ONE_WITH_SWAP, "-1")
        self._write(self._version.limit, str(limit_bytes))
        if self._version is VERSION_ONE:
            with contextlib.suppress(OSError):
                self._write(_ONE_WITH_SWAP, str(limit_bytes))
        self._kills = self._count()

    def add(self, pid: int) -> None:
        """Make a process a member, with all its later children. Raises OSError."""
        self._write("cgroup.procs", str(pid))

    def was_exceeded(self) -> bool:
        """Return whether the kernel has killed a member at the memory limit since it was set."""
        return self._count() > self._kills

    def remove(self) -> None:
        """Remove it once its members are gone."""
        with contextlib.suppress(OSError):
            os.rmdir(self._path)  # noqa: PTH106 - pathlib is slow to import

    def _count(self) -> int:
        with contextlib.suppress(OSError), open(f"{self._path}/{self._version.events}") as file:  # noqa: PTH123
            for line in file:
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)
        return 0

    def _write(self, name: str, value: str) -> None:
        descriptor = os.open(f"{self._path}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)


class Groups:
    """Makes control groups below this process's own.

    `owner`: the process that they belong to and a number, as `4711-1`.
    """

    def __init__(self, parent: str, version: Version, owner: str) -> None:
        self.parent = parent
        self._version = version
        self._owner = owner
        self._made = 0

    @classmethod
    def here(cls, owner: str, mounts: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup") -> Self | None:
        """Return the maker of control groups on this machine, or None where none can be made."""
        found = _parents(_read(mounts), _read(own))
        for parent, version in found:
            if os.path.exists(f"{parent}/cgroup.procs") and os.access(parent, os.W_OK):  # noqa: PTH110
                return cls(parent, version, owner)
        return None

    def make(self) -> Group:
        """Make a group. Raises OSError."""
        self._made += 1
        path = f"{self.parent}/{_PREFIX}{self._owner}-{self._made}"
        os.mkdir(path)  # noqa: PTH102
        if not os.path.exists(f"{path}/{self._version.limit}"):  # noqa: PTH110
            os.rmdir(path)  # noqa: PTH106
            raise FileNotFoundError(f"{path} has no {self._version.limit}")
        return Group(path, self._version)

    def clear(self) -> None:
        """Remove the owner's groups, and those of owners that have ended."""
        for name in os.listdir(self.parent):  # noqa: PTH208
            match = _NAME.fullmatch(name)
            if match is None:
                continue
            if match[1] == self._owner or not os.path.exists(f"/proc/{match[2]}"):  # noqa: PTH110
                with contextlib.suppress(OSError):
                    os.rmdir(f"{self.parent}/{name}")  # noqa: PTH106


def _read(path: str) -> list[str]:
    with open(path) as file:  # noqa: PTH123 - pathlib is slow to import
        return file.read().splitlines()


def _parents(mounts: list[str], own: list[str]) -> list[tuple[str, Version]]:
    """Return the directories in which a group with a memory limit could be made, the most likely first."""
    belongs = {controllers: path for _, controllers, path in (line.split(":", 2) for line in own)}
    parents = []
    for line in mounts:
        words = line.split(" ")
        root, point, kind, options = words[3], words[4], words[words.index("-") + 1], words[-1].split(",")
        if kind == "cgroup" and "memory" in options:
            path = next((path for names, path in belongs.items() if "memory" in names.split(",")), "/")
            parents.append((_below(point, root, path), VERSION_ONE))
        elif kind == "cgroup2" and "" in belongs:
            # A group whose own members have no limits yet cannot have limits for others: one further up may.
            path = _below(point, root, belongs[""])
            while path.startswith(point):
                if "memory" in _controllers(path):
                    parents.append((path, VERSION_TWO))
                    break
                path = path.rpartition("/")[0]
    return parents


def _below(point: str, root: str, path: str) -> str:
    rest = path.removeprefix(root) if root != "/" else path
    return f"{point}/{rest.strip('/')}".rstrip("/")


def _controllers(path: str) -> list[str]:
    try:
        return " ".join(_read(f"{path}/cgroup.subtree_control")).split()
    except OSError:
        return []
