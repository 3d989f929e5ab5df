"""The steps template: groups one after the other, the steps of a group together.

Source: https://argo-workflows.readthedocs.io/en/latest/walk-through/steps/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from engines.local.interpreter.calls import Bound, Call, prepared
from engines.local.interpreter.composite import FAILED_FAST, Composite, StepFault, Turn, continues_on
from engines.local.interpreter.items import loops
from engines.local.interpreter.nodes import UNSUCCESSFUL, Node

if TYPE_CHECKING:
    from engines.local.interpreter.machine import Machine


class Steps(Composite):
    """A running steps template."""

    def __init__(self, machine: Machine, call: Call, node: Node, bound: Bound) -> None:
        super().__init__(machine, call, node, bound)
        self.index = -1
        self.group: Node = node
        self.missing = 0
        self.step_of: dict[str, dict[str, Any]] = {}
        self.looped: dict[str, list[Node]] = {}

    def begin(self) -> None:
        """Start the first group."""
        self._next_group()

    def _next_group(self) -> None:
        self.index += 1
        groups = self.template["steps"]
        if self.index >= len(groups):
            self.end("Succeeded", "", self._outbound())
            return
        store, before = self.machine.store, self.group
        name = f"{self.node['name']}[{self.index}]"
        self.group = store.create(name, f"[{self.index}]", "StepGroup", "Running", boundary=self.node["id"], flag={})
        if self.index == 0 or not before.get("children"):
            store.link(before["id"], self.group["id"])
        else:
            for outbound in self._outbound_of(before):
                store.link(outbound, self.group["id"])
        self.step_of.clear()
        self.looped.clear()
        self._start_group(groups[self.index], name)

    def _start_group(self, group: list[dict[str, Any]], name: str) -> None:
        calls: list[tuple[dict[str, Any], Any, Iterable[Turn]]] = []
        self.missing = 0
        for step in group:
            ready = prepared(step)
            if not loops(step):
                calls.append((step, ready, [Turn(step["name"], {})]))
                self.missing += 1
                continue
            try:
                items = self.items(step, ready)
            except StepFault as fault:
                self._fail_group("Error", str(fault))
                return
            self.looped[step["name"]] = []
            if not items:
                full_name = f"{name}.{step['name']}"
                node = self.leaf(step, full_name, step["name"], "Skipped", "Skipped, empty params", owned=False)
                self.machine.store.link(self.group["id"], node["id"])
            calls.append((step, ready, Turn.of(step["name"], items)))
            self.missing += len(items)
        if not self.missing:
            self.machine.soon(self._end_group)
        group_id = self.group["id"]
        self.launch_all(
            (step, ready, turn, f"{name}.{turn.name}", group_id) for step, ready, turns in calls for turn in turns
        )

    def launched(self, step: dict[str, Any], turn: Turn, node: Node) -> None:
        self.step_of[node["id"]] = step
        if step["name"] in self.looped:
            self.looped[step["name"]].append(node)

    def publish_nothing(self, step: dict[str, Any]) -> None:
        for artifact in (self._callee(step).get("outputs") or {}).get("artifacts") or ():
            self.artifacts[f"steps.{step['name']}.outputs.artifacts.{artifact['name']}"] = {}

    def child_done(self, node: Node) -> None:
        step = self.step_of[node["id"]]
        if step["name"] not in self.looped:
            self.publish(step, node)
        if not continues_on(step, node["phase"]):
            self.note_failure(node)
        self.missing -= 1
        self.freed()
        if self.waiting and self.fails_fast:
            self.missing -= len(self.waiting)
            self.waiting.clear()
        if self.missing == 0:
            self._end_group()

    def _end_group(self) -> None:
        for child_id in self.group.get("children", ()):
            child, step = self.machine.store.nodes[child_id], self.step_of.get(child_id, {})
            if child["phase"] in UNSUCCESSFUL and not continues_on(step, child["phase"]):
                if child["type"] == "Skipped":
                    self._fail_group("Error", child["message"])
                else:
                    self._fail_group("Failed", FAILED_FAST if self.fails_fast else f"child '{child_id}' failed")
                return
        for step in self.template["steps"][self.index]:
            if step["name"] in self.looped:
                self.publish_loop(step, self.looped[step["name"]])
        self.machine.store.mark(self.group, "Succeeded")
        halt = self.machine.halted(self.call.on_exit)
        if halt and self.index + 1 < len(self.template["steps"]):
            self.end("Failed", halt, self._outbound())
            return
        self._next_group()

    def _fail_group(self, phase: str, message: str) -> None:
        self.machine.store.mark(self.group, phase, message)
        self.end("Failed", message, self._outbound())

    def _outbound(self) -> list[str]:
        return self._outbound_of(self.group) if self.group is not self.node else []

    def _outbound_of(self, group: Node) -> list[str]:
        outbound = self.machine.store.outbound
        return list(dict.fromkeys(last for child in group.get("children", ()) for last in outbound(child)))
