"""Reads a Workflow's nodes: whether anything has started, why the Workflow failed, its nodes as a tree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engines.base import WorkflowPhase, WorkflowStatus

Nodes = Mapping[str, dict[str, Any]]

# The node types that do work themselves; the others only group nodes.
# https://argo-workflows.readthedocs.io/en/latest/fields/#nodestatus
WORKING_TYPES = frozenset({"Pod", "Container", "Suspend", "HTTP", "Plugin"})
FAILED_PHASES = frozenset({"Failed", "Error"})
# NUL as JSON writes it; after an escaped backslash the same letters are not a NUL.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def something_started(status: WorkflowStatus) -> bool:
    """Return whether any node of a Workflow has started; Argo calls a Workflow Running before any pod runs."""
    if status.phase.is_terminal:
        return True
    return status.phase is WorkflowPhase.RUNNING and any(
        node.get("type") in WORKING_TYPES and node.get("phase") not in ("", "Pending", None)
        for node in status.nodes.values()
    )


def is_waiting(status: WorkflowStatus) -> bool:
    """Return whether a Workflow, or a pod of it, has yet to start."""
    if status.phase.is_terminal:
        return False
    return not something_started(status) or any(
        node.get("type") == "Pod" and node.get("phase") in ("", "Pending", None) for node in status.nodes.values()
    )


def failure_message(status: WorkflowStatus) -> str:
    """Return the engine's message for a failure: the Workflow's, and that of the node that failed first."""
    first = first_failure(status.nodes)
    if not first or (status.message and status.message in first):
        return first or status.message or f"The Workflow ended as {status.phase}."
    return f"{status.message} ({first})" if status.message else first


def first_failure(nodes: Nodes) -> str:
    """Return the name and the message of the node that failed first, or an empty text."""
    failed = [node for node in nodes.values() if node.get("phase") in FAILED_PHASES and _has_own_words(node)]
    failed.sort(key=lambda node: str(node.get("finishedAt") or "~"))
    return f"{failed[0].get('displayName') or failed[0].get('name')}: {failed[0]['message']}" if failed else ""


def _has_own_words(node: dict[str, Any]) -> bool:
    return node.get("type") in WORKING_TYPES and bool(node.get("message"))


def waiting_message(nodes: Nodes) -> str:
    """Return the name and the message of the first waiting node, or an empty text."""
    for node in nodes.values():
        if node.get("phase") == "Pending" and node.get("message"):
            return f"{node.get('displayName') or node.get('name')}: {node['message']}"
    return ""


def waited_for(before: Nodes, after: Nodes) -> str:
    """Return what the first node waited for that failed without having started, or an empty text.

    Argo overwrites that message: a pod that could not be scheduled ends with the deadline as its only reason.
    """
    for node_id, node in after.items():
        earlier = before.get(node_id, {})
        if node.get("phase") in FAILED_PHASES and earlier.get("phase") == "Pending" and earlier.get("message"):
            return str(earlier["message"])
    return ""


def pod_of(nodes: Nodes, node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the pod's node of a container's node, any other node itself; None if the pod's node is missing."""
    for _ in range(len(nodes)):
        if node.get("type") != "Container":
            return node
        if node.get("boundaryID") not in nodes:
            return None
        node = nodes[str(node["boundaryID"])]
    return None


def is_within(node: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether a node is another node or within it: Argo's names are paths."""
    if node.get("id") == other.get("id"):
        return True
    name, above = str(node.get("name") or ""), str(other.get("name") or "")
    return bool(above) and name.startswith(above) and name[len(above) : len(above) + 1] in (".", "[", "(")


def given_up(nodes: Nodes) -> list[dict[str, Any]]:
    """Return the nodes of steps that have failed and are not retried: pods, or the nodes that group their attempts."""
    attempts = {child for node in nodes.values() if node.get("type") == "Retry" for child in node.get("children") or ()}
    return [
        node
        for node_id, node in nodes.items()
        if node.get("phase") in FAILED_PHASES
        and (node.get("type") == "Retry" or (node.get("type") == "Pod" and node_id not in attempts))
    ]


class NodesEncoder(json.JSONEncoder):
    """Writes nodes without NUL: a program's output may contain it, PostgreSQL's jsonb may not."""

    def encode(self, o: Any) -> str:
        text = super().encode(o)
        return _NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def in_tree_order(nodes: Nodes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each node once with its depth, parents before children; nodes without a parent come last."""
    seen: set[str] = set()
    children = {child for node in nodes.values() for child in node.get("children") or ()}
    roots = [node_id for node_id in nodes if node_id not in children]
    yield from _walk(nodes, roots, seen)
    yield from _walk(nodes, nodes, seen)


def _walk(nodes: Nodes, roots: Iterable[str], seen: set[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    # A stack instead of recursion: a loop of a thousand steps is a thousand levels deep.
    waiting = [(0, node_id) for node_id in reversed(list(roots))]
    while waiting:
        depth, node_id = waiting.pop()
        if node_id in seen or node_id not in nodes:
            continue
        seen.add(node_id)
        yield depth, nodes[node_id]
        waiting.extend((depth + 1, child) for child in reversed(nodes[node_id].get("children") or []))
