"""The nodes of pods: order a pod, follow it while it runs, end it with its outputs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from engines.local.interpreter.calls import PLACES, Artifact, Bound, Call, CallError
from engines.local.interpreter.locking import Lock, locks_of
from engines.local.interpreter.nodes import ENDED, Node
from engines.local.interpreter.outputs import publish_globals
from engines.local.interpreter.retries import seconds_of
from engines.local.interpreter.tags import Scope, Unresolved, compiled, fill
from engines.local.templates import joined_patch

if TYPE_CHECKING:
    from engines.local.interpreter.machine import Machine

PAST_DEADLINE = "Step exceeded its deadline"
KILLED_AT_DEADLINE = "Pod was active on the node longer than the specified deadline"
_LONGEST_POD_NAME = 253
_DURATIONS = ("timeout", "activeDeadlineSeconds")


class PodOrder:
    """A pod to be run: its template with every tag replaced, and its input artifacts."""

    __slots__ = ("artifacts", "capture", "locks", "node_id", "on_exit", "pod_name", "template")

    def __init__(
        self,
        node_id: str,
        pod_name: str,
        template: dict[str, Any],
        artifacts: dict[str, Artifact],
        *,
        on_exit: bool,
        capture: bool,
        locks: list[Lock],
    ) -> None:
        self.node_id = node_id
        self.pod_name = pod_name
        self.template = template
        self.artifacts = artifacts
        self.on_exit = on_exit
        # Whether the container's standard output is used.
        self.capture = capture
        self.locks = locks


class PodOutcome:
    """How a pod ended: `outputs` as in a NodeStatus, `containers` maps names to (phase, message)."""

    __slots__ = ("containers", "message", "outputs", "phase")

    def __init__(
        self, phase: str, message: str, outputs: dict[str, Any], containers: dict[str, tuple[str, str]] | None = None
    ) -> None:
        self.phase = phase
        self.message = message
        self.outputs = outputs
        self.containers = containers or {}


def pod_name_of(workflow: str, node_id: str, template_name: str) -> str:
    """Return the name that Argo would give a node's pod."""
    if node_id == workflow:
        return workflow
    hashed = node_id.removeprefix(f"{workflow}-")
    prefix = f"{workflow}-{template_name}" if template_name else workflow
    return f"{prefix[: _LONGEST_POD_NAME - len(hashed) - 1]}-{hashed}"


class _Live:
    __slots__ = ("call", "ready", "stopping")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.ready = False
        self.stopping = ""


class PodNodes:
    """All pods of a Workflow as its machine sees them."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.live: dict[str, _Live] = {}
        self.daemons: dict[str, list[str]] = {}
        self._compiled: dict[int, Any] = {}

    def begin(self, call: Call, bound: Bound, scope: Scope) -> Node:
        """Add a pod's node and order the pod."""
        machine, template = self.machine, call.template
        name = template.get("name", "")
        node = machine.store.create(
            call.name,
            call.display,
            "Pod",
            "Pending",
            template=name,
            boundary=call.boundary,
            inputs=bound.shown or None,
            flag=call.flag,
        )
        machine.owners[node["id"]] = call.owner
        pod_name = pod_name_of(machine.workflow, node["id"], name)
        local = {"pod.name": pod_name, "node.name": call.name, "retries": "0", **call.local, **bound.values}
        local.update(self._output_paths(template, scope.inside(local)))
        ready = self._compiled.get(id(template))
        if ready is None:
            ready = self._compiled[id(template)] = compiled(self._whole(template))
        try:
            filled = fill(ready, scope.inside(local).lookup)
            filled = {**filled, **self._placement(filled, call)}
            locks = locks_of(filled.get("synchronization"), machine.config_maps)
            durations = {key: seconds_of(filled[key]) for key in _DURATIONS if filled.get(key)}
        except (CallError, Unresolved, ValueError) as error:
            machine.finish(node, "Error", str(error))
            return node
        self._add_containers(node, filled, call)
        self.live[node["id"]] = _Live(call)
        if "timeout" in durations:
            machine.later(machine.now() + durations["timeout"], lambda: self.expire(node["id"]))
        order = PodOrder(
            node["id"], pod_name, filled, bound.artifacts, on_exit=call.on_exit, capture=call.capture, locks=locks
        )
        machine.act("run", order)
        return node

    def _output_paths(self, template: dict[str, Any], scope: Scope) -> dict[str, str]:
        """Return the paths of a template's outputs, as tags."""
        if not any(tag.startswith("outputs.") for tag in self.machine.tags_of(template)):
            return {}
        outputs = template.get("outputs") or {}
        paths = {f"parameters.{one['name']}": (one.get("valueFrom") or {}) for one in outputs.get("parameters") or ()}
        paths |= {f"artifacts.{one['name']}": one for one in outputs.get("artifacts") or ()}
        found: dict[str, str] = {}
        for name, holder in paths.items():
            # An unresolved one is reported at its own place.
            with contextlib.suppress(Unresolved):
                if holder.get("path"):
                    found[f"outputs.{name}.path"] = fill(compiled(holder["path"]), scope.lookup)
        return found

    def _placement(self, template: dict[str, Any], call: Call) -> dict[str, Any]:
        """Return the placement of a pod: its template's, else its caller's, else the Workflow's."""
        found: dict[str, Any] = {}
        for key in PLACES:
            if template.get(key):
                continue
            if call.placement.get(key):
                found[key] = call.placement[key]
            elif self.machine.spec.get(key):
                scope = Scope(self.machine.values, now=self.machine.now)
                found[key] = fill(compiled(self.machine.spec[key]), scope.lookup)
        return found

    def _whole(self, template: dict[str, Any]) -> dict[str, Any]:
        """Return a pod's template with the Workflow's fields for all pods."""
        # retryStrategy concerns attempts, not the pod; metrics have values only at the end and are not used.
        whole = {key: value for key, value in template.items() if key not in ("retryStrategy", "metrics")}
        spec = self.machine.spec
        patch = joined_patch(spec.get("podSpecPatch"), template.get("podSpecPatch"))
        if patch:
            whole["podSpecPatch"] = patch
        if spec.get("podResources") and not template.get("podResources"):
            whole["podResources"] = spec["podResources"]
        return whole

    def _add_containers(self, node: Node, template: dict[str, Any], call: Call) -> None:
        containers = (template.get("containerSet") or {}).get("containers") or ()
        store = self.machine.store
        for container in containers:
            store.create(
                f"{call.name}.{container['name']}",
                container["name"],
                "Container",
                "Pending",
                template=template.get("name", ""),
                boundary=node["id"],
            )
        for container in containers:
            own = store.id_of(f"{call.name}.{container['name']}")
            for parent in dict.fromkeys(container.get("dependencies") or ()):
                store.link(store.id_of(f"{call.name}.{parent}"), own)
            if not container.get("dependencies"):
                store.link(node["id"], own)

    def scheduled(self, node_id: str, host: str, active_deadline: float | None = None) -> None:
        """Handle that a pod got a place to run; its own deadline, in seconds, counts from here."""
        node = self.machine.store.nodes[node_id]
        node["hostNodeName"] = host
        self.machine.store.changed = True
        if active_deadline is not None:
            self.machine.later(self.machine.now() + active_deadline, lambda: self.expire(node_id))

    def pending(self, node_id: str, message: str) -> None:
        """Set the message why a pod does not run yet."""
        node = self.machine.store.nodes[node_id]
        if node["phase"] == "Pending":
            self.machine.store.mark(node, "Pending", message)

    def running(self, node_id: str) -> None:
        """Handle that a pod's containers run."""
        node = self.machine.store.nodes[node_id]
        if node["phase"] == "Pending":
            self.machine.store.mark(node, "Running", "")

    def container(self, node_id: str, name: str, phase: str, message: str) -> None:
        """Handle the phase of one container of a containerSet."""
        store = self.machine.store
        node = store.nodes.get(store.id_of(f"{store.nodes[node_id]['name']}.{name}"))
        if node is not None and node["type"] == "Container":
            store.mark(node, phase, message)

    def ready(self, node_id: str, address: str) -> None:
        """Handle that a daemon is ready: the next nodes start while it runs."""
        live = self.live.get(node_id)
        if live is None or live.ready:
            return
        live.ready = True
        node = self.machine.store.nodes[node_id]
        node["daemoned"] = True
        node["podIP"] = address
        self.daemons.setdefault(live.call.boundary, []).append(node_id)
        self.machine.finish(node, "Running", "")

    def done(self, node_id: str, outcome: PodOutcome) -> None:
        """Handle the end of a pod."""
        live = self.live.pop(node_id, None)
        if live is None:
            return
        machine, node = self.machine, self.machine.store.nodes[node_id]
        for name, (phase, message) in outcome.containers.items():
            self.container(node_id, name, phase, message)
        if outcome.outputs:
            node["outputs"] = outcome.outputs
            publish_globals(outcome.outputs, machine.values, machine.artifacts)
        phase, message = outcome.phase, outcome.message
        if phase == "Succeeded" and live.call.template.get("daemon") and not live.stopping:
            # A daemon must not end by itself.
            phase = "Failed"
        if live.stopping == KILLED_AT_DEADLINE:
            phase, message = "Failed", KILLED_AT_DEADLINE
        if live.ready:
            node.pop("daemoned", None)
            machine.store.mark(node, "Succeeded" if live.stopping else phase, "" if live.stopping else message)
            return
        machine.finish(node, phase, message)

    def expire(self, node_id: str) -> None:
        """End a pod whose deadline has passed."""
        live = self.live.get(node_id)
        if live is None or live.ready:
            return
        node = self.machine.store.nodes[node_id]
        if node.get("hostNodeName"):
            if not live.stopping:
                live.stopping = KILLED_AT_DEADLINE
                self.machine.act("stop", (node_id, KILLED_AT_DEADLINE))
            return
        self._drop(node_id, PAST_DEADLINE)

    def shut_down(self, message: str, everything: bool) -> None:
        """End all pods, those of the exit handler only when `everything`."""
        for node_id, live in list(self.live.items()):
            if live.call.on_exit and not everything:
                continue
            node = self.machine.store.nodes[node_id]
            if node["phase"] == "Pending" and not node.get("hostNodeName"):
                self._drop(node_id, message)
            elif not live.stopping:
                live.stopping = message
                if not live.ready:
                    self.machine.store.mark(node, "Failed", message)
                self.machine.act("stop", (node_id, message))

    def _drop(self, node_id: str, message: str) -> None:
        """End a pod that has not started."""
        del self.live[node_id]
        machine, node = self.machine, self.machine.store.nodes[node_id]
        machine.act("stop", (node_id, message))
        for child_id in node.get("children", ()):
            if machine.store.nodes[child_id]["type"] == "Container":
                self._fail_containers(child_id, message)
        machine.finish(node, "Failed", message)

    def _fail_containers(self, container_id: str, message: str) -> None:
        node = self.machine.store.nodes[container_id]
        if node["phase"] in ENDED:
            return
        self.machine.store.mark(node, "Failed", message)
        for child_id in node.get("children", ()):
            if self.machine.store.nodes[child_id]["type"] == "Container":
                self._fail_containers(child_id, message)

    def stop_daemons(self, boundary: str) -> None:
        """End the daemons that were started within a template."""
        for node_id in self.daemons.pop(boundary, ()):
            live = self.live.get(node_id)
            if live is not None and not live.stopping:
                live.stopping = "daemon"
                self.machine.act("stop", (node_id, "daemon"))
