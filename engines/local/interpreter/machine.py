"""A Workflow as a state machine: it gets events and returns actions.

It does no input or output. Events are method calls (`start`, `pods.done`, `stop`, `resume`, `tick`); what
actions are taken with `take_actions`: ("run", PodOrder) and ("stop", (node id, why)). `next_deadline` says when
`tick` has something to do. The work per node does not grow with the number of nodes, and a long loop is begun a few
turns at a time, so that the first of them run meanwhile; any event but the end of a pod finds all of them begun.
"""

from __future__ import annotations

import heapq
import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from engines.local.interpreter.calls import Artifact, Bound, Call, CallError, ConfigMaps, Owner, bind
from engines.local.interpreter.checks import InvalidSpec, check_spec
from engines.local.interpreter.conditions import InvalidCondition
from engines.local.interpreter.dag import Dag
from engines.local.interpreter.defaults import with_defaults, with_volumes
from engines.local.interpreter.hooks import EXIT, Hooked, hook_arguments, hooks_of
from engines.local.interpreter.memos import Memo, Memos, Remembering, memo_of, status_of
from engines.local.interpreter.nodes import ENDED, UNSUCCESSFUL, Node, NodeStore
from engines.local.interpreter.outputs import publish_globals
from engines.local.interpreter.pod_nodes import PAST_DEADLINE, PodNodes
from engines.local.interpreter.retries import Retries, limit_of, seconds_of, without_expression
from engines.local.interpreter.steps import Steps
from engines.local.interpreter.tags import Scope, Unresolved, asked_for_in, compiled, fill
from engines.local.interpreter.variables import parameters_of, workflow_values

_DEEPEST = 100
_TYPES = {"steps": "Steps", "dag": "DAG", "suspend": "Suspend"}


class _Main(Owner):
    """The caller that waits for the entrypoint or for the exit handler."""

    def __init__(self, done: Callable[[Node], None]) -> None:
        self._done = done

    def child_done(self, node: Node) -> None:
        self._done(node)


class Machine:
    """One Workflow. `phase` is '' before `start`, then Argo's; `finished` is set when nothing is left to do."""

    def __init__(
        self,
        manifest: dict[str, Any],
        *,
        uid: str,
        created_at: float,
        clock: Callable[[], float],
        config_maps: ConfigMaps | None = None,
        memos: Memos | None = None,
    ) -> None:
        self.manifest = manifest
        self.memos = memos or Memos()
        self.config_maps = config_maps or {}
        self.spec: dict[str, Any] = manifest["spec"]
        self.workflow: str = manifest["metadata"]["name"]
        self.now = clock
        self.store = NodeStore(self.workflow, clock)
        self.phase = ""
        self.message = ""
        self.started_at = self.finished_at = ""
        self.strategy = ""
        self.expired = False
        self.values: dict[str, str] = {}
        self._began = 0.0
        self.artifacts: dict[str, Artifact] = {}
        self.parameters: dict[str, str] = {}
        self.owners: dict[str, Owner] = {}
        self.pods = PodNodes(self)
        self._created_at, self._uid = created_at, uid
        self._queue: deque[Callable[[], None]] = deque()
        self._turns: deque[Iterator[None]] = deque()
        self._actions: list[tuple[str, Any]] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_number = 0
        self._suspended: dict[str, Node] = {}
        # Nodes between two attempts: whether they belong to an exit handler, and what comes next.
        self._paused: dict[str, tuple[bool, Callable[[], None]]] = {}
        self._over: set[str] = set()
        self._tags: dict[int, frozenset[str]] = {}
        self.templates: dict[str, dict[str, Any]] = {
            template["name"]: self._whole(template) for template in self.spec.get("templates") or ()
        }

    def _whole(self, template: dict[str, Any]) -> dict[str, Any]:
        """Return a template, and its inline templates, with the fields that the Workflow gives to all of them."""
        whole = with_defaults(template, self.spec.get("templateDefaults") or {})
        # Not used here; their tags have values only at the end.
        whole = {key: value for key, value in whole.items() if key != "metrics"}
        whole = with_volumes(whole, self.spec.get("volumes") or ())
        if whole.get("steps"):
            whole = {**whole, "steps": [[self._whole_call(step) for step in group] for group in whole["steps"]]}
        elif whole.get("dag"):
            dag = whole["dag"]
            whole = {**whole, "dag": {**dag, "tasks": [self._whole_call(task) for task in dag["tasks"]]}}
        return whole

    def _whole_call(self, step: dict[str, Any]) -> dict[str, Any]:
        return {**step, "inline": self._whole(step["inline"])} if step.get("inline") else step

    # Events

    def start(self) -> None:
        """Begin. An invalid spec ends the Workflow at once, as Failed, with Argo's message."""
        self.started_at = self.store.now()
        self._began = self.now()
        self.phase = "Running"
        try:
            self.parameters = parameters_of(self.spec, self.config_maps)
        except CallError as error:
            self._end("Error", str(error))
            return
        self.values.update(workflow_values(self.manifest, self.parameters, uid=self._uid, created_at=self._created_at))
        try:
            check_spec(self.spec, self.templates, self.values)
        except (InvalidSpec, InvalidCondition) as error:
            self._end("Failed", f"invalid spec: {error}")
            return
        deadline = self.spec.get("activeDeadlineSeconds")
        if deadline is not None:
            self.later(self.now() + float(deadline), self._expire)
        self._enter_main()
        self._drain()

    def stop(self, strategy: str) -> None:
        """Shut the Workflow down; `Terminate` after `Stop` also ends the exit handler."""
        if self.phase in ENDED or self.strategy in (strategy, "Terminate"):
            return
        self._begin_turns()
        self.strategy = strategy
        message = self.halted(False)
        for node in [node for node in self._suspended.values() if strategy == "Terminate" or not self._exiting()]:
            self._wake(node, "Failed", message)
        self.pods.shut_down(message, everything=strategy == "Terminate")
        self._end_pauses()
        self._drain()

    def resume(self, node_id: str = "") -> None:
        """Let one suspended node go on, or every one."""
        self._begin_turns()
        for node in list(self._suspended.values()):
            if node_id in ("", node["id"]):
                self._wake(node, "Succeeded", "")
        self._drain()

    def tick(self) -> None:
        """Do what is due."""
        now = self.now()
        if self._timers and self._timers[0][0] <= now:
            self._begin_turns()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        self._drain()

    # Queries of the supervisor

    def next_deadline(self) -> float | None:
        """Return when `tick` is to be called, in seconds of the clock, or None."""
        return self._timers[0][0] if self._timers else None

    @property
    def has_turns(self) -> bool:
        """Whether turns of a loop are not begun yet."""
        return bool(self._turns)

    @property
    def has_news(self) -> bool:
        """Whether `take_actions` has work."""
        return bool(self._queue or self._actions)

    def take_actions(self, turns: int | None = None) -> list[tuple[str, Any]]:
        """Return the actions since the last call, and begin so many of the remaining turns, or all."""
        self._begin_turns(turns)
        actions, self._actions = self._actions, []
        return actions

    # For the controllers of templates

    def act(self, verb: str, what: Any) -> None:
        """Add an action for the supervisor."""
        self._actions.append((verb, what))

    def later(self, at: float, action: Callable[[], None]) -> None:
        """Call a function at a time."""
        self._timer_number += 1
        heapq.heappush(self._timers, (at, self._timer_number, action))

    def pause(self, node: Node, seconds: float, *, on_exit: bool, then: Callable[[], None]) -> None:
        """Call a function after some seconds, or as soon as no new node may start."""
        self._paused[node["id"]] = on_exit, then
        self.later(self.now() + seconds, lambda: self._end_pause(node["id"]))

    def _end_pause(self, node_id: str) -> None:
        _, then = self._paused.pop(node_id, (False, None))
        if then is not None:
            then()

    def _end_pauses(self) -> None:
        for node_id in [node_id for node_id, (on_exit, _) in self._paused.items() if self.halted(on_exit)]:
            self._end_pause(node_id)

    def soon(self, action: Callable[[], None]) -> None:
        """Call a function after the present event."""
        self._queue.append(action)

    def gradually(self, turns: Iterator[None]) -> None:
        """Begin the turns of a loop in small batches, one with each step of the iterator."""
        self._turns.append(turns)

    def tags_of(self, template: dict[str, Any]) -> frozenset[str]:
        """Return the tags within a template; unused tags are not computed."""
        found = self._tags.get(id(template))
        if found is None:
            found = self._tags[id(template)] = frozenset(asked_for_in(template))
        return found

    def is_over(self, node: Node) -> bool:
        """Return whether a node's owner knows of its end."""
        return node["id"] in self._over

    def halted(self, on_exit: bool) -> str:
        """Return why no new node may start, or ''."""
        if self.strategy == "Terminate" or (self.strategy and not on_exit):
            return f"workflow shutdown with strategy:  {self.strategy}"
        return PAST_DEADLINE if self.expired and not on_exit else ""

    def said_of_retry(self) -> str:
        """Return Argo's message for a node that is not retried because the Workflow is ending."""
        if self.strategy:
            return f"Stopped with strategy '{self.strategy}'"
        deadline = time.gmtime(int(self._began) + int(self.spec.get("activeDeadlineSeconds") or 0))
        return f"retry exceeded workflow deadline {time.strftime('%Y-%m-%d %H:%M:%S +0000 UTC', deadline)}"

    def finish(self, node: Node, phase: str, message: str) -> None:
        """End a node and tell its owner."""
        if node["id"] in self._over:
            return
        self._over.add(node["id"])
        self.store.mark(node, phase, message)
        owner = self.owners.pop(node["id"], None)
        if owner is not None:
            self._queue.append(lambda: owner.child_done(node))

    def leaf(
        self, name: str, display: str, phase: str, message: str, *, template: str, boundary: str, owner: Owner | None
    ) -> Node:
        """Add the node of a call that does not run: it is skipped, omitted, or cannot be called."""
        node = self.store.create(
            name, display, "Skipped", phase, template=template, boundary=boundary, message=message, flag={}
        )
        if owner is not None:
            self.owners[node["id"]] = owner
        self.finish(node, phase, message)
        return node

    def call(self, call: Call, *, attempt_of_retry: bool = False) -> Node:
        """Call a template and return its node; the call's owner gets its end."""
        template = call.template
        strategy = template.get("retryStrategy")
        kind = next((name for key, name in _TYPES.items() if template.get(key) is not None), "Pod")
        scope = Scope(*call.outer, self.values, now=self.now)
        try:
            halt = self.halted(call.on_exit)
            if halt:
                return self._refused(call, kind, "Failed", halt)
            if call.depth > _DEEPEST:
                raise CallError("Maximum recursion depth exceeded")
            bound = bind(call, self.parameters, scope.inside(call.local), self.tags_of(template), self.config_maps)
            if strategy is not None and not attempt_of_retry:
                strategy = fill(compiled(without_expression(strategy)), scope.inside(bound.values).lookup)
                limit_of(strategy)
            memo = None if attempt_of_retry else memo_of(call, scope.inside(bound.values))
        except (CallError, Unresolved) as error:
            return self._refused(call, kind, "Error", str(error))
        if memo is not None:
            outputs = self.memos.load(memo, self.now())
            if outputs is not None:
                return self._remembered(call, "Retry" if strategy is not None else kind, memo, outputs, bound)
            call.owner = Remembering(self, memo, call.owner)
        node = self._called(call, kind, bound, scope, None if attempt_of_retry else strategy)
        if memo is not None:
            node["memoizationStatus"] = status_of(memo, hit=False)
        return node

    def _called(self, call: Call, kind: str, bound: Bound, scope: Scope, strategy: dict[str, Any] | None) -> Node:
        template = call.template
        if strategy is not None:
            node = self._node(call, "Retry", "Running", bound.shown)
            self._begin(Retries(self, call, node, strategy))
        elif kind == "Pod":
            return self.pods.begin(call, bound, scope)
        elif kind == "Suspend":
            node = self._node(call, kind, "Running", bound.shown)
            self._suspend(node, template, scope.inside(bound.values))
        else:
            node = self._node(call, kind, "Running", bound.shown)
            self._begin((Steps if kind == "Steps" else Dag)(self, call, node, bound))
        return node

    def _remembered(self, call: Call, kind: str, memo: Memo, outputs: dict[str, Any], bound: Bound) -> Node:
        """Add the node of a call whose outputs are known."""
        node = self._node(call, kind, "Running", bound.shown)
        node["memoizationStatus"] = status_of(memo, hit=True)
        if outputs:
            node["outputs"] = outputs
            publish_globals(outputs, self.values, self.artifacts)
        self.finish(node, "Succeeded", "")
        return node

    def _begin(self, controller: Retries | Steps | Dag) -> None:
        self._queue.append(controller.begin)

    def _node(self, call: Call, kind: str, phase: str, inputs: dict[str, Any] | None) -> Node:
        node = self.store.create(
            call.name,
            call.display,
            kind,
            phase,
            template=call.template.get("name", ""),
            boundary=call.boundary,
            inputs=inputs or None,
            flag=call.flag,
        )
        self.owners[node["id"]] = call.owner
        return node

    def _refused(self, call: Call, kind: str, phase: str, message: str) -> Node:
        node = self._node(call, kind, phase, None)
        self.finish(node, phase, message)
        return node

    def _suspend(self, node: Node, template: dict[str, Any], scope: Scope) -> None:
        self._suspended[node["id"]] = node
        wish = fill(compiled(template.get("suspend") or {}), scope.lookup)
        if not wish.get("duration"):
            return
        try:
            seconds = seconds_of(wish["duration"])
        except ValueError as error:
            self._wake(node, "Error", f"suspend.duration: {error}")
        else:
            self.later(self.now() + seconds, lambda: self._wake(node, "Succeeded", ""))

    def _wake(self, node: Node, phase: str, message: str) -> None:
        if self._suspended.pop(node["id"], None) is not None:
            self.finish(node, phase, message)

    # From the entrypoint to the end

    def arguments(self) -> tuple[dict[str, str], dict[str, Artifact]]:
        """Return the Workflow's own arguments: parameters and artifacts."""
        declared = (self.spec.get("arguments") or {}).get("artifacts") or ()
        lookup = Scope(self.values, now=self.now).lookup
        return dict(self.parameters), {artifact["name"]: fill(compiled(artifact), lookup) for artifact in declared}

    def _enter_main(self) -> None:
        main, hooks = _Main(self._main_done), hooks_of(self.spec)
        scope = Scope(self.values, now=self.now)
        hooked = Hooked(self, main, hooks, prefix="workflow", scope=scope, artifacts={}, with_exit=False)
        parameters, artifacts = self.arguments()
        node = self._enter(self.spec["entrypoint"], self.workflow, hooked if hooks else main, parameters, artifacts)
        if hooks:
            hooked.follow(node)

    def _enter(  # noqa: PLR0917
        self,
        template: str,
        name: str,
        owner: Owner,
        parameters: dict[str, str],
        artifacts: dict[str, Artifact],
        exiting: bool = False,
    ) -> Node:
        return self.call(
            Call(
                name,
                name,
                self.templates[template],
                owner,
                parameters=parameters,
                artifacts=artifacts,
                on_exit=exiting,
                flag={"hooked": True} if exiting else None,
            )
        )

    def _exiting(self) -> bool:
        return self.store.id_of(f"{self.workflow}.onExit") in self.store.nodes

    def _main_done(self, node: Node) -> None:
        phase = "Succeeded" if node["phase"] not in UNSUCCESSFUL else node["phase"]
        message = node.get("message", "")
        if self.strategy:
            phase, message = "Failed", f"Stopped with strategy '{self.strategy}'"
        self.pods.stop_daemons("")
        self.values["workflow.status"] = phase
        handler = hooks_of(self.spec).get(EXIT)
        if not handler or self.strategy == "Terminate":
            self._end(phase, message if phase != "Succeeded" else "")
            return
        self.values["workflow.failures"] = json.dumps(json.dumps(self._failures(), separators=(",", ":")))

        def exit_done(exit_node: Node) -> None:
            self._end_after_exit(phase, message, exit_node)

        try:
            scope = Scope(self.values, now=self.now)
            parameters, artifacts = hook_arguments(self, handler, self.artifacts, scope)
        except Unresolved as error:
            self._end("Error", f"error in exit template execution : {error}")
            return
        name = f"{self.workflow}.onExit"
        self._enter(handler["template"], name, _Main(exit_done), parameters, artifacts, exiting=True)

    def _end_after_exit(self, phase: str, message: str, exit_node: Node) -> None:
        self.pods.stop_daemons("")
        if self.strategy:
            phase, message = "Failed", f"Stopped with strategy '{self.strategy}'"
        elif phase == "Succeeded" and exit_node["phase"] in UNSUCCESSFUL:
            phase, message = exit_node["phase"], exit_node.get("message", "")
        self._end(phase, message if phase != "Succeeded" else "")

    def _failures(self) -> list[dict[str, str]]:
        return [
            {
                "displayName": node["displayName"],
                "message": node.get("message", ""),
                "templateName": node.get("templateName", ""),
                "phase": node["phase"],
                "podName": node["id"],
                "finishedAt": node["finishedAt"] or "",
            }
            for node in self.store.nodes.values()
            if node["type"] == "Pod" and node["phase"] in UNSUCCESSFUL
        ]

    def _end(self, phase: str, message: str) -> None:
        self.phase, self.message = phase, message
        self.finished_at = self.store.now()
        self.store.changed = True

    def _expire(self) -> None:
        if self.phase in ENDED or self.expired:
            return
        self.expired = True
        if self._exiting():
            return
        for node in list(self._suspended.values()):
            self._wake(node, "Failed", PAST_DEADLINE)
        for node_id in list(self.pods.live):
            self.pods.expire(node_id)
        self._end_pauses()

    def _drain(self) -> None:
        queue = self._queue
        if queue:
            self.values["workflow.duration"] = f"{self.now() - self._began:f}"
        while queue:
            queue.popleft()()

    def _begin_turns(self, most: int | None = None) -> None:
        self._drain()
        begun = 0
        while self._turns and (most is None or begun < most):
            for _ in self._turns[0]:
                break
            else:
                self._turns.popleft()
            begun += 1
            self._drain()

    @property
    def finished(self) -> bool:
        """Whether the Workflow has ended and none of its pods is left."""
        return self.phase in ENDED and not self.pods.live
