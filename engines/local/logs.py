"""What the containers of a Workflow wrote, while it runs and until it is deleted."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from engines.base import LogLine, WorkflowNotFound
from engines.local import layout
from engines.local.folder import Folder
from engines.local.interpreter.nodes import ENDED

# Whoever speaks is read soon again, whoever is silent ever less often.
_SOONEST_SECONDS, _LATEST_SECONDS = 0.05, 0.5
_ASK_AGAIN_SECONDS = 1.0
# A line longer than this is given in pieces.
_CHUNK = 256 * 1024
_NODE = re.compile(r"[a-z0-9][-.a-z0-9]*")


class _Tail:
    """One output file, read as far as whole lines go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.node, self.container, self.stream = path.name.rsplit(".", 2)
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
            for line in chunk[:end].removesuffix(b"\n").split(b"\n"):
                yield LogLine(self.node, self.container, self.stream, line.decode("utf-8", "replace"))
            if len(chunk) < _CHUNK and not last:
                return


def read_logs(
    folder: Folder, name: str, node: str, follow: bool, wanted: Callable[[], bool] = lambda: True
) -> Iterator[LogLine]:
    """Yield the lines of one node or of all; with `follow` until that has ended, or is not wanted any more."""
    tails: dict[Path, _Tail] = {}
    ask_at, pause = time.monotonic() + _ASK_AGAIN_SECONDS, _SOONEST_SECONDS
    while True:
        ended = not follow or _ended(folder, name, node)
        pause = min(_LATEST_SECONDS, pause * 1.5)
        for path in _files(folder.path(name) / layout.LOGS, node):
            tail = tails.get(path)
            if tail is None:
                tail = tails[path] = _Tail(path)
            for line in tail.lines(last=ended):
                pause = _SOONEST_SECONDS
                yield line
        if ended:
            return
        if time.monotonic() >= ask_at:
            if not wanted():
                return
            ask_at = time.monotonic() + _ASK_AGAIN_SECONDS
        time.sleep(pause)


def _files(logs: Path, node: str) -> list[Path]:
    if node and not _NODE.fullmatch(node):
        return []
    return sorted(path for path in logs.glob(f"{node or '*'}.*.*") if not node or path.name.rsplit(".", 2)[0] == node)


def _ended(folder: Folder, name: str, node: str) -> bool:
    try:
        record = folder.record(name)
    except WorkflowNotFound:
        return True
    if record["phase"] in ("Succeeded", "Failed", "Error"):
        return True
    status = record["nodes"].get(node)
    return status is not None and status["phase"] in ENDED
