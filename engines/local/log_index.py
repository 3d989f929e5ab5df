"""The container of each numbered log file of a Workflow: one line of JSON `[number, node id, container]` for each
container.

Written by the supervisor before a container starts, read by the engine. Imported by the supervisor.
"""

# ruff: noqa: PTH118, PTH123

from __future__ import annotations

import errno
import json
import os

from engines.local import layout

Owner = tuple[str, str]


class LogIndex:
    """The writing end: gives a number to each container that may write a log."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, layout.LOG_INDEX)
        self._file = -1
        self._last = 0
        self._end = 0

    def add(self, node_id: str, container: str) -> int:
        """Return a new number for the logs of a container. Raises OSError when it cannot be stored."""
        if self._file < 0:
            self._open()
        number = self._last + 1
        line = json.dumps([number, node_id, container], separators=(",", ":")).encode() + b"\n"
        try:
            if os.pwrite(self._file, line, self._end) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._last = number
        self._end += len(line)
        return number

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # An earlier supervisor may have been killed in the middle of a line.
        self._end = 0
        with open(self._path, "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._last = int(json.loads(line)[0])
                self._end += len(line)


class LogOwners:
    """The reading end, read as far as whole lines go."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._path = os.path.join(directory, layout.LOG_INDEX)
        self._offset = 0
        self._owners: dict[str, Owner] = {}

    def refresh(self, directory: str | os.PathLike[str] | None = None) -> None:
        """Read what was added since the last call, in `directory` where it has moved."""
        if directory is not None:
            self._path = os.path.join(directory, layout.LOG_INDEX)
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    number, node_id, container = json.loads(line)
                    self._owners[str(number)] = (node_id, container)
                    self._offset += len(line)
        except FileNotFoundError:
            pass

    def of(self, name: str) -> tuple[str, str, str] | None:
        """Return node, container and stream of a log file by its name, None when they are not known."""
        head, _, stream = name.rpartition(".")
        owner = self._owners.get(head)
        if owner is None and head.count("."):
            # The former names, without numbers.
            node_id, _, container = head.rpartition(".")
            owner = (node_id, container)
        return None if owner is None else (*owner, stream)
