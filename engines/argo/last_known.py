"""What is still known of a deleted Workflow: Argo's controller writes events, which outlive the Workflow.

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

_BEGINNING = "WorkflowRunning"
_ENDS = {"WorkflowSucceeded": WorkflowPhase.SUCCEEDED, "WorkflowFailed": WorkflowPhase.FAILED}


class LastKnown:
    """Finds what events tell of the Workflows of one namespace."""

    def __init__(self, client: Client, options: Options) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{options.namespace}/events"
        self._page_size = options.page_size

    def of(self, name: str, uid: str) -> WorkflowStatus | None:
        """Return the last known status of a Workflow, or None where no event has it. Raises `EngineUnavailable`."""
        query = {"fieldSelector": f"involvedObject.kind={KIND},involvedObject.name={name}"}
        try:
            found = [event for items, _ in pages(self._client, self._path, self._page_size, **query) for event in items]
        except Refused as refused:
            # Without the permission to read events, nothing is known.
            if refused.status == 403:
                logger.warning("what became of %s cannot be looked up: %s", name, refused)
                return None
            raise
        return last_known(name, uid, found)


def last_known(name: str, uid: str, events: list[Json]) -> WorkflowStatus | None:
    """Return what a Workflow's events tell: its last end, where somebody retried it by hand, or that it began."""
    told = [event for event in events if uid in ("", _uid(event))]
    ends = [event for event in told if event.get("reason") in _ENDS]
    if ends:
        last = max(ends, key=happened_at)
        phase = _ENDS[last["reason"]]
        message = str(last.get("message") or "") if phase is WorkflowPhase.FAILED else ""
        return WorkflowStatus(name, phase, message, finished_at=happened_at(last) or None, uid=_uid(last))
    beginnings = [event for event in told if event.get("reason") == _BEGINNING]
    if beginnings:
        last = max(beginnings, key=happened_at)
        return WorkflowStatus(name, WorkflowPhase.RUNNING, started_at=happened_at(last) or None, uid=_uid(last))
    return None


def _uid(event: Json) -> str:
    return str((event.get("involvedObject") or {}).get("uid") or "")
