"""The logs of a Workflow's containers, while it runs and until it is deleted, in the order of their times."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from engines.base import LogLine, WorkflowNotFound
from engines.local import layout
from engines.local.folder import Folder
from engines.local.interpreter.nodes import ENDED
from engines.local.log_index import LogOwners
from engines.local.log_times import Times, rfc3339_of
from engines.log_order import Lines, in_order

# A stream with new lines is read again soon, a silent one ever less often.
_SOONEST_SECONDS, _LATEST_SECONDS = 0.05, 0.5
_ASK_AGAIN_SECONDS = 1.0
# A line longer than this is given in pieces.
_CHUNK = 256 * 1024

# Node id, container and stream.
Origin = tuple[str, str, str]


class _Tail:
    """The file of one stream of one container, read as far as whole lines go."""

    def __init__(self, path: Path, owner: Origin) -> None:
        self.path = path
        self.owner = owner
        self.offset = 0
        self._times = Times(str(path))

    def begins_at(self) -> str:
        """Return the time of the first line; '' where it is not known, or was read."""
        return "" if self.offset else self._times.at(0)

    def move(self, path: Path) -> None:
        """Go on with the same file after a move."""
        if path != self.path:
            self.path = path
            self._times.move(str(path))

    def lines(self, last: bool) -> Iterator[LogLine]:
        """Yield the lines written since the last call; with `last` also one without an end."""
        while True:
            try:
                with self.path.open("rb") as file:
                    file.seek(self.offset)
                    chunk = file.read(_CHUNK)
            except FileNotFoundError:
                return
            end = chunk.rfind(b"\n") + 1
            if not end:
                if not chunk or not (last or len(chunk) == _CHUNK):
                    return
                end = len(chunk)
            begins, self.offset = self.offset, self.offset + end
            for line in chunk[:end].removesuffix(b"\n").split(b"\n"):
                yield _line(self.owner, line, self._times.at(begins))
                begins += len(line) + 1
            if len(chunk) < _CHUNK and not last:
                return


class _GatheredTail:
    """A file with the outputs of several containers (processes/outlets.py), read for one node or all."""

    def __init__(self, path: Path, node: str, owners: LogOwners) -> None:
        self.path = path
        self.node = node
        self.owners = owners
        self.offset = 0

    def begins_at(self) -> str:
        """Return the time of the first lines; '' where it is not known, or they were read."""
        if self.offset:
            return ""
        with self._opened() as file:
            head = file.readline()
        return _head(head)[2] if head.endswith(b"\n") else ""

    def move(self, path: Path) -> None:
        """Go on with the same file after a move."""
        self.path = path

    def lines(self, last: bool) -> Iterator[LogLine]:
        """Yield the lines of the outputs added since the last call."""
        with self._opened() as file:
            file.seek(self.offset)
            while (head := file.readline()).endswith(b"\n"):
                name, size, at = _head(head)
                chunk = file.read(size)
                owner = self.owners.of(name)
                if len(chunk) < size or owner is None:
                    return
                self.offset = file.tell()
                if not self.node or owner[0] == self.node:
                    for line in chunk.removesuffix(b"\n").split(b"\n"):
                        yield _line(owner, line, at)

    def _opened(self) -> BinaryIO:
        """Open the file; one that has just moved with its Workflow is empty until it is found again."""
        try:
            return self.path.open("rb")
        except FileNotFoundError:
            return io.BytesIO()


def _head(head: bytes) -> tuple[str, int, str]:
    """Return name, size and time of a gathered output; those of earlier versions have no time."""
    name, size, *at = json.loads(head)
    return name, size, rfc3339_of(at[0]) if at else ""


def _line(owner: Origin, line: bytes, at: str) -> LogLine:
    return LogLine(*owner, line.decode("utf-8", "replace"), at)


def read_logs(
    folder: Folder, name: str, node: str, follow: bool, wanted: Callable[[], bool] = lambda: True
) -> Iterator[LogLine]:
    """Yield the lines of one node or of all; with `follow` until it has ended or `wanted` says no."""
    ask_at, pause = time.monotonic() + _ASK_AGAIN_SECONDS, _SOONEST_SECONDS
    for line in tail_logs(folder, name, node, follow):
        if line is not None:
            pause = _SOONEST_SECONDS
            yield line
            continue
        if time.monotonic() >= ask_at:
            if not wanted():
                return
            ask_at = time.monotonic() + _ASK_AGAIN_SECONDS
        time.sleep(pause)
        pause = min(_LATEST_SECONDS, pause * 1.5)


def tail_logs(folder: Folder, name: str, node: str, follow: bool = True) -> Generator[LogLine | None, None, None]:
    """Yield the lines of one node or of all, and None whenever there is no more yet."""
    # By name: the folder moves when the ttlStrategy removes the Workflow.
    tails: dict[str, _Tail | _GatheredTail] = {}
    where = folder.log_path(name)
    owners = LogOwners(where)
    while True:
        ended = not follow or _ended(folder, name, node)
        with contextlib.suppress(WorkflowNotFound):
            where = folder.log_path(name)
        owners.refresh(where)
        for path, owner in _files(where / layout.LOGS, node, owners):
            if path.name not in tails:
                tails[path.name] = _GatheredTail(path, node, owners) if owner is None else _Tail(path, owner)
            tails[path.name].move(path)
        yield from in_order([Lines(tail.begins_at(), tail.lines(last=ended)) for tail in tails.values()])
        if ended:
            return
        yield None


def _files(logs: Path, node: str, owners: LogOwners) -> list[tuple[Path, Origin | None]]:
    """Return the log files of a node or of all, each with its owner; None for a file of many.

    Separate files come first; they are older.
    """
    own: list[tuple[tuple[int, str], Path, Origin]] = []
    gathered: list[Path] = []
    try:
        paths = [*logs.iterdir()]
    except FileNotFoundError:
        return []
    for path in paths:
        if path.name.endswith(layout.TIMES):
            continue
        if path.name.startswith(layout.GATHERED) and "." not in path.name:
            gathered.append(path)
            continue
        owner = owners.of(path.name)
        if owner is not None and (not node or owner[0] == node):
            head = path.name.partition(".")[0]
            own.append(((int(head) if head.isdigit() else 0, path.name), path, owner))
    return [*((path, owner) for _, path, owner in sorted(own)), *((path, None) for path in sorted(gathered))]


def _ended(folder: Folder, name: str, node: str) -> bool:
    try:
        record = folder.record(name)
    except WorkflowNotFound:
        return True
    if record["phase"] in ("Succeeded", "Failed", "Error"):
        return True
    status = record["nodes"].get(node)
    return status is not None and status["phase"] in ENDED
