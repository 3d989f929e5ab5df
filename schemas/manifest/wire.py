"""Questions and answers as JSON, between the service and the checking process. Knows no Hera."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

from schemas.manifest.checked import Answer, Question
from schemas.manifest.faults import ManifestFault, Place
from schemas.manifest.policy import Policy


def question_document(question: Question) -> dict[str, Any]:
    return {
        "content": base64.b64encode(question.content).decode(),
        "provided": None if question.provided is None else sorted(question.provided),
        "policy": asdict(question.policy),
    }


def question_from(document: dict[str, Any]) -> Question:
    policy = document["policy"]
    return Question(
        content=base64.b64decode(document["content"]),
        provided=None if document["provided"] is None else frozenset(document["provided"]),
        policy=Policy(tuple(policy["service_accounts"]), policy["allow_host_network"]),
    )


def answer_document(answer: Answer) -> dict[str, Any]:
    return asdict(answer)


def answer_from(document: dict[str, Any]) -> Answer:
    faults = (
        ManifestFault(fault["pointer"], fault["detail"], Place(**fault["place"]) if fault["place"] else None)
        for fault in document["faults"]
    )
    return Answer(document["manifest"], tuple(faults))
