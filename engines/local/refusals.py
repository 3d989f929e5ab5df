"""What this engine refuses of a manifest, reported before a run: at the upload of a Schema and at a POST.

These are unknown fields, and mistakes that Argo finds only when a Workflow starts: templates,
steps and dependencies that do not exist, and circular dependencies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from typing import Any

from engines.base import Manifest, ManifestRejected
from engines.local.interpreter.checks import InvalidSpec, check_spec
from engines.local.interpreter.conditions import InvalidCondition, condition_of
from engines.local.interpreter.machine import Machine
from engines.local.interpreter.variables import parameters_of, workflow_values
from engines.local.names import is_tagged
from engines.local.validation import runnable

_NAME = "manifest"
_WHERE = re.compile(
    r"templates\.(?P<template>[-\w]+)(\.tasks\.(?P<task>[-\w]+)|\.steps\[(?P<group>\d+)\]\.(?P<step>[-\w]+))?"
)

Refusal = tuple[str, str]


def refusals_of(manifest: Manifest, provided: Set[str] = frozenset()) -> list[Refusal]:
    """Return what this engine refuses of a manifest, as JSON pointers (RFC 6901) and messages.

    `provided` are the names of parameters whose values only the execution knows.
    """
    try:
        ready = runnable(manifest, _NAME)
    except ManifestRejected as refusal:
        return [(refusal.pointer, str(refusal))]
    found = [*_conditions(ready["spec"])]
    try:
        _check_spec(ready, provided)
    except (InvalidSpec, InvalidCondition) as error:
        found.append((_pointer_of(str(error), ready["spec"]), f"invalid spec: {error}"))
    return found


def _check_spec(ready: dict[str, Any], provided: Set[str]) -> None:
    """Check a spec as at its start, with placeholders for unknown values."""
    arguments = ready["spec"].get("arguments") or {}
    declared = {one["name"]: one for one in arguments.get("parameters") or ()}
    known = [{"default": "", **one} for one in declared.values()]
    known += [{"name": name, "value": ""} for name in sorted(provided - declared.keys())]
    spec = {**ready["spec"], "arguments": {**arguments, "parameters": known}}
    whole = {**ready, "spec": spec}
    machine = Machine(whole, uid="", created_at=0.0, clock=lambda: 0.0)
    values = workflow_values(whole, {**{one["name"]: "" for one in known}, **_valued(spec)}, uid="", created_at=0.0)
    check_spec(spec, machine.templates, values)


def _valued(spec: dict[str, Any]) -> dict[str, str]:
    parameters = [
        one for one in spec["arguments"]["parameters"] if not (one.get("valueFrom") or {}).get("configMapKeyRef")
    ]
    return parameters_of({"arguments": {"parameters": parameters}})


def _conditions(spec: dict[str, Any]) -> Iterator[Refusal]:
    """Yield the conditions that cannot be read; those with tags are read when these have values."""
    for pointer, step in _steps(spec):
        when = step.get("when")
        if when and not is_tagged(when):
            try:
                condition_of(str(when))
            except InvalidCondition as error:
                yield f"{pointer}/when", str(error)


def _steps(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    waiting = [(f"/spec/templates/{index}", template) for index, template in enumerate(spec.get("templates") or ())]
    while waiting:
        at, template = waiting.pop()
        found = [
            (f"{at}/steps/{number}/{index}", step)
            for number, group in enumerate(template.get("steps") or ())
            for index, step in enumerate(group)
        ]
        tasks = (template.get("dag") or {}).get("tasks") or ()
        found += [(f"{at}/dag/tasks/{index}", task) for index, task in enumerate(tasks)]
        yield from found
        waiting += [(f"{pointer}/inline", step["inline"]) for pointer, step in found if step.get("inline")]


def _pointer_of(message: str, spec: dict[str, Any]) -> str:
    """Return the pointer of the place in Argo's message; that of the spec where it names none."""
    places = [*_WHERE.finditer(message)]
    if not places:
        field = re.match(r"spec\.(entrypoint|onExit|arguments)\b", message)
        return f"/spec/{field[1]}" if field else "/spec"
    found = places[-1]
    for index, template in enumerate(spec.get("templates") or ()):
        if template["name"] == found["template"]:
            return f"/spec/templates/{index}{_inner_of(template, found)}"
    return "/spec"


def _inner_of(template: dict[str, Any], found: re.Match[str]) -> str:
    if found["task"]:
        names = [task["name"] for task in template["dag"]["tasks"]]
        return f"/dag/tasks/{names.index(found['task'])}" if found["task"] in names else "/dag/tasks"
    if found["step"]:
        # Of two with one name the second is wrong.
        names = [step["name"] for step in reversed(template["steps"][int(found["group"])])]
        last = len(names) - 1
        return f"/steps/{found['group']}/{last - names.index(found['step'])}" if found["step"] in names else "/steps"
    return "/dag/tasks" if template.get("dag") else ""
