"""Lifecycle hooks: templates that a step, a task or the Workflow calls while it runs, and when it has ended.

Source: https://argo-workflows.readthedocs.io/en/latest/lifecyclehook/. A hook is called once, as soon as its expression
is true; the one that is named `exit`, and `onExit`, when its owner has ended. A caller that waits for the owner waits
for its hooks too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engines.local.interpreter.calls import Artifact, Call, CallError, Owner, arguments_of, prepared
from engines.local.interpreter.expressions import holds
from engines.local.interpreter.nodes import Node
from engines.local.interpreter.outputs import publish_to_hooks
from engines.local.interpreter.tags import Scope, Unresolved, fill, part
from engines.local.interpreter.values import InvalidExpression

if TYPE_CHECKING:
    from engines.local.interpreter.machine import Machine

EXIT = "exit"
_OF_WORKFLOW = "of workflow"
_BEGUN = ("Running", "Succeeded", "Failed", "Error")
_COMPLETED = ("Succeeded", "Failed", "Error")


def hooks_of(holder: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the hooks of a step, a task or a spec by name."""
    found = dict(holder.get("hooks") or {})
    if holder.get("onExit"):
        found[EXIT] = {"template": holder["onExit"], _OF_WORKFLOW: True}
    return found


def hook_arguments(
    machine: Machine, hook: Mapping[str, Any], artifacts: dict[str, Artifact], scope: Scope
) -> tuple[dict[str, str], dict[str, Artifact]]:
    """Return the arguments of a hook's template; `onExit` gets the Workflow's own arguments. Raises `Unresolved`.

    A tag without a value stays as it is (workflow/controller/exit_handler.go, `resolveExitTmplArgument`).
    """
    if hook.get(_OF_WORKFLOW):
        return machine.arguments()

    def value_or_tag(tag: str) -> str:
        try:
            return scope.lookup(tag)
        except Unresolved:
            return f"{{{{{tag}}}}}"

    filled = fill(part(prepared({**hook, "expression": None}), "arguments"), value_or_tag)
    return arguments_of(filled, artifacts, scope)


class Hooked(Owner):
    """Stands between a node with hooks and the caller that waits for its end.

    `prefix` begins the tags of the node. Without `with_exit` another object calls the hook named `exit`.
    """

    def __init__(
        self,
        machine: Machine,
        owner: Owner,
        hooks: dict[str, dict[str, Any]],
        *,
        prefix: str,
        scope: Scope,
        artifacts: dict[str, Artifact],
        boundary: str = "",
        on_exit: bool = False,
        depth: int = 0,
        with_exit: bool = True,
        placement: dict[str, Any] | None = None,
    ) -> None:
        self.machine = machine
        self.owner = owner
        self.exit = hooks.get(EXIT) if with_exit else None
        self.waiting = {name: hook for name, hook in hooks.items() if name != EXIT}
        self.prefix = prefix
        self.boundary = boundary
        self.on_exit = on_exit
        self.depth = depth
        self.placement = placement
        self.values: dict[str, str] = {}
        self.artifacts = dict(artifacts)
        self.scope = scope.inside(self.values)
        self.node: Node = {}
        self.open = 0
        self.ended = False
        self.fault = ""

    def follow(self, node: Node) -> None:
        """Evaluate the expressions now, and at every change of the node's phase."""
        self.node = node
        if self.waiting:
            self.machine.store.watchers[node["id"]] = lambda: self.machine.soon(self._look)
            self._look()

    def _look(self) -> None:
        phase = self.node["phase"]
        if phase not in _BEGUN or self.machine.halted(self.on_exit):
            return
        self.values[f"{self.prefix}.status"] = phase
        for name, hook in list(self.waiting.items()):
            try:
                if not holds(str(hook.get("expression") or ""), self.scope.names(self.artifacts)):
                    continue
                del self.waiting[name]
                self._call(hook, f"hooks.{name}", on_exit=self.on_exit)
            except (InvalidExpression, Unresolved, CallError) as error:
                self.waiting.pop(name, None)
                self.fault = f"hook {name}: {error}"

    def _call(self, hook: dict[str, Any], name: str, *, on_exit: bool) -> None:
        machine, node = self.machine, self.node
        template = machine.templates.get(str(hook.get("template")))
        if template is None:
            raise CallError(f"template '{hook.get('template')}' not found")
        parameters, artifacts = hook_arguments(machine, hook, self.artifacts, self.scope)
        self.open += 1
        called = machine.call(
            Call(
                f"{node['name']}.{name}",
                f"{node['displayName']}.{name}",
                template,
                _Ended(self),
                parameters=parameters,
                artifacts=artifacts,
                boundary=self.boundary,
                on_exit=on_exit,
                depth=self.depth + 1,
                flag={"hooked": True},
                placement=self.placement,
            )
        )
        machine.store.link(node["id"], called["id"])

    def child_done(self, node: Node) -> None:
        """Handle the node's own end: start its exit hook."""
        self.machine.store.watchers.pop(node["id"], None)
        publish_to_hooks(self.prefix, node, self.values, self.artifacts)
        self._look()
        self.ended = True
        if self.exit and node["phase"] in _COMPLETED and self.machine.strategy != "Terminate":
            try:
                expression = str(self.exit.get("expression") or "")
                if not expression or holds(expression, self.scope.names(self.artifacts)):
                    self._call(self.exit, "onExit", on_exit=True)
            except (InvalidExpression, Unresolved, CallError) as error:
                self.fault = f"hook {EXIT}: {error}"
        self._end_if_done()

    def hook_done(self) -> None:
        """Handle a hook's end."""
        self.open -= 1
        self._end_if_done()

    def _end_if_done(self) -> None:
        if not self.ended or self.open:
            return
        if self.fault:
            self.machine.store.mark(self.node, "Error", self.fault)
        self.owner.child_done(self.node)


class _Ended(Owner):
    def __init__(self, hooked: Hooked) -> None:
        self.hooked = hooked

    def child_done(self, node: Node) -> None:
        self.hooked.hook_done()
