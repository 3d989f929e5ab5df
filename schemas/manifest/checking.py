"""The whole check of an uploaded manifest."""

from __future__ import annotations

import re
from dataclasses import replace

from schemas.manifest.checked import Answer, Question
from schemas.manifest.faults import ManifestFault, Unreadable
from schemas.manifest.outline import Outline
from schemas.manifest.parameters import reference_faults
from schemas.manifest.policy import policy_faults
from schemas.manifest.reading import Document, read
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
    outline = Outline(document.value, provided)
    faults = [
        *shape_faults(document.value),
        *reference_faults(outline),
        *policy_faults(outline, question.policy),
    ]
    if not faults:
        return Answer(document.value)
    return Answer(None, tuple(_in_order(faults, document))[:MAX_FAULTS])


def _whatever_it_uses(content: bytes) -> frozenset[str]:
    """Return every parameter that a text refers to: all of them may be provided, for what is known."""
    return frozenset(_REFERENCE.findall(content.decode(errors="replace")))


def _in_order(faults: list[ManifestFault], document: Document) -> list[ManifestFault]:
    placed = [replace(fault, place=document.place(fault.pointer)) for fault in dict.fromkeys(faults)]
    return sorted(placed, key=lambda fault: (fault.place.line, fault.place.column) if fault.place else (0, 0))
