"""Handles steps that have failed while others still run: ends pods without use, and tells the owner.

A pod whose container `main` has failed has failed: Argo takes its outputs from that container. The pod's other
containers, such as an AI engine that waits for orders, would keep it running until the run's deadline.
"""

from __future__ import annotations

import logging
from typing import Any

from engines.base import Engine, WorkflowNotFound, WorkflowStatus
from runs.models import WorkflowRun
from runs.nodes import FAILED_PHASES, Nodes
from runs.owners import owner_of

logger = logging.getLogger(__name__)

_MAIN = "main"


def needs_tending(run: WorkflowRun, status: WorkflowStatus) -> bool:
    """Return whether failed steps of a Workflow must be handled."""
    if status.phase.is_terminal or not any(node.get("phase") in FAILED_PHASES for node in status.nodes.values()):
        return False
    return bool(abandoned_pods(status.nodes)) or owner_of(run).heeds_failed_steps(run)


def tend(run: WorkflowRun, engine: Engine) -> None:
    """End the pods that still run without use, and tell the owner of failed steps.

    Raises EngineUnavailable and NotReady to be called again.
    """
    left = []
    for node_id in abandoned_pods(run.nodes):
        logger.warning("Pod %s of run %s is ended: its container main has failed.", node_id, run.name)
        try:
            if not engine.end_pod(run.name, node_id):
                left.append(node_id)
        except WorkflowNotFound:
            return
    owner_of(run).steps_failed(run, left)


def abandoned_pods(nodes: Nodes) -> list[str]:
    """Return the pods that still run although their container `main` has failed."""
    containers: dict[str, list[dict[str, Any]]] = {}
    for node in nodes.values():
        if node.get("type") == "Container":
            containers.setdefault(str(node.get("boundaryID")), []).append(node)
    return [pod for pod, own in containers.items() if _is_abandoned(nodes.get(pod, {}), own)]


def _is_abandoned(pod: dict[str, Any], containers: list[dict[str, Any]]) -> bool:
    if pod.get("phase") != "Running":
        return False
    main_failed = any(each.get("displayName") == _MAIN and each.get("phase") in FAILED_PHASES for each in containers)
    return main_failed and any(each.get("phase") == "Running" for each in containers)
