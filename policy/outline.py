"""The templates of a manifest, who calls which, and what a text with references can become at run time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from policy.faults import escape

TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
WORKFLOW_PARAMETER = "workflow.parameters."
INPUT_PARAMETER = "inputs.parameters."
TEMPLATE_DEFAULTS = "/spec/templateDefaults"
# Around the name of a parameter whose value only the execution will have. No manifest can hold this character.
SYMBOL = re.compile("\0([^\0]*)\0")

Json = Any

# Argo fills the innermost tags first.
_BRACES = re.compile(r"\{\{|\}\}")
_INNERMOST = re.compile(r"\{\{([^{}]*)\}\}")
# A bound over all texts of a manifest: calls of calls can lead to exponentially many.
_MOST_PLACES = 20_000
_LONGEST = 64 * 1024
# A text of this length counts as much work as another place.
_PLACE_LENGTH = 512
_NOTHING: Mapping[str, Json] = {}


@dataclass(frozen=True)
class Entry:
    """A value somewhere in a manifest; `template` is the pointer of the template around it, '' outside of all
    templates."""

    pointer: str
    key: str
    value: Json
    template: str
    is_key: bool = False


@dataclass(frozen=True, eq=False)
class Call:
    """A place that starts a template: a step, a task, a hook, or the Workflow itself.

    `within` is the template that the place is in; `step` the step or task, for its items; `arguments` its parameters.
    """

    target: str
    within: str
    step: Mapping[str, Json]
    arguments: Mapping[str, Json]
    of_workflow: bool = False


_Place = tuple[str, str, Call | None]


def as_mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def named_values(parameters: Json) -> dict[str, Json]:
    """Return a list of parameters as name → parameter."""
    return {str(item["name"]): item for item in as_list(parameters) if isinstance(item, dict) and "name" in item}


def text_of(value: Json) -> str | None:
    """Return a parameter's value as Argo writes it into a text, or None where it is not known yet."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None


def tags_of(text: str) -> Iterator[str]:
    """Yield what stands between the braces of every reference of a text, inner references included."""
    begun: list[int] = []
    for braces in _BRACES.finditer(text):
        if braces[0] == "{{":
            begun.append(braces.end())
        elif begun:
            yield text[begun.pop() : braces.start()].strip()


def symbol(name: str) -> str:
    """Return the symbol for the value of a parameter that only an execution will have."""
    return f"\0{name}\0"


def readable(text: str) -> str:
    """Return a text with its symbols as the references that a manifest's author wrote."""
    return SYMBOL.sub(
        lambda found: f"{{{{{found[1] if ' of ' in found[1] else WORKFLOW_PARAMETER + found[1]}}}}}", text
    )


class Outline:
    """A manifest's templates and calls.

    `provided` are the parameters that the orchestrator gives and whose values the manifest does not have yet; `known`
    the values of some of them.
    """

    def __init__(
        self, manifest: Mapping[str, Json], provided: Set[str], known: Mapping[str, str] | None = None
    ) -> None:
        self.manifest = manifest
        self.provided = provided
        self.spec = as_mapping(manifest.get("spec"))
        self.declared = named_values(as_mapping(self.spec.get("arguments")).get("parameters"))
        self.templates: dict[str, Mapping[str, Json]] = {}
        self.pointers: dict[str, list[str]] = {}
        self._known = known or {}
        self._find_templates()
        self._calls_by_target: dict[str, list[Call]] = {}
        for call in self._calls():
            self._calls_by_target.setdefault(call.target, []).append(call)
        self._becomes: dict[tuple[str, str], tuple[str, ...]] = {}
        self._listing: set[Call] = set()
        self._places_left = _MOST_PLACES

    @cached_property
    def entries(self) -> list[Entry]:
        """Every value and key of the manifest."""
        return list(self._walk(self.manifest, "", "", ""))

    def inputs(self, template: str) -> dict[str, Json]:
        """Return the declared input parameters of the template at a pointer."""
        inputs = as_mapping(self.templates.get(template, _NOTHING).get("inputs"))
        return named_values(inputs.get("parameters"))

    def calls_of(self, template: str) -> list[Call]:
        return self._calls_by_target.get(template, [])

    def becomes(self, text: str, template: str) -> tuple[str, ...]:
        """Return all values of a text in the template at a pointer, with its references filled in.

        References of one text are filled in together, as one call or one item of a loop does it. What only the
        execution knows is a symbol; a reference that stays open may become anything. Never empty.
        """
        if "{{" not in text:
            return (text,)
        key = (text, template)
        if key not in self._becomes:
            self._becomes[key] = self._followed(text, template, None)
        return self._becomes[key]

    def becomes_at(self, text: str, entry: Entry) -> tuple[str, ...]:
        """Return all values of a text at an entry: as `becomes`, in a step with the items of its loop."""
        steps = _steps(self.templates.get(entry.template, _NOTHING), entry.template)
        step = next((step for where, step in steps if entry.pointer.startswith(f"{where}/")), None)
        if step is None or "{{item" not in text.replace(" ", ""):
            return self.becomes(text, entry.template)
        return self._followed(text, entry.template, Call("", entry.template, step, _NOTHING))

    def _followed(self, text: str, template: str, call: Call | None) -> tuple[str, ...]:
        found: dict[str, None] = {}
        seen: set[_Place] = set()
        todo: list[_Place] = [(text, template, call)]
        while todo:
            place = todo.pop()
            if place in seen:
                continue
            seen.add(place)
            further = self._next(*place)
            if further is None:
                found[place[0]] = None
                continue
            self._places_left -= sum(1 + len(each[0]) // _PLACE_LENGTH for each in further)
            if self._places_left < 0 or any(len(each[0]) > _LONGEST for each in further):
                return (text,)
            todo += further
        return tuple(found) or (text,)

    def _next(self, text: str, template: str, call: Call | None) -> list[_Place] | None:
        """Return a text after one step along its references, or None where no step is left."""
        references = {match[1].strip() for match in _INNERMOST.finditer(text)}
        values = {name: self._workflow_value(name) for name in references if name.startswith(WORKFLOW_PARAMETER)}
        if any(value is not None for value in values.values()):
            return [(_filled(text, values), template, call)]
        if any(name == "item" or name.startswith("item.") for name in references):
            items = self._items(call, template)
            if items is not None:
                return [(_filled(text, {name: _of_item(item, name) for name in references}), *at) for item, at in items]
        inputs = {name for name in references if name.startswith(INPUT_PARAMETER)}
        if not inputs or not (calls := self.calls_of(template)):
            return None
        declared = self.inputs(template)
        further: list[_Place] = []
        for caller in calls:
            given = {name: self._argument(name.removeprefix(INPUT_PARAMETER), declared, caller) for name in inputs}
            # References that this call leaves open stay open: they must not be taken for inputs of the caller.
            filled = {name: f"{{{{?{name}}}}}" if value is None else value for name, value in given.items()}
            further.append((_filled(text, filled), caller.within, caller))
        return further

    def _workflow_value(self, reference: str) -> str | None:
        name = reference.removeprefix(WORKFLOW_PARAMETER)
        if name in self.provided:
            return self._known.get(name, symbol(name))
        return text_of(as_mapping(self.declared.get(name)).get("value"))

    def _argument(self, name: str, declared: Mapping[str, Json], call: Call) -> str | None:
        """Return what a call gives to an input, as a text in the place of the call."""
        if name not in declared:
            return None
        own = as_mapping(declared[name])
        argument = as_mapping(call.arguments.get(name))
        value = text_of(argument.get("value"))
        by_name = f"{{{{{WORKFLOW_PARAMETER}{name}}}}}"
        if call.of_workflow and (name in self.provided or name in self.declared):
            return by_name
        if value is not None:
            return value
        if argument or "valueFrom" in own:
            return None
        default = text_of(own.get("value", own.get("default")))
        if default is not None:
            # It is the template's own text, so its inputs are not the caller's.
            return None if INPUT_PARAMETER in default else default
        # An input that is only declared by its name takes the Workflow's argument of that name.
        return by_name

    def _items(self, call: Call | None, template: str) -> list[tuple[Json, tuple[str, Call | None]]] | None:
        """Return the items of the loop around a text, each with the place of the text then, or None where they are
        not known."""
        if call is None:
            # A template that stands within its step sees the step's items.
            calls = self.calls_of(template) if template.endswith("/inline") else []
            found = [self._items(each, each.within) for each in calls]
            if not calls or any(items is None for items in found):
                return None
            return [(item, (template, None)) for items in found for item, _ in items or []]
        listed = self._listed(call)
        return None if listed is None else [(item, (call.within, None)) for item in listed]

    def _listed(self, call: Call) -> list[Json] | None:
        if isinstance(call.step.get("withItems"), list):
            items: list[Json] = call.step["withItems"]
            return None if "{{" in json.dumps(items) else items
        listed = call.step.get("withParam")
        if not isinstance(listed, str):
            return None
        if call in self._listing:  # Endless items of items are never allowed.
            return None
        self._listing.add(call)
        try:
            texts = self.becomes(listed, call.within)
        finally:
            self._listing.discard(call)
        found: list[Json] = []
        for text in texts:
            if SYMBOL.fullmatch(text):
                found.append(_SymbolicItem(text.strip("\0")))
                continue
            try:
                items = json.loads(text)
            except ValueError:
                return None
            if not isinstance(items, list):
                return None
            found += items
        return found

    def _walk(self, value: Json, pointer: str, key: str, template: str) -> Iterator[Entry]:
        yield Entry(pointer, key, value, template)
        if isinstance(value, dict):
            for name, item in value.items():
                where = f"{pointer}/{escape(name)}"
                yield Entry(where, name, name, template, is_key=True)
                yield from self._walk(item, where, name, where if where in self.templates else template)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                where = f"{pointer}/{index}"
                yield from self._walk(item, where, key, where if where in self.templates else template)

    def _find_templates(self) -> None:
        for index, template in enumerate(as_list(self.spec.get("templates"))):
            pointer = f"/spec/templates/{index}"
            if isinstance(template, dict) and isinstance(template.get("name"), str):
                self.pointers.setdefault(template["name"], []).append(pointer)
            self._enter(pointer, template)
        if "templateDefaults" in self.spec:
            self._enter(TEMPLATE_DEFAULTS, self.spec["templateDefaults"])

    def _enter(self, pointer: str, template: Json) -> None:
        if isinstance(template, dict):
            self.templates[pointer] = template
            for where, step in _steps(template, pointer):
                self._enter(f"{where}/inline", step.get("inline"))

    def _calls(self) -> Iterator[Call]:
        for field in ("entrypoint", "onExit"):
            for target in self.pointers.get(str(self.spec.get(field)), []):
                yield Call(target, "", _NOTHING, self.declared, of_workflow=True)
        yield from self._hooks(self.spec, "")
        for pointer, template in self.templates.items():
            yield from self._hooks(template, pointer)
            for where, step in _steps(template, pointer):
                arguments = _arguments(step)
                for target in self.pointers.get(str(step.get("template")), []):
                    yield Call(target, pointer, step, arguments)
                if isinstance(step.get("inline"), dict):
                    yield Call(f"{where}/inline", pointer, step, arguments)
                for target in self.pointers.get(str(step.get("onExit")), []):
                    yield Call(target, pointer, _NOTHING, {})
                yield from self._hooks(step, pointer)

    def _hooks(self, holder: Mapping[str, Json], within: str) -> Iterator[Call]:
        for hook in as_mapping(holder.get("hooks")).values():
            for target in self.pointers.get(str(as_mapping(hook).get("template")), []):
                yield Call(target, within, _NOTHING, _arguments(as_mapping(hook)))


@dataclass(frozen=True)
class _SymbolicItem:
    """Any item of a list that only the execution knows."""

    of: str


def _arguments(place: Mapping[str, Json]) -> Mapping[str, Json]:
    return named_values(as_mapping(place.get("arguments")).get("parameters"))


def _steps(template: Mapping[str, Json], pointer: str) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for number, group in enumerate(as_list(template.get("steps"))):
        for index, step in enumerate(as_list(group)):
            if isinstance(step, dict):
                yield f"{pointer}/steps/{number}/{index}", step
    for index, task in enumerate(as_list(as_mapping(template.get("dag")).get("tasks"))):
        if isinstance(task, dict):
            yield f"{pointer}/dag/tasks/{index}", task


def _filled(text: str, values: Mapping[str, str | None]) -> str:
    def one(match: re.Match[str]) -> str:
        value = values.get(match[1].strip())
        return match[0] if value is None else value

    return _INNERMOST.sub(one, text)


def _of_item(item: Json, reference: str) -> str | None:
    if reference != "item" and not reference.startswith("item."):
        return None
    if isinstance(item, _SymbolicItem):
        return symbol(f"{reference} of {item.of}")
    if reference == "item":
        return text_of(item) if not isinstance(item, (dict, list)) else json.dumps(item, separators=(",", ":"))
    value = as_mapping(item).get(reference.removeprefix("item."))
    return json.dumps(value, separators=(",", ":")) if isinstance(value, (dict, list)) else text_of(value)
