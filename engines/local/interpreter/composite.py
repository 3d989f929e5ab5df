"""Common parts of steps and dag templates: calls of children within the parallelism, and outputs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from engines.local.interpreter.calls import PLACES, Artifact, Bound, Call, CallError, Owner, arguments_of, prepared
from engines.local.interpreter.conditions import InvalidCondition, when_holds
from engines.local.interpreter.expressions import is_asked_for
from engines.local.interpreter.hooks import Hooked, hooks_of
from engines.local.interpreter.items import LOOPS, InvalidLoop, instance, items_of
from engines.local.interpreter.nodes import UNSUCCESSFUL, Node
from engines.local.interpreter.outputs import (
    composite_outputs,
    publish,
    publish_globals,
    publish_loop,
    publish_skipped,
)
from engines.local.interpreter.tags import UNTOLD, Scope, Unresolved, compiled, fill, part, sole_tag, text_of

if TYPE_CHECKING:
    from engines.local.interpreter.machine import Machine

# The number of calls that are made before the first of them can run.
_AT_ONCE = 8
FAILED_FAST = "template has failed or errored children and failFast enabled"
# Faults of a step whose tags have values; each becomes the message of a node in phase Error.
StepFault = (Unresolved, InvalidLoop, InvalidCondition, CallError)


def continues_on(step: dict[str, Any], phase: str) -> bool:
    """Return whether the next steps run although the step ended in this phase."""
    wish = step.get("continueOn") or {}
    return bool((phase == "Failed" and wish.get("failed")) or (phase == "Error" and wish.get("error")))


class Turn:
    """One call of a step: the step itself, or one item of its loop."""

    __slots__ = ("item", "name")

    def __init__(self, name: str, item: dict[str, str]) -> None:
        self.name = name
        self.item = item

    @staticmethod
    def of(name: str, items: list[Any]) -> Iterator[Turn]:
        """Yield the turns of a loop, each made on demand."""
        return (Turn(*instance(name, index, item)) for index, item in enumerate(items))


class Composite(Owner):
    """A running steps or dag template."""

    prefix = "steps"

    def __init__(self, machine: Machine, call: Call, node: Node, bound: Bound) -> None:
        self.machine = machine
        self.call = call
        self.node = node
        self.template = call.template
        self.values: dict[str, str] = {}
        self.artifacts: dict[str, Artifact] = {}
        for name, artifact in bound.artifacts.items():
            self.artifacts[f"inputs.artifacts.{name}"] = artifact
        self.scope = Scope(self.values, bound.values, *call.outer, machine.values, now=machine.now)
        limit = self.template.get("parallelism")
        self.limit = int(limit) if limit else 0
        self.active = 0
        self.asked = machine.tags_of(self.template)
        self.captures_all = any(tag.startswith(UNTOLD) and tag.endswith(".outputs.result") for tag in self.asked)
        self.broken = False
        # Outputs of what did not run, without a default.
        self.absent: set[str] = set()
        self.waiting: deque[tuple[dict[str, Any], Any, Turn, str, str]] = deque()

    def items(self, step: dict[str, Any], ready: Any) -> list[Any]:
        """Return the items of a step's loop. Raises one of `StepFault`.

        Empty where the items are not known and its `when` is false without an item.
        """
        loop = {key: part(ready, key) for key in LOOPS}
        try:
            return items_of({key: fill(value, self.scope.lookup) for key, value in loop.items() if value is not None})
        except StepFault:
            if self._is_left_out(step, ready):
                return []
            raise

    def _is_left_out(self, step: dict[str, Any], ready: Any) -> bool:
        try:
            return bool(step.get("when")) and not when_holds(fill(part(ready, "when"), self.scope.lookup))
        except StepFault:
            return False

    def launch(self, step: dict[str, Any], ready: Any, turn: Turn, full_name: str, parent: str) -> None:
        """Call a step's template, now or when the template's parallelism lets it."""
        if self.limit and self.active >= self.limit:
            self.waiting.append((step, ready, turn, full_name, parent))
            return
        self.active += 1
        node = self._called(step, ready, turn, full_name)
        if parent:
            self.machine.store.link(parent, node["id"])
        self.launched(step, turn, node)

    def launch_all(self, calls: Iterable[tuple[dict[str, Any], Any, Turn, str, str]]) -> None:
        """Launch calls, each given by the arguments of `launch`: the first at once, more of them bit by bit.

        Where the template's parallelism holds them back, all wait in the queue at once: a failure may drop them.
        """
        rest = self._launched_one_by_one(calls)
        for _ in rest if self.limit else islice(rest, _AT_ONCE):
            pass
        self.machine.gradually(rest)

    def _launched_one_by_one(self, calls: Iterable[tuple[dict[str, Any], Any, Turn, str, str]]) -> Iterator[None]:
        for call in calls:
            self.launch(*call)
            yield

    @property
    def fails_fast(self) -> bool:
        """Whether a child has failed and the template's failFast stops new calls."""
        return self.broken and self.template.get("failFast") is True

    def launched(self, step: dict[str, Any], turn: Turn, node: Node) -> None:
        """Register a child's node."""

    def freed(self) -> None:
        """Let the next waiting call begin after a child has ended."""
        self.active -= 1
        if self.fails_fast:
            return
        while self.waiting and self.active < self.limit:
            self.launch(*self.waiting.popleft())

    def _called(self, step: dict[str, Any], ready: Any, turn: Turn, full_name: str) -> Node:
        machine, boundary = self.machine, self.node["id"]
        named = {f"{self.prefix}.name": turn.name}
        scope = self.scope.inside(turn.item, named)
        try:
            if step.get("when"):
                condition = fill(part(ready, "when"), scope.lookup)
                if not when_holds(condition):
                    return self.leaf(step, full_name, turn.name, "Skipped", f"when '{condition}' evaluated false")
            name = fill(part(ready, "template"), scope.lookup) or ""
            template = step.get("inline") or machine.templates.get(text_of(name))
            if template is None:
                raise CallError(f"template '{name}' not found")
            arguments, absent = self._given(step, ready)
            filled = fill(arguments, scope.lookup)
            parameters, artifacts = arguments_of(filled, self._visible_artifacts(), scope)
            placement = self.placement
        except StepFault as fault:
            return self.leaf(step, full_name, turn.name, "Error", str(fault))
        hooked = self._hooked(step, scope, placement)
        node = machine.call(
            Call(
                full_name,
                turn.name,
                template,
                hooked or self,
                parameters=parameters,
                artifacts=artifacts,
                boundary=boundary,
                on_exit=self.call.on_exit,
                depth=self.call.depth + 1,
                capture=self.captures_all or is_asked_for(f"{self.prefix}.{step['name']}.outputs.result", self.asked),
                placement=placement,
                outer=scope.layers[:-1] if step.get("inline") else (),
                absent=absent,
                local=named,
            )
        )
        if hooked:
            hooked.follow(node)
        return node

    def _hooked(self, step: dict[str, Any], scope: Scope, placement: dict[str, Any]) -> Hooked | None:
        """Return the object that waits for a step's hooks, None for a step without hooks."""
        hooks = hooks_of(step)
        if not hooks:
            return None
        return Hooked(
            self.machine,
            self,
            hooks,
            prefix=f"{self.prefix}.{step['name']}",
            scope=scope,
            artifacts=self._visible_artifacts(),
            boundary=self.node["id"],
            on_exit=self.call.on_exit,
            depth=self.call.depth,
            placement=placement,
        )

    def leaf(  # noqa: PLR0917
        self, step: dict[str, Any], name: str, display: str, phase: str, message: str, owned: bool = True
    ) -> Node:
        """Add the node of a step that does not run or cannot be called."""
        return self.machine.leaf(
            name,
            display,
            phase,
            message,
            template=step.get("template") or "",
            boundary=self.node["id"],
            owner=self if owned else None,
        )

    def _given(self, step: dict[str, Any], ready: Any) -> tuple[Any, list[str]]:
        """Return a step's compiled arguments without those that are only an absent output, and the names of these."""
        arguments = part(ready, "arguments")
        if not self.absent or not arguments:
            return arguments, []
        given = step["arguments"].get("parameters") or []
        absent = [one["name"] for one in given if sole_tag(one.get("value")) in self.absent]
        if not absent:
            return arguments, absent
        left = [one for one in given if one["name"] not in absent]
        return part(prepared({**step, "arguments": {**step["arguments"], "parameters": left}}), "arguments"), absent

    def publish(self, step: dict[str, Any], node: Node) -> None:
        """Add the tags of a step that has ended, or that does not run."""
        prefix = f"{self.prefix}.{step['name']}"
        publish(prefix, node, self.values, self.artifacts)
        if node["phase"] in ("Skipped", "Omitted") and not node.get("outputs"):
            publish_skipped(prefix, self._callee(step), self.values, self.absent)
            self.publish_nothing(step)

    def publish_nothing(self, step: dict[str, Any]) -> None:
        """Add placeholders for the artifacts of a step that does not run."""

    def publish_loop(self, step: dict[str, Any], nodes: list[Node]) -> None:
        """Add the gathered outputs of a step's loop."""
        outputs = self._callee(step).get("outputs") or {}
        declared = [parameter["name"] for parameter in outputs.get("parameters") or ()]
        publish_loop(f"{self.prefix}.{step['name']}", nodes, self.values, declared)

    def _callee(self, step: dict[str, Any]) -> dict[str, Any]:
        return step.get("inline") or self.machine.templates.get(str(step.get("template"))) or {}

    @cached_property
    def placement(self) -> dict[str, Any]:
        """The placement that called templates inherit. Raises `Unresolved`."""
        own = {key: self.template[key] for key in PLACES if self.template.get(key)}
        placement: dict[str, Any] = fill(compiled(own), self.scope.lookup)
        return placement

    def _visible_artifacts(self) -> dict[str, Artifact]:
        shared = self.machine.artifacts
        return {**shared, **self.artifacts} if shared else self.artifacts

    def end(self, phase: str, message: str, outbound: list[str]) -> None:
        """End the template: stop its daemons, gather its outputs."""
        machine, node = self.machine, self.node
        if outbound:
            node["outboundNodes"] = outbound
        if phase == "Succeeded":
            try:
                outputs = composite_outputs(self.template, self.scope, self._visible_artifacts(), self.absent)
            except CallError as error:
                phase, message = "Error", str(error)
            else:
                if outputs:
                    node["outputs"] = outputs
                    publish_globals(outputs, machine.values, machine.artifacts)
        machine.pods.stop_daemons(node["id"])
        machine.finish(node, phase, message)

    def note_failure(self, node: Node) -> None:
        """Note that a child failed."""
        if node["phase"] in UNSUCCESSFUL:
            self.broken = True
