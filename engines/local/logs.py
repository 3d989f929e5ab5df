"""What the containers of a Workflow wrote, while it runs and until it is deleted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from engines.base import LogLine, WorkflowNotFound
from engines.local import layout
from engines.local.folder import Folder
from engines.local.interpreter.nodes import ENDED
from engines.local.log_index import LogOwners

# Whoever speaks is read soon again, whoever is silent ever less often.
_SOONEST_SECONDS, _LATEST_SECONDS = 0.05, 0.5
_ASK_AGAIN_SECONDS = 1.0
# A line longer than this is given in pieces.
_CHUNK = 256 * 1024


class _Tail:
    """The file of one stream of one container, read as far as whole lines go."""

    def __init__(self, path: Path, owner: tuple[str, str, str]) -> None:
        self.path = path
        self.owner = owner
        self.offset = 0

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
            self.offset += end
            yield from _lines(self.owner, chunk[:end])
            if len(chunk) < _CHUNK and not last:
                return


class _GatheredTail:
    """A file in which containers' outputs lie one after the other (processes/outlets.py), read for one node or all."""

    def __init__(self, path: Path, node: str, owners: LogOwners) -> None:
        self.path = path
        self.node = node
        self.owners = owners
        self.offset = 0

    def lines(self, last: bool) -> Iterator[LogLine]:
        """Yield the lines of the outputs added since the last call."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while (head := file.readline()).endswith(b"\n"):
                name, size = json.loads(head)
                chunk = file.read(size)
                owner = self.owners.of(name)
                if len(chunk) < size or owner is None:
                    return
                self.offset = file.tell()
                if not self.node or owner[0] == self.node:
                    yield from _lines(owner, chunk)


def _lines(owner: tuple[str, str, str], chunk: bytes) -> Iterator[LogLine]:
    node, container, stream = owner
    for line in chunk.removesuffix(b"\n").split(b"\n"):
        yield LogLine(node, container, stream, line.decode("utf-8", "replace"))


def read_logs(
    folder: Folder, name: str, node: str, follow: bool, wanted: Callable[[], bool] = lambda: True
) -> Iterator[LogLine]:
    """Yield the lines of one node or of all; with `follow` until that has ended, or is not wanted any more."""
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
    tails: dict[Path, _Tail | _GatheredTail] = {}
    owners = LogOwners(folder.path(name))
    while True:
        ended = not follow or _ended(folder, name, node)
        owners.refresh()
        for path, owner in _files(folder.path(name) / layout.LOGS, node, owners):
            if path not in tails:
                tails[path] = _GatheredTail(path, node, owners) if owner is None else _Tail(path, owner)
            yield from tails[path].lines(last=ended)
        if ended:
            return
        yield None


def _files(logs: Path, node: str, owners: LogOwners) -> list[tuple[Path, tuple[str, str, str] | None]]:
    """Return where something may be of a node or of all, and whose it is; None for what is of many.

    First what has a file of its own, which is older if any is.
    """
    own: list[tuple[tuple[int, str], Path, tuple[str, str, str]]] = []
    gathered: list[Path] = []
    try:
        paths = [*logs.iterdir()]
    except FileNotFoundError:
        return []
    for path in paths:
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
