"""Finds references to parameters, inputs and templates that are neither declared nor provided."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from policy.faults import ManifestFault
from policy.outline import (
    INPUT_PARAMETER,
    TEMPLATE_DEFAULTS,
    WORKFLOW_PARAMETER,
    Entry,
    Outline,
    as_mapping,
    tags_of,
)

# In an expression (`{{=…}}`) a dash is a minus, so names with a dash are in brackets.
_IN_EXPRESSION = re.compile(r"\b(workflow|inputs)\.parameters(?:\.([A-Za-z0-9_]+)|\[\s*['\"]([^'\"]+)['\"]\s*\])")


_WITHIN = re.compile(r"(.+)/(?:steps/\d+/\d+|dag/tasks/\d+)/inline")


def reference_faults(outline: Outline) -> list[ManifestFault]:
    """Return a fault for every reference to something missing, with a similar name that exists."""
    return [
        *_template_faults(outline),
        *_undeclared(outline),
        *_unsupplied_arguments(outline),
        *_unsupplied_inputs(outline),
    ]


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _template_faults(outline: Outline) -> Iterator[ManifestFault]:
    names = outline.pointers
    if "entrypoint" not in outline.spec:
        yield ManifestFault("/spec/entrypoint", "entrypoint is missing")
    for name, pointers in names.items():
        for pointer in pointers[1:]:
            yield ManifestFault(f"{pointer}/name", f"a template named {name} already exists")
    for entry in outline.entries:
        if entry.is_key or not isinstance(entry.value, str) or "{{" in entry.value:
            continue
        if _is_call(entry) and entry.value not in names:
            hint = _hint(entry.value, names)
            yield ManifestFault(entry.pointer, f"there is no template named {entry.value}{hint}")


def _is_call(entry: Entry) -> bool:
    if entry.key == "template":
        is_local = not entry.pointer.endswith("/templateRef/template")  # The policy refuses these.
        return is_local and entry.pointer.startswith(("/spec/templates/", "/spec/hooks/", TEMPLATE_DEFAULTS))
    return entry.key == "onExit" or entry.pointer == "/spec/entrypoint"


def _references(entry: Entry, outline: Outline) -> Iterator[tuple[str, str]]:
    """Yield the references of a text: `workflow` or `inputs`, and the parameter's name."""
    for tag in tags_of(entry.value):
        # A name that contains references is resolved to its possible values; unknown ones are found at run time.
        for content in outline.becomes_at(tag, entry) if "{{" in tag and not tag.startswith("=") else (tag,):
            yield from _referred_to(content)


def _referred_to(content: str) -> Iterator[tuple[str, str]]:
    if "{{" in content or "\0" in content:
        return
    if content.startswith("="):
        for found in _IN_EXPRESSION.finditer(content):
            yield found.group(1), found.group(2) or found.group(3)
    elif content.startswith(WORKFLOW_PARAMETER):
        yield "workflow", content.removeprefix(WORKFLOW_PARAMETER)
    elif content.startswith(INPUT_PARAMETER):
        yield "inputs", content.removeprefix(INPUT_PARAMETER)


def _undeclared(outline: Outline) -> Iterator[ManifestFault]:
    available = outline.provided | set(outline.declared)
    for entry in outline.entries:
        if not isinstance(entry.value, str) or "{{" not in entry.value:
            continue
        for kind, name in dict.fromkeys(_references(entry, outline)):
            if kind == "workflow" and name not in available:
                hint = _hint(name, available)
                detail = f"uses the parameter {name}, which is neither declared nor provided{hint}"
                yield ManifestFault(entry.pointer, detail)
            if kind == "inputs" and entry.template and entry.template != TEMPLATE_DEFAULTS:
                inputs = _inputs_around(entry.template, outline)
                if name not in inputs:
                    detail = f"uses the input {name}, which its template does not declare{_hint(name, inputs)}"
                    yield ManifestFault(entry.pointer, detail)


def _inputs_around(template: str, outline: Outline) -> dict[str, Any]:
    """Return the inputs that a template's texts may use: its own, and those of the templates that contain it."""
    found = outline.inputs(template)
    while (match := _WITHIN.fullmatch(template)) is not None:
        template = match[1]
        found = {**outline.inputs(template), **found}
    return found


def _unsupplied_arguments(outline: Outline) -> Iterator[ManifestFault]:
    known = outline.provided
    for entry in outline.entries:
        if re.fullmatch(r"/spec/arguments/parameters/\d+", entry.pointer) is None:
            continue
        parameter = as_mapping(entry.value)
        name = str(parameter.get("name"))
        if not {"value", "default", "valueFrom"} & parameter.keys() and name not in known:
            yield ManifestFault(entry.pointer, f"{name} has no value, and none is provided{_hint(name, known)}")


def _unsupplied_inputs(outline: Outline) -> Iterator[ManifestFault]:
    available = outline.provided | set(outline.declared)
    for entry in outline.entries:
        match = re.fullmatch(r"(.*)/inputs/parameters/\d+", entry.pointer)
        if match is None or match.group(1) not in outline.templates:
            continue
        template, parameter = match.group(1), as_mapping(entry.value)
        name = str(parameter.get("name"))
        if name in available or {"value", "default", "valueFrom"} & parameter.keys():
            continue
        calls = outline.calls_of(template)
        if template == TEMPLATE_DEFAULTS or all(name in call.arguments for call in calls):
            continue
        detail = (
            f"the input {name} has no value: not every step that calls its template passes one, nor does the Workflow"
        )
        yield ManifestFault(entry.pointer, detail + _hint(name, available))
