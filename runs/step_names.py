"""The display names of steps, by the ids of their nodes."""

from __future__ import annotations

import time

from runs.models import RunNodes, WorkflowRun

_LOOK_SECONDS = 1.0


class StepNames:
    """The display names of a run's nodes; while the run goes on, new names are read from time to time."""

    def __init__(self, run: WorkflowRun) -> None:
        self._run_id = run.pk
        self._nodes = run.nodes
        self._look_at = 0.0

    def of(self, node_id: str) -> str:
        """Return the display name of a node; its id if it has none or is not known yet."""
        if node_id and node_id not in self._nodes and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            table = RunNodes.objects.filter(run=self._run_id).first()
            self._nodes = table.nodes if table is not None else {}
        # The name of a step in a loop contains the loop's item.
        return " ".join(str(self._nodes.get(node_id, {}).get("displayName") or node_id).split())
