"""The templates of a manifest, who calls which, and what a text with references can become at run time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from schemas.manifest.faults import escape

TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
WORKFLOW_PARAMETER = "workflow.parameters."
INPUT_PARAMETER = "inputs.parameters."
TEMPLATE_DEFAULTS = "/spec/templateDefaults"

Json = Any

_Place = tuple[str, str, Mapping[str, Json]]
_MAX_NESTED_LISTS = 3
# One for all, since texts are told apart by the very step they stand in.
_NO_STEP: Mapping[str, Json] = {}


@dataclass(frozen=True)
class Entry:
    """A value somewhere in a manifest; `template` is the pointer of the template around it, '' outside of all."""

    pointer: str
    key: str
    value: Json
    template: str
    is_key: bool = False


@dataclass(frozen=True)
class Call:
    """A place that starts a template: a step, a task, a hook, or the Workflow itself.

    `within` is the template that the place is in; `step` the step or task, for its items; `arguments` its parameters.
    """

    target: str
    within: str
    step: Mapping[str, Json]
    arguments: Mapping[str, Json]
    of_workflow: bool = False


def as_mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def named_values(parameters: Json) -> dict[str, Json]:
    """Return a list of parameters as name → parameter."""
    return {str(item["name"]): item for item in as_list(parameters) if isinstance(item, dict) and "name" in item}


def text_of(value: Json) -> str | None:
    """Return a parameter's value as Argo writes it into a text, or None for one that is not known beforehand."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None


class Outline:
    """A manifest's templates and calls. `provided` are the parameters that the orchestrator gives."""

    def __init__(self, manifest: Mapping[str, Json], provided: Set[str]) -> None:
        self.provided = provided
        self.spec = as_mapping(manifest.get("spec"))
        self.declared = named_values(as_mapping(self.spec.get("arguments")).get("parameters"))
        self.templates: dict[str, Mapping[str, Json]] = {}
        self.pointers: dict[str, list[str]] = {}
        self.entries = list(self._walk(manifest, "", "", ""))
        self._nested_lists = 0
        self._calls_by_target: dict[str, list[Call]] = {}
        for call in self._calls():
            self._calls_by_target.setdefault(call.target, []).append(call)

    def inputs(self, template: str) -> dict[str, Json]:
        """Return the declared input parameters of the template at a pointer."""
        inputs = as_mapping(self.templates.get(template, _NO_STEP).get("inputs"))
        return named_values(inputs.get("parameters"))

    def calls_of(self, template: str) -> list[Call]:
        return self._calls_by_target.get(template, [])

    def origins(self, text: str, template: str, step: Mapping[str, Json] | None = None) -> set[str]:
        """Return what a text of one reference can come from: followed through inputs, arguments and items.

        Each origin is a literal text, `{{workflow.parameters.X}}` where the orchestrator gives X, `{{item.x}} of
        <origin>` for the items of such a parameter, or the text itself where nothing is known. Never empty.
        """
        found: set[str] = set()
        seen: set[tuple[str, str, int]] = set()
        todo: list[_Place] = [(text, template, step or _NO_STEP)]
        while todo:
            text_there, place, step_there = todo.pop()
            key = (text_there, place, id(step_there))
            if key in seen:
                continue
            seen.add(key)
            ends, further = self._follow(text_there, place, step_there)
            found |= ends
            todo += further
        return found or {text}

    def _follow(self, text: str, template: str, step: Mapping[str, Json]) -> tuple[set[str], list[_Place]]:
        """Return where a text's trail ends, and the texts to go on with."""
        match = TAG.fullmatch(text.strip())
        reference = match.group(1).strip() if match else ""
        if reference.startswith(WORKFLOW_PARAMETER):
            return self._follow_workflow(reference.removeprefix(WORKFLOW_PARAMETER), text)
        if reference.startswith(INPUT_PARAMETER):
            return self._follow_input(reference.removeprefix(INPUT_PARAMETER), text, template)
        if reference == "item" or reference.startswith("item."):
            return self._items(reference, template, step), []
        return {text}, []

    def _follow_workflow(self, name: str, text: str) -> tuple[set[str], list[_Place]]:
        if name in self.provided:
            return {f"{{{{{WORKFLOW_PARAMETER}{name}}}}}"}, []
        value = text_of(as_mapping(self.declared.get(name)).get("value"))
        return ({text}, []) if value is None else (set(), [(value, "", _NO_STEP)])

    def _follow_input(self, name: str, text: str, template: str) -> tuple[set[str], list[_Place]]:
        inputs = self.inputs(template)
        calls = self.calls_of(template)
        if template in ("", TEMPLATE_DEFAULTS) or name not in inputs or not calls:
            return {text}, []
        declared = as_mapping(inputs[name])
        own = text_of(declared.get("value", declared.get("default")))
        ends: set[str] = set()
        further: list[_Place] = []
        for call in calls:
            argument = as_mapping(call.arguments.get(name))
            value = text_of(argument.get("value"))
            if call.of_workflow and (name in self.provided or name in self.declared):
                further.append((f"{{{{{WORKFLOW_PARAMETER}{name}}}}}", "", _NO_STEP))
            elif value is not None:
                further.append((value, call.within, call.step))
            elif argument or "valueFrom" in declared:
                ends.add(text)
            elif own is not None:
                further.append((own, template, _NO_STEP))
            else:
                # An input that is declared by its name only takes the Workflow's argument of that name.
                further.append((f"{{{{{WORKFLOW_PARAMETER}{name}}}}}", "", _NO_STEP))
        return ends, further

    def _items(self, reference: str, template: str, step: Mapping[str, Json]) -> set[str]:
        listed = step.get("withParam")
        # Items of items of … lead nowhere that is allowed.
        if not isinstance(listed, str) or self._nested_lists >= _MAX_NESTED_LISTS:
            # Whatever else the items are, the manifest's author chose them.
            return {f"{{{{{reference}}}}}"}
        self._nested_lists += 1
        try:
            return {f"{{{{{reference}}}}} of {origin}" for origin in self.origins(listed, template)}
        finally:
            self._nested_lists -= 1

    def _walk(self, value: Json, pointer: str, key: str, template: str) -> Iterator[Entry]:
        yield Entry(pointer, key, value, template)
        if isinstance(value, dict):
            for name, item in value.items():
                where = f"{pointer}/{escape(name)}"
                yield Entry(where, name, name, template, is_key=True)
                inner = self._enter(where, name, item) or template
                yield from self._walk(item, where, name, inner)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                where = f"{pointer}/{index}"
                inner = self._enter(where, "", item) or template
                yield from self._walk(item, where, key, inner)

    def _enter(self, pointer: str, key: str, value: Json) -> str:
        """Note a template that starts here, and return its pointer."""
        is_listed = re.fullmatch(r"/spec/templates/\d+", pointer) is not None
        if not isinstance(value, dict) or not (is_listed or key == "inline" or pointer == TEMPLATE_DEFAULTS):
            return ""
        self.templates[pointer] = value
        if is_listed and isinstance(value.get("name"), str):
            self.pointers.setdefault(value["name"], []).append(pointer)
        return pointer

    def _calls(self) -> Iterator[Call]:
        for field in ("entrypoint", "onExit"):
            for target in self.pointers.get(str(self.spec.get(field)), []):
                yield Call(target, "", _NO_STEP, self.declared, of_workflow=True)
        for entry in self.entries:
            if not isinstance(entry.value, dict) or entry.is_key:
                continue
            place = entry.value
            arguments = named_values(as_mapping(place.get("arguments")).get("parameters"))
            if isinstance(place.get("template"), str):
                for target in self.pointers.get(place["template"], []):
                    yield Call(target, entry.template, place, arguments)
            if isinstance(place.get("inline"), dict):
                yield Call(f"{entry.pointer}/inline", entry.template, place, arguments)
            if isinstance(place.get("onExit"), str) and entry.pointer != "/spec":
                for target in self.pointers.get(place["onExit"], []):
                    yield Call(target, entry.template, _NO_STEP, {})
