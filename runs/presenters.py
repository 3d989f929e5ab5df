"""Runs as the HTTP API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from runs.models import Node, RunEvent, WorkflowRun
from runs.nodes import Nodes, in_tree_order


def present_runs(runs: Sequence[WorkflowRun], base_url: str) -> list[dict[str, Any]]:
    """Show runs in a list, without large documents."""
    return [present_summary(run, base_url) for run in runs]


def present_summary(run: WorkflowRun, base_url: str) -> dict[str, Any]:
    """Show a run without large documents."""
    return {
        "url": f"{base_url}{run.name}/",
        "name": run.name,
        "phase": run.phase,
        "reason": run.reason,
        "message": run.message,
        "progress": run.progress,
        "owner_kind": run.owner_kind,
        "owner_id": run.owner_id,
        "attempt": run.attempt,
        "engine": run.engine,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "submitted_at": run.submitted_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "deadline_at": run.deadline_at,
        "pending_deadline_at": run.pending_deadline_at,
        "stop_requested_at": run.stop_requested_at,
        "delete_requested_at": run.delete_requested_at,
    }


def present_run(run: WorkflowRun, base_url: str) -> dict[str, Any]:
    """Show a run with its nodes and events."""
    return {
        **present_summary(run, base_url),
        "images": run.images,
        "nodes": present_nodes(run.nodes),
        "events": present_events(list(run.events.all())),
    }


def present_events(events: Sequence[RunEvent]) -> list[dict[str, Any]]:
    """Show a run's events."""
    return [
        {
            "at": event.at,
            "cause": event.cause,
            "from_phase": event.from_phase,
            "to_phase": event.to_phase,
            "message": event.message,
        }
        for event in events
    ]


def present_nodes(nodes: Nodes) -> list[dict[str, Any]]:
    """Show nodes in the order of their tree: each after its parent, with its depth."""
    return [
        {
            "id": node.get("id", ""),
            "depth": depth,
            "name": node.get("name", ""),
            "display_name": node.get("displayName", ""),
            "type": node.get("type", ""),
            "template": node.get("templateName", ""),
            "phase": node.get("phase", ""),
            "message": node.get("message", ""),
            "progress": node.get("progress", ""),
            "started_at": node.get("startedAt"),
            "finished_at": node.get("finishedAt"),
            "host": node.get("hostNodeName", ""),
            "children": node.get("children") or [],
        }
        for depth, node in in_tree_order(nodes)
    ]


def present_cluster_nodes(nodes: Sequence[Node]) -> list[dict[str, Any]]:
    """Show the engines' cluster nodes."""
    key, value = settings.CENTRAL_NODE_LABEL_KEY, settings.CENTRAL_NODE_LABEL_VALUE
    return [
        {
            "engine": node.engine,
            "name": node.name,
            "partner": node.partner or None,
            "central": node.labels.get(key) == value,
            "labels": node.labels,
            "ready": node.ready,
            "message": node.message,
            "seen_at": node.seen_at,
        }
        for node in nodes
    ]
