"""What happened to a Workflow from outside its machine, so that another supervisor can take it up where it was.

The machine is deterministic: told the same events at the same times, it comes to the same nodes. Pods that had ended
are therefore not run again; those that were running are, from their beginning. One JSON array a line:
`[seconds since 1970, kind, …]`.

Imported by the supervisor: it must load fast.
"""

# ruff: noqa: PTH118, PTH123

from __future__ import annotations

import json
import os
from typing import Any, TextIO

from engines.local import layout
from engines.local.interpreter.pod_nodes import PodOutcome

START, DONE, STOP, RESUME = "start", "done", "stop", "resume"
Entry = list[Any]


class Journal:
    """The journal of one Workflow, open for more."""

    def __init__(self, directory: str) -> None:
        path = os.path.join(directory, layout.JOURNAL)
        self.past = _read(path)
        self._file: TextIO = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - open until the process ends

    def write(self, at: float, kind: str, *what: Any) -> None:
        """Add an event; it is on its way to the disk when this returns."""
        self._file.write(json.dumps([at, kind, *what], separators=(",", ":")) + "\n")

    def write_done(self, at: float, node_id: str, place: str, outcome: PodOutcome) -> None:
        """Add the end of a pod."""
        self.write(at, DONE, node_id, place, outcome.phase, outcome.message, outcome.outputs, outcome.containers)


def outcome_of(entry: Entry) -> PodOutcome:
    """Return the outcome that an entry of kind `DONE` holds."""
    phase, message, outputs, containers = entry[4:]
    return PodOutcome(phase, message, outputs, {name: tuple(said) for name, said in containers.items()})


def _read(path: str) -> list[Entry]:
    entries: list[Entry] = []
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                entries.append(json.loads(line))
    except FileNotFoundError:
        pass
    except ValueError:
        pass  # the last line was cut off; what it told has not been told
    return entries
