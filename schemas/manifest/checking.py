"""The whole check of an uploaded manifest."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from typing import Any

from policy.check import judge_unrendered
from policy.faults import ManifestFault, Unreadable
from policy.outline import WORKFLOW_PARAMETER, Outline
from policy.reading import Document, read
from schemas.manifest.checked import Answer, Question
from schemas.manifest.parameters import reference_faults
from schemas.manifest.shape import shape_faults

MAX_FAULTS = 50

_REFERENCE = re.compile(r"workflow\.parameters\.([^}\s'\"]+)")


def check(question: Question) -> Answer:
    """Return a manifest as data, or all its faults."""
    try:
        document = read(question.content)
    except Unreadable as error:
        return Answer(None, (error.fault,))
    provided = question.provided if question.provided is not None else _whatever_it_uses(question.content)
    outline = Outline(document.value, provided, dict(question.policy.known))
    faults = shape_faults(document.value)
    known = {fault.pointer for fault in faults}
    refused = judge_unrendered(document.value, outline, question.policy).faults
    # A field that is unknown or has another type is reported once.
    # Engines are asked only about a manifest with the shape of a Workflow.
    further = [] if faults else _refused_by_engines(document.value, provided, question.refused_by)
    faults += [*reference_faults(outline), *(fault for fault in refused if fault.pointer not in known)]
    known |= {fault.pointer for fault in faults}
    # Unknown parameters are already reported above, at the text that uses one.
    faults += [
        fault for fault in further if fault.pointer not in known and f"{{{{{WORKFLOW_PARAMETER}" not in fault.detail
    ]
    if not faults:
        return Answer(document.value)
    return Answer(None, tuple(_in_order(faults, document))[:MAX_FAULTS])


def _refused_by_engines(
    manifest: dict[str, Any], provided: frozenset[str], names: tuple[str, ...]
) -> list[ManifestFault]:
    """Return the faults for which the engines that would run a manifest refuse it."""
    found: list[ManifestFault] = []
    for name in names:
        module, _, function = name.rpartition(".")
        refusals = getattr(importlib.import_module(module), function)(manifest, provided)
        found += [ManifestFault(pointer, detail) for pointer, detail in refusals]
    return found


def _whatever_it_uses(content: bytes) -> frozenset[str]:
    """Return every parameter that a text refers to, since each of them may be provided."""
    return frozenset(_REFERENCE.findall(content.decode(errors="replace")))


def _in_order(faults: list[ManifestFault], document: Document) -> list[ManifestFault]:
    placed = [replace(fault, place=document.place(fault.pointer)) for fault in dict.fromkeys(faults)]
    return sorted(placed, key=lambda fault: (fault.place.line, fault.place.column) if fault.place else (0, 0))
