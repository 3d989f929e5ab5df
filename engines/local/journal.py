"""The events of a Workflow's state machine, so that another supervisor can continue it.

The machine is deterministic: the same events at the same times give the same nodes. Pods that had ended
are therefore not run again; those that were running start again. Kept in memory, since only a supervisor
that is asked to leave has a successor; then one JSON array a line: `[seconds since 1970, kind, …]`.

Imported by the supervisor: it must load fast.
"""

# ruff: noqa: PTH105, PTH118, PTH123

from __future__ import annotations

import json
import os
from typing import Any

from engines.local import layout
from engines.local.interpreter.pod_nodes import PodOutcome

START, DONE, STOP, RESUME, MEMO = "start", "done", "stop", "resume", "memo"
Entry = list[Any]


class Journal:
    """The journal of one Workflow; `past` are the events of an earlier supervisor."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, layout.JOURNAL)
        self.past = _read(self._path)
        self._new: list[Entry] = []

    def write(self, at: float, kind: str, *what: Any) -> None:
        """Remember an event."""
        self._new.append([at, kind, *what])

    def write_done(self, at: float, node_id: str, place: str, outcome: PodOutcome) -> None:
        """Remember the end of a pod."""
        self._new.append([at, DONE, node_id, place, outcome])

    def save(self) -> None:
        """Write all events for the next supervisor, atomically. Raises OSError."""
        with open(f"{self._path}.new", "w", encoding="utf-8") as file:
            for entry in (*self.past, *map(_plain, self._new)):
                file.write(json.dumps(entry, separators=(",", ":")) + "\n")
        os.replace(f"{self._path}.new", self._path)


def outcome_of(entry: Entry) -> PodOutcome:
    """Return the outcome that an entry of kind `DONE` holds."""
    phase, message, outputs, containers = entry[4:]
    return PodOutcome(phase, message, outputs, {name: tuple(said) for name, said in containers.items()})


def _plain(entry: Entry) -> Entry:
    if entry[1] != DONE:
        return entry
    outcome: PodOutcome = entry[4]
    return [*entry[:4], outcome.phase, outcome.message, outcome.outputs, outcome.containers]


def _read(path: str) -> list[Entry]:
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except FileNotFoundError:
        return []
