"""How a deleted Workflow ended: Argo's controller writes an event, which outlives the Workflow.

An API server keeps events for an hour unless it is told otherwise (kube-apiserver's `--event-ttl`). Argo writes them
where `workflowEvents` of its configuration is on, which it is by default (workflow/controller/operator.go,
`markWorkflowPhase`).
"""

from __future__ import annotations

import logging

from engines.argo.client import Client, Json, Refused
from engines.argo.explanations import happened_at
from engines.argo.options import Options
from engines.argo.paging import pages
from engines.argo.workflows import KIND
from engines.base import WorkflowPhase, WorkflowStatus

logger = logging.getLogger(__name__)

_PHASES = {"WorkflowSucceeded": WorkflowPhase.SUCCEEDED, "WorkflowFailed": WorkflowPhase.FAILED}


class Endings:
    """Finds how Workflows of one namespace ended."""

    def __init__(self, client: Client, options: Options) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{options.namespace}/events"
        self._page_size = options.page_size

    def of(self, name: str, uid: str) -> WorkflowStatus | None:
        """Return the end of a Workflow, or None where no event has it. Raises `EngineUnavailable`."""
        query = {"fieldSelector": f"involvedObject.kind={KIND},involvedObject.name={name}"}
        try:
            found = [event for items, _ in pages(self._client, self._path, self._page_size, **query) for event in items]
        except Refused as refused:
            # Without the permission to read events, nothing is known.
            if refused.status == 403:
                logger.warning("the end of %s cannot be looked up: %s", name, refused)
                return None
            raise
        return ending_of(name, uid, found)


def ending_of(name: str, uid: str, events: list[Json]) -> WorkflowStatus | None:
    """Return the end in a Workflow's events: the last one, where somebody retried it by hand."""
    told = [
        event
        for event in events
        if event.get("reason") in _PHASES and uid in ("", (event.get("involvedObject") or {}).get("uid"))
    ]
    if not told:
        return None
    last = max(told, key=happened_at)
    phase = _PHASES[last["reason"]]
    return WorkflowStatus(
        name=name,
        phase=phase,
        message=str(last.get("message") or "") if phase is WorkflowPhase.FAILED else "",
        finished_at=happened_at(last) or None,
        uid=str((last.get("involvedObject") or {}).get("uid") or ""),
    )
