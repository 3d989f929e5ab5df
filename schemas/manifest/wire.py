"""Questions and answers as JSON, between the service and the checking process. Does not import Hera."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

from policy.faults import ManifestFault, Place
from policy.rules import Policy
from schemas.manifest.checked import Answer, Question


def question_document(question: Question) -> dict[str, Any]:
    return {
        "content": base64.b64encode(question.content).decode(),
        "provided": None if question.provided is None else sorted(question.provided),
        "policy": asdict(question.policy),
        "refused_by": question.refused_by,
    }


def question_from(document: dict[str, Any]) -> Question:
    return Question(
        content=base64.b64decode(document["content"]),
        provided=None if document["provided"] is None else frozenset(document["provided"]),
        policy=Policy(**{name: _frozen(value) for name, value in document["policy"].items()}),
        refused_by=tuple(document["refused_by"]),
    )


def _frozen(value: Any) -> Any:
    """Return lists as tuples: JSON turned the tuples into lists."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def answer_document(answer: Answer) -> dict[str, Any]:
    return asdict(answer)


def answer_from(document: dict[str, Any]) -> Answer:
    faults = (
        ManifestFault(fault["pointer"], fault["detail"], Place(**fault["place"]) if fault["place"] else None)
        for fault in document["faults"]
    )
    return Answer(document["manifest"], tuple(faults))
