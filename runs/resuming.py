"""Lets suspended Workflows go on where a caller says; the engine knows at which nodes they wait."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engines.base import WorkflowNotFound, WorkflowStatus, waits_to_be_resumed
from runs.changes import run_changed
from runs.explanations import storable
from runs.logs import engine_of
from runs.models import RunCause, WorkflowRun
from runs.selectors import run_named
from web.errors import Fault, InvalidInput, NotAllowedInState
from web.shape import check

REQUEST = {
    "type": "object",
    "properties": {"node": {"type": "string", "minLength": 1, "maxLength": 1000}},
    "additionalProperties": False,
}


def run_resume(*, name: str, document: Mapping[str, Any], now: datetime | None = None) -> WorkflowRun:
    """Let a run go on from one suspended node, named by its id or display name, or from all that it waits at.

    Raises NotFound, InvalidInput, NotAllowedInState if the run does not wait there, and EngineUnavailable.
    """
    if faults := check(document, REQUEST):
        raise InvalidInput(faults=faults)
    run = run_named(name)
    if run.handed_over_at is None or run.workflow_ended_at or run.stop_requested_at or run.delete_requested_at:
        raise NotAllowedInState(f"The run is {run.phase}: it does not wait to be resumed.")
    engine = engine_of(run)
    try:
        node_id, steps = _chosen(engine.get(run.name), run, document.get("node"))
        engine.resume(run.name, node_id)
    except WorkflowNotFound as error:
        raise NotAllowedInState("The engine does not have the run's Workflow at the moment.") from error
    with run_changed(run.pk, now) as change:
        change.record(RunCause.API, storable(f"Resumed {', '.join(steps)}." if steps else "Resumed."))
    return run


def _chosen(status: WorkflowStatus, run: WorkflowRun, asked: str | None) -> tuple[str, list[str]]:
    """Return the id of the node to resume, '' for all, and the display names of what goes on."""
    waiting = {
        key: str(node.get("displayName") or key) for key, node in status.nodes.items() if waits_to_be_resumed(node)
    }
    if asked is None:
        if not waiting and not run.manifest["spec"].get("suspend"):
            raise NotAllowedInState("The run does not wait to be resumed.")
        return "", sorted(waiting.values())
    found = [key for key, step in waiting.items() if asked in (key, step)]
    if len(found) > 1:
        raise InvalidInput(faults=[Fault("/data/node", f"is the name of {len(found)} nodes: give the id of one")])
    if found:
        return found[0], [waiting[found[0]]]
    if any(asked in (key, node.get("displayName")) for key, node in status.nodes.items()):
        raise NotAllowedInState("This node does not wait to be resumed.")
    raise InvalidInput(faults=[Fault("/data/node", "is neither the id nor the name of a node of this run")])
