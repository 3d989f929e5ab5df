"""A Schema that somebody wants stored, checked as a whole: its document, its file, and how the two fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile

from policy.conf import installed_policy
from policy.faults import ManifestFault
from policy.reading import MAX_BYTES
from schemas.manifest.checked import Answer, Question
from schemas.manifest.process import check_apart
from schemas.models import Implementation
from schemas.parameter_names import provided_parameter_names
from schemas.shapes import rule_faults, shape_faults
from web.errors import Fault, InvalidInput
from web.jsontext import escape

AUXILIARY_FILE = "auxiliary_file"
_AT_FILE = f"/files/{AUXILIARY_FILE}"


@dataclass(frozen=True)
class CheckedSchema:
    """A document and a file that may be stored."""

    document: Mapping[str, Any]
    content: bytes | None
    manifest: Mapping[str, Any] | None

    @property
    def auxiliary_file(self) -> ContentFile[bytes] | None:
        return ContentFile(self.content) if self.content is not None else None


def check_posted(document: dict[str, Any], files: Mapping[str, UploadedFile[Any]]) -> CheckedSchema:
    """Return a posted Schema as it will be stored. Raises InvalidInput with every fault of all its parts."""
    faults = shape_faults(document, settings.VALID_AI_ENGINE_FUNCTIONALITIES)
    well_formed = not faults
    if well_formed:
        faults = rule_faults(document)
        document["input_elements"].setdefault("report_metadata", False)
    implementation = document.get("implementation")
    content = _content(files.get(AUXILIARY_FILE))
    faults += _part_faults(files, content, required=implementation == Implementation.ARGO_WORKFLOWS)
    manifest = None
    if content and len(content) <= MAX_BYTES and implementation == Implementation.ARGO_WORKFLOWS:
        answer = check_apart([question_of(document if well_formed else None, content)])[0]
        faults += manifest_faults(answer.faults)
        manifest = answer.manifest
    if faults:
        raise InvalidInput(faults=faults)
    return CheckedSchema(document, content, manifest)


def check_shipped(schemas: Sequence[tuple[dict[str, Any], str]]) -> list[CheckedSchema | list[Fault]]:
    """Return several Schemas (document and manifest text) as they will be stored, or what is wrong with each.

    All manifests are checked in one go, which takes hardly longer than one of them.
    """
    questions = [question_of(document, text.encode()) for document, text in schemas]
    return [
        manifest_faults(answer.faults) if answer.faults else CheckedSchema(document, text.encode(), answer.manifest)
        for (document, text), answer in zip(schemas, check_apart(questions), strict=True)
    ]


def judged_manifests(contents: Sequence[bytes]) -> list[Answer]:
    """Return what would be said of manifests at an upload, as far as it does not need their Schemas' documents."""
    return check_apart([question_of(None, content) for content in contents])


def question_of(document: Mapping[str, Any] | None, content: bytes) -> Question:
    """Return the question whether a manifest may run as a Schema of this document.

    Without a document nothing is known of what the orchestrator would provide, so no name is held against it.
    """
    if document is None:
        return Question(content, None, installed_policy(), _refused_by())
    names = provided_parameter_names(document["input_elements"], document["ai_elements"], document["output_elements"])
    return Question(content, frozenset(names), installed_policy(), _refused_by())


def _refused_by() -> tuple[str, ...]:
    """Return who says what the engine that runs Schemas would not run."""
    named = settings.ENGINES.get(settings.ENGINE, {}).get("refusals")
    return (named,) if named else ()


def manifest_faults(faults: Sequence[ManifestFault]) -> list[Fault]:
    """Return faults of a manifest as faults of its file part: a pointer into it, and the line in the words."""
    return [
        Fault(
            f"{_AT_FILE}#{fault.pointer}" if fault.pointer else _AT_FILE,
            f"line {fault.place.line}, column {fault.place.column}: {fault.detail}" if fault.place else fault.detail,
        )
        for fault in faults
    ]


def _content(upload: UploadedFile[Any] | None) -> bytes | None:
    if upload is None:
        return None
    upload.seek(0)
    # One byte more than is allowed tells that there are too many.
    content: bytes = upload.read(MAX_BYTES + 1)
    return content


def _part_faults(files: Mapping[str, UploadedFile[Any]], content: bytes | None, *, required: bool) -> list[Fault]:
    faults = [Fault(f"/files/{escape(name)}", "is not a known part here") for name in files if name != AUXILIARY_FILE]
    if content is None and required:
        faults.append(Fault(_AT_FILE, "is missing; argo_workflows needs the Workflow's manifest"))
    elif content == b"":
        faults.append(Fault(_AT_FILE, "is empty"))
    elif content is not None and len(content) > MAX_BYTES:
        faults.append(Fault(_AT_FILE, f"is larger than {MAX_BYTES} bytes"))
    return faults
