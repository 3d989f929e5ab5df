"""Argo's checks of a spec before it runs: `invalid spec: …` and the place.

Only templates reachable from the entrypoint and the exit handler are checked, each at its first call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from engines.local.interpreter.depends import dependency_of
from engines.local.interpreter.hooks import EXIT, hooks_of
from engines.local.interpreter.items import loops
from engines.local.interpreter.tags import UNTOLD, tags_in, text_of

_LOCAL = frozenset(
    {
        *(
            "pod.name",
            "node.name",
            "steps.name",
            "tasks.name",
            "retries",
            "item",
            "workflow.failures",
            "inputs.parameters",
        ),
    }
)
_LOCAL_PREFIXES = ("item.", "lastRetry.", "outputs.")
_KINDS = ("container", "script", "containerSet", "steps", "dag", "suspend")

Template = dict[str, Any]


class InvalidSpec(Exception):
    """The spec is invalid."""


def check_spec(spec: Mapping[str, Any], templates: Mapping[str, Template], values: Mapping[str, str]) -> None:
    """Check the templates that a Workflow reaches. Raises `InvalidSpec` or `InvalidCondition`."""
    _Check(spec, templates, values).run()


class _Check:
    def __init__(self, spec: Mapping[str, Any], templates: Mapping[str, Template], values: Mapping[str, str]) -> None:
        self.spec = spec
        self.templates = templates
        self.values = values
        self.arguments = {parameter["name"] for parameter in (spec.get("arguments") or {}).get("parameters") or ()}
        self.seen: set[str] = set()
        # The known tags around an inline template.
        self.around: Callable[[str], bool] | None = None
        self.global_outputs = set(_global_outputs(templates.values()))

    def run(self) -> None:
        entrypoint = self.spec.get("entrypoint")
        if not entrypoint:
            raise InvalidSpec("spec.entrypoint is required")
        for parameter in (self.spec.get("arguments") or {}).get("parameters") or ():
            source = parameter.get("valueFrom") or {}
            own = (parameter.get("value"), parameter.get("default"), *map(source.get, ("default", "configMapKeyRef")))
            if all(value is None for value in own):
                raise InvalidSpec(
                    f"spec.arguments.{parameter['name']}.value or spec.arguments.{parameter['name']}"
                    ".valueFrom is required"
                )
        _check_choices(self.spec, "spec")
        self._enter(entrypoint, "")
        self._hooks(self.spec, {}, "spec")

    def _enter(self, name: str, prefix: str, given: Collection[str] = ()) -> None:
        template = self.templates.get(name)
        if template is None:
            raise InvalidSpec(f"{prefix}template name '{name}' undefined")
        self._supplied(template, f"{prefix}templates.{name} ", given, entry=not prefix)
        if name not in self.seen:
            self.seen.add(name)
            self._within(None, template, f"{prefix}templates.{name}")

    def _within(self, around: Callable[[str], bool] | None, template: Template, where: str) -> None:
        before, self.around = self.around, around
        self._template(template, where)
        self.around = before

    def _supplied(self, template: Template, where: str, given: Collection[str], entry: bool) -> None:
        for parameter in (template.get("inputs") or {}).get("parameters") or ():
            name, source = parameter["name"], parameter.get("valueFrom") or {}
            own = (parameter.get("value"), parameter.get("default"), *map(source.get, ("default", "configMapKeyRef")))
            if name not in given and name not in self.arguments and all(value is None for value in own):
                raise InvalidSpec(f"{where}inputs.parameters.{name} was not supplied")

    def _template(self, template: Template, where: str) -> None:
        kinds = [kind for kind in _KINDS if template.get(kind) is not None]
        if len(kinds) != 1:
            problem = "template type unspecified" if not kinds else "multiple template types specified"
            raise InvalidSpec(f"{where} {problem}. choose one of: {', '.join(_KINDS)}")
        if kinds[0] == "steps":
            self._steps(template, where)
        elif kinds[0] == "dag":
            self._dag(template, where)
        else:
            self._resolve(
                {key: value for key, value in template.items() if key not in ("outputs", "metrics")}, template, where
            )

    def _steps(self, template: Template, where: str) -> None:
        known: set[str] = set()
        names: set[str] = set()
        for index, group in enumerate(template["steps"]):
            for step in group:
                at = f"{where}.steps[{index}].{step['name']}"
                if step["name"] in names:
                    raise InvalidSpec(f"{at} name '{step['name']}' is not unique")
                names.add(step["name"])
                self._callee(step, at, self._resolve(_call_alone(step), template, at, "steps", known))
                self._hooks(step, template, at, "steps", known | {step["name"]})
            known |= {step["name"] for step in group}
        self._resolve(template.get("outputs"), template, f"{where}.outputs", "steps", known)

    def _dag(self, template: Template, where: str) -> None:
        tasks = {task["name"]: task for task in template["dag"]["tasks"]}
        conditions = {name: dependency_of(task) for name, task in tasks.items()}
        for name, condition in conditions.items():
            for dependency in condition.tasks:
                if dependency not in tasks:
                    raise InvalidSpec(f"{where}.tasks.{name} dependency '{dependency}' not defined")
        _check_cycles({name: condition.tasks for name, condition in conditions.items()}, where)
        for name in str(template["dag"].get("target") or "").split():
            # A name with a tag is looked up when it runs.
            if name not in tasks and "{{" not in name and "}}" not in name:
                raise InvalidSpec(f"{where}.targets target '{name}' is not defined")
        for name, task in tasks.items():
            at = f"{where}.tasks.{name}"
            self._callee(task, at, self._resolve(_call_alone(task), template, at, "tasks", tasks))
            self._hooks(task, template, at, "tasks", tasks)
        self._resolve(template.get("outputs"), template, f"{where}.outputs", "tasks", tasks)

    def _callee(self, step: dict[str, Any], where: str, known: Callable[[str], bool]) -> None:
        _check_choices(step, where)
        given = {parameter["name"] for parameter in (step.get("arguments") or {}).get("parameters") or ()}
        if step.get("inline"):
            self._supplied(step["inline"], f"{where} ", given, entry=False)
            self._within(known, step["inline"], where)
            return
        name = str(step.get("template") or "")
        if "{{" not in name:
            self._enter(name, f"{where} ", given)
        elif not loops(step):
            return

    def _hooks(
        self,
        holder: Mapping[str, Any],
        template: Template,
        where: str,
        prefix: str = "",
        siblings: Collection[str] = (),
    ) -> None:
        for name, hook in hooks_of(holder).items():
            at = f"{where}.hooks.{name}"
            if name != EXIT and not hook.get("expression"):
                raise InvalidSpec(f"{at} expression is required")
            if prefix:
                self._resolve(hook, template, at, prefix, siblings)
            given = {parameter["name"] for parameter in (hook.get("arguments") or {}).get("parameters") or ()}
            self._enter(str(hook.get("template") or ""), f"{at} " if prefix else "", given)

    def _resolve(
        self, value: Any, template: Template, where: str, prefix: str = "", siblings: Collection[str] = ()
    ) -> Callable[[str], bool]:
        """Return whether tags are known in a template, after those of a value."""
        inputs = template.get("inputs") or {}
        parameters = {parameter["name"] for parameter in inputs.get("parameters") or ()}
        artifacts = {artifact["name"] for artifact in inputs.get("artifacts") or ()}

        around = self.around

        def known(tag: str) -> bool:
            here = self._known(tag, prefix, siblings, parameters, artifacts)
            return here or (around is not None and around(tag))

        for tag in tags_in(value):
            if not known(tag):
                raise InvalidSpec(f"{where}: failed to resolve {{{{{tag}}}}}")
        return known

    def _known(
        self, tag: str, prefix: str, siblings: Collection[str], parameters: set[str], artifacts: set[str]
    ) -> bool:
        # Names in an expression may be missing: the expression may have a default.
        if tag in self.values or tag in _LOCAL or tag.startswith((*_LOCAL_PREFIXES, UNTOLD, "=")):
            return True
        if tag.startswith("inputs.parameters."):
            return tag.removeprefix("inputs.parameters.") in parameters
        if tag.startswith("inputs.artifacts."):
            return tag.removeprefix("inputs.artifacts.").removesuffix(".path") in artifacts
        if prefix and tag.startswith(f"{prefix}."):
            rest = tag.removeprefix(f"{prefix}.")
            parts = rest.split(".")
            return any(".".join(parts[:end]) in siblings for end in range(1, len(parts)))
        return tag in self.global_outputs


def _call_alone(step: dict[str, Any]) -> dict[str, Any]:
    """Return a step without its hooks and the template within it, which are checked separately."""
    return {key: value for key, value in step.items() if key not in ("hooks", "inline")}


def _global_outputs(templates: Collection[Template]) -> Iterator[str]:
    for template in templates:
        outputs = template.get("outputs") or {}
        for kind in ("parameters", "artifacts"):
            for output in outputs.get(kind) or ():
                if output.get("globalName"):
                    yield f"workflow.outputs.{kind}.{output['globalName']}"


def _check_choices(holder: Mapping[str, Any], where: str) -> None:
    """Check arguments that have an enum; Argo checks no other parameters' enums. Raises `InvalidSpec`."""
    for parameter in (holder.get("arguments") or {}).get("parameters") or ():
        choices, name = parameter.get("enum"), f"{where}.arguments.{parameter['name']}"
        if choices is None:
            continue
        if not choices:
            raise InvalidSpec(f"{name}.enum should contain at least one value")
        value = next((parameter[key] for key in ("value", "default") if parameter.get(key) is not None), None)
        if value is None:
            raise InvalidSpec(f"{name}.value is required")
        if text_of(value) not in map(text_of, choices):
            raise InvalidSpec(f"{name}.value should be present in {name}.enum list")


def _check_cycles(edges: dict[str, list[str]], where: str) -> None:
    waiting = {name: len(needed) for name, needed in edges.items()}
    dependents: dict[str, list[str]] = {}
    for name, needed in edges.items():
        for other in needed:
            dependents.setdefault(other, []).append(name)
    free = [name for name, count in waiting.items() if not count]
    while free:
        done = free.pop()
        del waiting[done]
        for name in dependents.get(done, ()):
            waiting[name] -= 1
            if not waiting[name]:
                free.append(name)
    if waiting:
        raise InvalidSpec(f"{where}.tasks has a dependency cycle among: {', '.join(waiting)}")
