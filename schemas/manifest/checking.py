"""The whole check of an uploaded manifest."""

from __future__ import annotations

import re
from dataclasses import replace

from policy.check import judge_unrendered
from policy.faults import ManifestFault, Unreadable
from policy.outline import Outline
from policy.reading import Document, read
from schemas.manifest.checked import Answer, Question
from schemas.manifest.parameters import reference_faults
from schemas.manifest.shape import shape_faults

MAX_FAULTS = 50

_REFERENCE = re.compile(r"workflow\.parameters\.([^}\s'\"]+)")


def check(question: Question) -> Answer:
    """Return a manifest as data, or everything wrong with it."""
    try:
        document = read(question.content)
    except Unreadable as error:
        return Answer(None, (error.fault,))
    provided = question.provided if question.provided is not None else _whatever_it_uses(question.content)
    outline = Outline(document.value, provided, dict(question.policy.known))
    faults = shape_faults(document.value)
    known = {fault.pointer for fault in faults}
    refused = judge_unrendered(document.value, outline, question.policy).faults
    # What is no field at all, or of another type, is said once.
    faults += [*reference_faults(outline), *(fault for fault in refused if fault.pointer not in known)]
    if not faults:
        return Answer(document.value)
    return Answer(None, tuple(_in_order(faults, document))[:MAX_FAULTS])


def _whatever_it_uses(content: bytes) -> frozenset[str]:
    """Return every parameter that a text refers to: all of them may be provided, for what is known."""
    return frozenset(_REFERENCE.findall(content.decode(errors="replace")))


def _in_order(faults: list[ManifestFault], document: Document) -> list[ManifestFault]:
    placed = [replace(fault, place=document.place(fault.pointer)) for fault in dict.fromkeys(faults)]
    return sorted(placed, key=lambda fault: (fault.place.line, fault.place.column) if fault.place else (0, 0))
