"""The nodes of a Workflow's status, named, linked and counted as in Argo.

Source: https://argo-workflows.readthedocs.io/en/latest/fields/#nodestatus.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable
from typing import Any

Node = dict[str, Any]

COUNTED_TYPES = frozenset({"Pod", "Container", "Suspend"})
_COMPOSITE_TYPES = frozenset({"Steps", "StepGroup", "DAG", "TaskGroup", "Retry"})
ENDED = frozenset({"Succeeded", "Failed", "Error", "Skipped", "Omitted"})
UNSUCCESSFUL = frozenset({"Failed", "Error"})
_PROGRESS_WORK = 20_000
MOST_NODES = 100_000
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class TooManyNodes(Exception):
    """A Workflow has more nodes than one supervisor can hold."""


def _is_counted_by_children(node: Node) -> bool:
    """Return whether a node's progress is the sum of its children's: a loop over nothing may have the next group."""
    return node["type"] in _COMPOSITE_TYPES or (node["type"] == "Skipped" and bool(node.get("children")))


def fnv32a(text: str, state: int = 0x811C9DC5) -> int:
    """Return the 32-bit FNV-1a hash (http://www.isthe.com/chongo/tech/comp/fnv/) of a text."""
    for byte in text.encode():
        state = ((state ^ byte) * 0x01000193) & 0xFFFFFFFF
    return state


def rfc3339(at: float) -> str:
    """Return a time in seconds since 1970 as Kubernetes writes it: UTC, whole seconds."""
    return time.strftime(_TIME, time.gmtime(at))


def seconds_between(start: str, end: str | None) -> str:
    """Return the time between two times of nodes, in whole seconds; 0 where one is missing."""
    if not start or not end:
        return "0"
    began, ended = (calendar.timegm(time.strptime(moment, _TIME)) for moment in (start, end))
    return str(ended - began)


class NodeStore:
    """All nodes of one Workflow. `changed` is set with every change."""

    def __init__(self, workflow: str, clock: Callable[[], float]) -> None:
        self.workflow = workflow
        self.nodes: dict[str, Node] = {}
        self.total = 0
        self.succeeded = 0
        self.changed = True
        # Listeners for every change of a node's phase, by its id.
        self.watchers: dict[str, Callable[[], None]] = {}
        self._clock = clock
        self._hashed = fnv32a(workflow)
        self._second = (0, "")

    def now(self) -> str:
        """Return the present time as text."""
        second = int(self._clock())
        if self._second[0] != second:
            self._second = (second, rfc3339(second))
        return self._second[1]

    def id_of(self, name: str) -> str:
        """Return the id of the node of that name."""
        if name == self.workflow:
            return name
        if name.startswith(self.workflow):
            return f"{self.workflow}-{fnv32a(name[len(self.workflow) :], self._hashed)}"
        return f"{self.workflow}-{fnv32a(name)}"

    def create(
        self,
        name: str,
        display: str,
        kind: str,
        phase: str,
        *,
        template: str = "",
        boundary: str = "",
        inputs: dict[str, Any] | None = None,
        flag: dict[str, bool] | None = None,
        message: str = "",
    ) -> Node:
        """Add a node. Raises `TooManyNodes`."""
        if len(self.nodes) >= MOST_NODES:
            raise TooManyNodes(f"the Workflow has more than {MOST_NODES:,} nodes")
        now = self.now()
        node: Node = {
            "id": self.id_of(name),
            "name": name,
            "displayName": display,
            "type": kind,
            "phase": phase,
            "startedAt": now,
            "finishedAt": now if phase in ENDED else None,
            "templateScope": f"local/{self.workflow}",
        }
        if template:
            node["templateName"] = template
        if boundary:
            node["boundaryID"] = boundary
        if inputs:
            node["inputs"] = inputs
        if flag is not None:
            node["nodeFlag"] = flag
        if message:
            node["message"] = message
        if kind in COUNTED_TYPES:
            node["progress"] = "1/1" if phase == "Succeeded" else "0/1"
            self.total += 1
        self.nodes[node["id"]] = node
        self.changed = True
        return node

    def link(self, parent_id: str, child_id: str) -> None:
        """Make a node the child of another."""
        self.nodes[parent_id].setdefault("children", []).append(child_id)
        self.changed = True

    def mark(self, node: Node, phase: str, message: str | None = None) -> None:
        """Give a node a phase and, unless None, a message."""
        before = node["phase"]
        if before != phase:
            node["phase"] = phase
            if phase in ENDED:
                node["finishedAt"] = self.now()
            else:
                node["finishedAt"] = None
            if node["type"] in COUNTED_TYPES:
                self.succeeded += (phase == "Succeeded") - (before == "Succeeded")
                node["progress"] = "1/1" if phase == "Succeeded" else "0/1"
            watcher = self.watchers.get(node["id"])
            if watcher is not None:
                watcher()
        if message is not None:
            if message:
                node["message"] = message
            else:
                node.pop("message", None)
        self.changed = True

    def outbound(self, node_id: str) -> list[str]:
        """Return the nodes to which the next node is attached as a child."""
        node = self.nodes[node_id]
        kind, children = node["type"], node.get("children", [])
        if (node.get("memoizationStatus") or {}).get("hit"):
            return [node_id]
        if kind in ("Steps", "DAG"):
            return [last for outbound in node.get("outboundNodes", []) for last in self.outbound(outbound)]
        if kind == "Retry":
            return children[-1:] or [node_id]
        if kind in ("TaskGroup", "Container", "Pod") and children:
            own = [child for child in children if kind == "TaskGroup" or self.nodes[child]["type"] == "Container"]
            found = [last for child in own for last in self.outbound(child)]
            return list(dict.fromkeys(found)) or [node_id]
        return [node_id]

    def progress(self) -> str:
        """Return how many of the executed nodes have succeeded, as `done/all`."""
        return f"{self.succeeded}/{self.total}"

    def count_composites(self, last: bool = False) -> None:
        """Write the progress of composite nodes; a large status gets it only at the end."""
        composites = [node for node in self.nodes.values() if _is_counted_by_children(node)]
        if not last and len(composites) * len(self.nodes) > _PROGRESS_WORK:
            return
        if len(composites) * len(self.nodes) > _PROGRESS_WORK * 100:
            composites = composites[:1]
        for node in composites:
            done, total = self._counted(node)
            if total or node["type"] in _COMPOSITE_TYPES:
                node["progress"] = f"{done}/{total}"

    def _counted(self, node: Node) -> tuple[int, int]:
        seen, waiting, done, total = {node["id"]}, list(node.get("children", ())), 0, 0
        while waiting:
            child_id = waiting.pop()
            if child_id in seen:
                continue
            seen.add(child_id)
            child = self.nodes[child_id]
            if child["type"] in COUNTED_TYPES:
                total += 1
                done += child["phase"] == "Succeeded"
            waiting.extend(child.get("children", ()))
        return done, total
