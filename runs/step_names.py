"""The names of steps as people know them, by the ids of their nodes."""

from __future__ import annotations

import time

from runs.models import RunNodes, WorkflowRun

_LOOK_SECONDS = 1.0


class StepNames:
    """The display names of a run's nodes; of a run that goes on, new ones are looked for now and then."""

    def __init__(self, run: WorkflowRun) -> None:
        self._run_id = run.pk
        self._nodes = run.nodes
        self._look_at = 0.0

    def of(self, node_id: str) -> str:
        """Return the display name of a node; its id where it has none, or is not known yet."""
        if node_id and node_id not in self._nodes and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            table = RunNodes.objects.filter(run=self._run_id).first()
            self._nodes = table.nodes if table is not None else {}
        # Of a step that a loop made, what it was made for is a part of the name.
        return " ".join(str(self._nodes.get(node_id, {}).get("displayName") or node_id).split())
