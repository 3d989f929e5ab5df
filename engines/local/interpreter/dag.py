"""The dag template: tasks that start when their dependencies have ended.

Source: https://argo-workflows.readthedocs.io/en/latest/walk-through/dag/.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from engines.local.interpreter.calls import Bound, Call, prepared
from engines.local.interpreter.composite import FAILED_FAST, Composite, StepFault, Turn, continues_on
from engines.local.interpreter.depends import Dependency, dependency_of, holds, results_of
from engines.local.interpreter.items import loops
from engines.local.interpreter.nodes import UNSUCCESSFUL, Node
from engines.local.interpreter.tags import Unresolved, render

if TYPE_CHECKING:
    from engines.local.interpreter.machine import Machine


class _Group:
    """A loop's instances under their TaskGroup node."""

    __slots__ = ("missing", "node", "turns")

    def __init__(self, node: Node, missing: int) -> None:
        self.node = node
        self.missing = missing
        self.turns: list[Node] = []


class Dag(Composite):
    """A running dag template."""

    prefix = "tasks"

    def __init__(self, machine: Machine, call: Call, node: Node, bound: Bound) -> None:
        super().__init__(machine, call, node, bound)
        dag = self.template["dag"]
        self.tasks: dict[str, dict[str, Any]] = {task["name"]: task for task in dag["tasks"]}
        self.conditions: dict[str, Dependency] = {name: dependency_of(task) for name, task in self.tasks.items()}
        self.fault = ""
        try:
            self.targets = self._targets(dag)
        except Unresolved as error:
            self.targets, self.fault = [], str(error)
        self.wanted = self._ancestors(self.targets)
        self.dependents: dict[str, list[str]] = {name: [] for name in self.tasks}
        self.open: dict[str, int] = {}
        for name in self.wanted:
            self.open[name] = len(self.conditions[name].tasks)
            for dependency in self.conditions[name].tasks:
                self.dependents[dependency].append(name)
        self.results: dict[str, set[str]] = {}
        self.task_nodes: dict[str, Node] = {}
        self.groups: dict[str, _Group] = {}
        self.task_of: dict[str, str] = {}
        # The result of the branch that ends in each task.
        self.branches: dict[str, str] = {}
        self.running = 0
        # Tasks whose dependencies have ended and that are not checked yet.
        self.undecided = 0

    def _targets(self, dag: dict[str, Any]) -> list[str]:
        named = render(str(dag.get("target") or ""), self.scope.lookup).split()
        unknown = next((name for name in named if name not in self.tasks), None)
        if unknown is not None:
            self.fault = f"target '{unknown}' is not defined"
            return []
        return named or self._leaves()

    def _leaves(self) -> list[str]:
        needed = {name for condition in self.conditions.values() for name in condition.tasks}
        return sorted(name for name in self.tasks if name not in needed)

    def _ancestors(self, targets: list[str]) -> list[str]:
        found, waiting = set(targets), list(targets)
        while waiting:
            for name in self.conditions[waiting.pop()].tasks:
                if name not in found:
                    found.add(name)
                    waiting.append(name)
        return [name for name in self.tasks if name in found]

    def begin(self) -> None:
        """Start the tasks without dependencies."""
        if self.fault:
            self.end("Error", self.fault, [])
            return
        first = [name for name in self.wanted if self.open[name] == 0]
        self.undecided = len(first)
        for name in first:
            self._consider(name)
        self._end_if_done()

    def _consider(self, name: str) -> None:
        self.undecided -= 1
        if self.machine.halted(self.call.on_exit):
            return
        task, condition = self.tasks[name], self.conditions[name]
        if not holds(condition, self.results):
            message = "omitted: depends condition not met"
            node = self.leaf(task, self._node_name(name), name, "Omitted", message, owned=False)
            self._connect(name, node)
            self.publish(task, node)
            self._task_over(name, node)
            return
        if self.fails_fast:
            return
        self.running += 1
        ready = prepared(task)
        if not loops(task):
            self.launch(task, ready, Turn(name, {}), self._node_name(name), "")
            return
        try:
            items = self.items(task, ready)
        except StepFault as fault:
            node = self.leaf(task, self._node_name(name), name, "Error", str(fault))
            self._connect(name, node)
            self.active += 1
            self.task_of[node["id"]] = name
            return
        self._start_loop(task, ready, items)

    def _start_loop(self, task: dict[str, Any], ready: Any, items: list[Any]) -> None:
        name = task["name"]
        if not items:
            node = self.leaf(task, self._node_name(name), name, "Skipped", "Skipped, empty params")
            self.publish_loop(task, [])
            self._connect(name, node)
            self.active += 1
            self.task_of[node["id"]] = name
            return
        template = task.get("template") or ""
        group_node = self.machine.store.create(
            self._node_name(name), name, "TaskGroup", "Running", template=template, boundary=self.node["id"], flag={}
        )
        self._connect(name, group_node)
        self.groups[name] = _Group(group_node, len(items))
        self.launch_all(
            (task, ready, turn, self._node_name(turn.name), group_node["id"]) for turn in Turn.of(name, items)
        )

    def _node_name(self, name: str) -> str:
        return f"{self.node['name']}.{name}"

    def _connect(self, name: str, node: Node) -> None:
        self.task_nodes[name] = node
        store = self.machine.store
        parents = [
            last
            for dependency in self.conditions[name].tasks
            if dependency in self.task_nodes
            for last in store.outbound(self.task_nodes[dependency]["id"])
        ]
        for parent in dict.fromkeys(parents or [self.node["id"]]):
            store.link(parent, node["id"])

    def launched(self, step: dict[str, Any], turn: Turn, node: Node) -> None:
        name = step["name"]
        self.task_of[node["id"]] = name
        group = self.groups.get(name)
        if group:
            group.turns.append(node)
        else:
            self._connect(name, node)

    def child_done(self, node: Node) -> None:
        name = self.task_of[node["id"]]
        group = self.groups.get(name)
        if group is None:
            self.running -= 1
            self.publish(self.tasks[name], node)
            self._task_over(name, node)
        else:
            group.missing -= 1
            if group.missing == 0:
                self.running -= 1
                self._end_group(name, group)
        self.freed()
        self._end_if_done()

    def _end_group(self, name: str, group: _Group) -> None:
        phases = [node["phase"] for node in group.turns]
        bad = [phase for phase in phases if phase in UNSUCCESSFUL]
        self.machine.store.mark(group.node, bad[-1] if bad else "Succeeded")
        self.publish(self.tasks[name], group.node)
        self.publish_loop(self.tasks[name], group.turns)
        self._task_over(name, group.node, phases)

    def _task_over(self, name: str, node: Node, turns: list[str] | None = None) -> None:
        phase = node["phase"]
        continued = continues_on(self.tasks[name], phase)
        self.results[name] = results_of(phase, bool(node.get("daemoned")), continued, turns or [])
        self.branches[name] = self._branch(name, phase)
        self.note_failure(node)
        for other in self.dependents[name]:
            self.open[other] -= 1
            if self.open[other] == 0:
                self.undecided += 1
                self.machine.soon(partial(self._consider_later, other))

    def _branch(self, name: str, phase: str) -> str:
        """Return the result of the branch that ends in a task: the task's, or its worst ancestor's if it did not
        run."""
        if phase in UNSUCCESSFUL:
            return phase
        before = self.conditions[name].tasks if phase in ("Skipped", "Omitted") else ()
        return next((self.branches[other] for other in before if self.branches[other] in UNSUCCESSFUL), "Succeeded")

    def _consider_later(self, name: str) -> None:
        self._consider(name)
        self._end_if_done()

    def _end_if_done(self) -> None:
        halt = self.machine.halted(self.call.on_exit)
        if self.running or self.machine.is_over(self.node) or (self.undecided and not (halt or self.fails_fast)):
            return
        phase, message = self._outcome(halt)
        outbound = [
            last
            for name in self.targets
            if name in self.task_nodes
            for last in self.machine.store.outbound(self.task_nodes[name]["id"])
        ]
        self.end(phase, message, list(dict.fromkeys(outbound)))

    def _outcome(self, halt: str) -> tuple[str, str]:
        """Return phase and message of the template, which its targets decide."""
        if self.fails_fast:
            return "Failed", FAILED_FAST
        found = [
            self.branches[name]
            for name in self.targets
            if name in self.branches and not continues_on(self.tasks[name], self.branches[name])
        ]
        bad = [phase for phase in found if phase in UNSUCCESSFUL]
        if bad:
            # Without failFast Argo checks all targets, and the last one counts.
            phase = bad[0] if self.template["dag"].get("failFast") is not False else bad[-1]
            return phase, halt if halt and phase == "Failed" else ""
        if halt and any(name not in self.task_nodes for name in self.targets):
            return "Failed", halt
        return "Succeeded", ""
