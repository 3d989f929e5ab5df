"""Write a Workflow's status for the engine, rarely enough to cost little."""

# ruff: noqa: PTH108, PTH118

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from engines.local import layout
from engines.local.interpreter.machine import Machine

_SHORTEST_INTERVAL = 0.08
# A large status takes longer to write; at most this part of the time goes into writing.
_SHARE = 0.05
# Watches take as long to read it, so the number of published nodes per second is limited.
_NODES_PER_SECOND = 1000
# On a disk that is full.
_AGAIN_SECONDS = 0.5


class Publisher:
    """Writes `status.json`, with a version that grows, and wakes the watchers."""

    def __init__(self, root: str, directory: str, machine: Machine, fixed: dict[str, Any]) -> None:
        self._root = root
        self._path = os.path.join(directory, layout.STATUS)
        self._machine = machine
        self._fixed = fixed
        self._version = int((layout.read_json(self._path) or {}).get("version") or 0)
        self._phase = ""
        self._earliest = 0.0
        self._length = self._spare = 0

    def due(self) -> float | None:
        """Return when the next writing is due (monotonic seconds), None when nothing has changed."""
        if not self._machine.store.changed:
            return None
        return 0.0 if self._machine.phase != self._phase else self._earliest

    def publish(self) -> bool:
        """Write the status now; return False on a full disk, where it is due again.

        The space for the last status is reserved. Raises OSError for other errors.
        """
        machine, began = self._machine, time.process_time()
        last = bool(machine.finished_at)
        self._phase = machine.phase
        try:
            self._write(last)
        except OSError as error:
            if not layout.is_full(error):
                raise
            self._earliest = time.monotonic() + _AGAIN_SECONDS
            return False
        machine.store.changed = False
        layout.wake_watchers(self._root, machine.workflow)
        if not last:
            self._keep_spare()
        # Processor time, not wall time: on a busy machine that would delay the next status for seconds.
        spent = time.process_time() - began
        large = len(machine.store.nodes) / _NODES_PER_SECOND
        self._earliest = time.monotonic() + max(_SHORTEST_INTERVAL, spent / _SHARE, large)
        return True

    def _write(self, last: bool) -> None:
        machine = self._machine
        self._version += 1
        machine.store.count_composites(last=last)
        status = {
            **self._fixed,
            "phase": machine.phase or "Pending",
            "message": machine.message,
            "progress": machine.store.progress(),
            "nodes": machine.store.nodes,
            "started_at": machine.started_at or None,
            "finished_at": machine.finished_at or None,
            "version": self._version,
            "stamp": time.time_ns(),
        }
        if last:
            layout.write_last_json(self._path, status)
        else:
            # A message may quote a file name of a pod that is not valid UTF-8.
            self._length = layout.write_json(self._path, status, lenient=True)

    def _keep_spare(self) -> None:
        # The last status has the end of every node.
        if self._length + self._length // 4 > self._spare:
            self._spare = max(2 * self._length, layout.SPARE_BYTES)
            layout.keep_spare(self._path, self._spare)

    def give_up_spare(self) -> None:
        """Release the space that is reserved for the last status."""
        self._spare = 0
        with contextlib.suppress(OSError):
            os.unlink(f"{self._path}.spare")
