"""Parameters that step runners fetch, since they are too long for the arguments of a process; pure.

A parameter keeps its value while all arguments and variables that contain it are within Linux's limits for starting a
process. Otherwise a reference replaces the value, and the step runner (runtime.step_runner.references) fetches the
value with its callback token. A user's text that looks like a reference is fetched too, so that it arrives unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from executions.callers import Callers, Template
from policy.parts import containers_of, templates_of

PATIENTS = "execution_dataPartnerPatients"
MODEL_NAME = "execution_outputAIModelName"
MODEL_DESCRIPTION = "execution_outputAIModelDescription"
MODEL_MERGE_TYPE = "execution_outputAIModelMergeType"
FETCHED = (PATIENTS, MODEL_NAME, MODEL_DESCRIPTION, MODEL_MERGE_TYPE)
URL_VARIABLE = "ORCHESTRATOR_PARAMETERS_URL"
STEP_RUNNER_IMAGE = "processor-resource-manager"

# Linux's MAX_ARG_STRLEN without the NUL at the end, for one argument or variable; and the limit for all of them
# together with the usual stack of 8 MiB, less some room for what engines add: execve(2).
LONGEST_ARGUMENT = 128 * 1024 - 1
LONGEST_ARGUMENTS = 2 * 1024**2 - 128 * 1024

_MARK = "$parameter"
_TAG = re.compile(r"\{\{([^{}]*)\}\}")
# All parameters at once, as JSON.
_ALL = re.compile(r"\{\{\s*workflow\.parameters(\.json)?\s*\}\}")
_WORKFLOW, _INPUT = "workflow.parameters.", "inputs.parameters."
# Tags within the names of tags, and their values.
_DEEPEST = 4


@dataclass(frozen=True)
class TooLong:
    """A text that is too long to start a container with: its place, its bytes, and which of FETCHED are in it."""

    place: str
    size: int
    limit: int
    parameters: frozenset[str]

    @property
    def detail(self) -> str:
        return f"{self.place} would have {self.size} bytes; Linux starts a process with at most {self.limit}"


def reference(name: str) -> str:
    """Return the reference that replaces a parameter's value: JSON for a JSON value, plain text for a text."""
    return json.dumps({_MARK: name}, separators=(",", ":")) if name == PATIENTS else f"{_MARK}:{name}"


def references(spec: Mapping[str, Any], is_step_runner: Callable[[Mapping[str, Any]], bool]) -> dict[str, str]:
    """Return the parameters of a Workflow's spec that step runners fetch, with the references that replace them.

    A parameter that is used anywhere but in arguments of step runners keeps its value.
    """
    values = _values(spec)
    offered = sorted((name for name in FETCHED if name in values), key=lambda name: -len(values[name]))
    wanted = {name for name in offered if values[name].startswith(_MARK) or len(values[name]) > LONGEST_ARGUMENT}
    if not wanted and not any(excesses(spec)):
        return {}
    elsewhere = _used_elsewhere(spec, is_step_runner)
    chosen = wanted - elsewhere
    for name in offered:
        if name not in elsewhere and any(name in each.parameters for each in excesses(_with(spec, chosen))):
            chosen.add(name)
    return {name: reference(name) for name in chosen}


def excesses(spec: Mapping[str, Any]) -> Iterator[TooLong]:
    """Yield the texts that are too long to start a Workflow's containers with, once parameters are replaced."""
    pasting = _Pasting(spec, lambda texts: max(texts, key=len))
    for template in templates_of(spec):
        for container in containers_of(template):
            texts = list(_started_with(container))
            # The upper bound decides nearly all cases without replacing any tag.
            if sum(pasting.bound(text) for _, text in texts) <= LONGEST_ARGUMENT:
                continue
            where = f"of the container {container.get('name', 'main')!r} of the template {template.get('name', '')!r}"
            sizes = [len(pasting.of(text, template).encode()) for _, text in texts]
            for (place, text), size in zip(texts, sizes, strict=True):
                if size > LONGEST_ARGUMENT:
                    yield TooLong(f"{place} {where}", size, LONGEST_ARGUMENT, _inside(spec, [text], template))
            if sum(sizes) > LONGEST_ARGUMENTS:
                inside = _inside(spec, [text for _, text in texts], template)
                yield TooLong(f"the arguments and variables {where}", sum(sizes), LONGEST_ARGUMENTS, inside)


def _started_with(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the arguments and variables of a container's process, each with its place."""
    for kind in ("command", "args"):
        for index, text in enumerate(container.get(kind) or []):
            yield f"{kind}/{index}", str(text)
    for variable in container.get("env") or []:
        yield f"the variable {variable.get('name')}", f"{variable.get('name')}={variable.get('value', '')}"


def _inside(spec: Mapping[str, Any], texts: Collection[str], template: Template) -> frozenset[str]:
    """Return which of FETCHED are used in texts of a template."""
    if any(_ALL.search(text) for text in texts):
        return frozenset(FETCHED) & _values(spec).keys()
    marked = _Pasting(_with(spec, FETCHED), "".join)
    pasted = [marked.of(text, template) for text in texts]
    return frozenset(name for name in FETCHED if any(reference(name) in text for text in pasted))


def _used_elsewhere(spec: Mapping[str, Any], is_step_runner: Callable[[Mapping[str, Any]], bool]) -> set[str]:
    """Return the parameters that are used where no step runner would replace the reference."""
    used: set[str] = set()
    marked = _Pasting(_with(spec, FETCHED), "".join)
    for template in templates_of(spec):
        readers = [each for each in containers_of(template) if is_step_runner(each) and not each.get("command")]
        read = {id(container.get("args")) for container in readers}
        used |= _inside(spec, list(_texts(template, read)), template)
        for argument in (str(each) for container in readers for each in container.get("args") or []):
            pasted = marked.of(argument, template)
            used |= {name for name in FETCHED if not _is_whole(reference(name), pasted)}
    return used


def _is_whole(text: str, pasted: str) -> bool:
    """Return whether a reference would be a whole field everywhere: within a longer text it is not recognised."""
    return text.startswith("{") or pasted.count(text) == pasted.count(f'"{text}"')


def _texts(value: Any, read: Collection[int], key: str = "") -> Iterator[str]:
    """Yield the texts of a template, except those that step runners read and those that are only passed on."""
    if id(value) in read or key == "inline":
        return
    if key in ("arguments", "inputs") and isinstance(value, Mapping):
        value = {"artifacts": value.get("artifacts")}
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _texts(each, read, str(name))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, read)


class _Pasting:
    """The texts of a Workflow with the values of its parameters, as engines paste them.

    If a tag may have several values, `choose` picks one.
    """

    def __init__(self, spec: Mapping[str, Any], choose: Callable[[Collection[str]], str]) -> None:
        self._given = _values(spec)
        self._callers = Callers(spec)
        self._choose = choose
        listed = [{"name": name, "value": value} for name, value in self._given.items()]
        self._all = json.dumps(listed)
        self._longest = max((len(value.encode()) for value in self._given.values()), default=0)

    def bound(self, text: str) -> int:
        """Return an upper bound of a text's bytes, without replacing its tags."""
        longest = len(self._all) if _ALL.search(text) else self._longest
        return len(text.encode()) + text.count("{{") * longest

    def of(self, text: str, template: Template) -> str:
        """Return a text of a template."""
        for _ in range(_DEEPEST):
            pasted = _TAG.sub(lambda tag: self._value(tag[0], template), text)
            if pasted == text:
                break
            text = pasted
        return text

    def _value(self, tag: str, template: Template) -> str:
        word = tag[2:-2].strip()
        if _ALL.fullmatch(tag):
            return self._all
        if word.startswith(_INPUT):
            found = self._callers.origins(tag, template)
            name = word.removeprefix(_INPUT)
            return self._given.get(name, tag) if found == {tag} else self._choose(sorted(found))
        return self._given.get(word.removeprefix(_WORKFLOW), tag) if word.startswith(_WORKFLOW) else tag


def _values(spec: Mapping[str, Any]) -> dict[str, str]:
    given = (spec.get("arguments") or {}).get("parameters") or []
    return {each["name"]: str(each["value"]) for each in given if each.get("value") is not None}


def _with(spec: Mapping[str, Any], names: Collection[str]) -> Mapping[str, Any]:
    """Return a spec in which references replace some parameters."""
    arguments = spec.get("arguments") or {}
    given = [
        {**each, "value": reference(each["name"])} if each["name"] in names else each
        for each in arguments.get("parameters") or []
    ]
    return {**spec, "arguments": {**arguments, "parameters": given}}
