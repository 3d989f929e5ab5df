"""Checks a Schema before it is stored: its document, its manifest, and whether the two fit together."""

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
from schemas.models import Implementation, Schema
from schemas.parameter_names import provided_parameter_names
from schemas.shapes import rule_faults, shape_faults, with_defaults
from web.errors import Fault, InvalidInput
from web.jsontext import escape
from web.storage import is_same_file

AUXILIARY_FILE = "auxiliary_file"
_AT_FILE = f"/files/{AUXILIARY_FILE}"
# The fields of a POST's document; a PATCH may change only the description.
DOCUMENT_FIELDS = (
    "name", "type", "implementation", "description", "input_elements", "ai_elements", "output_elements",
)  # fmt: skip
_FIXED = "cannot be changed: a PATCH may change only the description and the manifest of a Schema"


@dataclass(frozen=True)
class CheckedSchema:
    """A document and a manifest that may be stored."""

    document: Mapping[str, Any]
    content: bytes | None
    manifest: Mapping[str, Any] | None

    @property
    def auxiliary_file(self) -> ContentFile[bytes] | None:
        return ContentFile(self.content) if self.content is not None else None


def check_posted(document: dict[str, Any], files: Mapping[str, UploadedFile[Any]]) -> CheckedSchema:
    """Return a posted Schema as it will be stored. Raises InvalidInput with every fault of all its parts."""
    return _checked(with_defaults(document), _content(files.get(AUXILIARY_FILE)), _unknown_parts(files))


def check_patched(schema: Schema, patch: Mapping[str, Any], files: Mapping[str, UploadedFile[Any]]) -> CheckedSchema:
    """Return the next version of a Schema as it will be stored. Raises InvalidInput with every fault.

    All of it is checked by the present settings and policy, including the unchanged parts.
    """
    stored = _document(schema)
    described = with_defaults({**stored, **patch})
    faults = [
        Fault(f"/data/{escape(field)}", _FIXED if field in stored else "is not a known field here")
        for field in patch
        if field not in stored or (field != "description" and described[field] != stored[field])
    ]
    if not patch and not files:
        faults.append(Fault("/data", f"must have a description, unless the request has the file part {AUXILIARY_FILE}"))
    document = {**stored, "description": described["description"]}
    return _checked(document, _next_content(schema, files), [*faults, *_unknown_parts(files)])


def is_as_stored(schema: Schema, patch: Mapping[str, Any], files: Mapping[str, UploadedFile[Any]]) -> bool:
    """Return whether a PATCH changes nothing in the newest version of a Schema."""
    stored = _document(schema)
    if not (patch or files) or set(files) - {AUXILIARY_FILE} or set(patch) - set(stored):
        return False
    upload = files.get(AUXILIARY_FILE)
    return with_defaults({**stored, **patch}) == stored and (
        upload is None or is_same_file(schema.auxiliary_file, upload)
    )


def _document(schema: Schema) -> dict[str, Any]:
    return {field: getattr(schema, field) for field in DOCUMENT_FIELDS}


def _next_content(schema: Schema, files: Mapping[str, UploadedFile[Any]]) -> bytes | None:
    """Return the manifest of a Schema's next version: the one that was sent, else the present one."""
    if AUXILIARY_FILE in files:
        return _content(files[AUXILIARY_FILE])
    try:
        with schema.auxiliary_file.open("rb") as file:
            content: bytes = file.read()
            return content
    except (FileNotFoundError, ValueError):  # It is no longer stored, or there never was one.
        return None


def _checked(document: dict[str, Any], content: bytes | None, faults: list[Fault]) -> CheckedSchema:
    of_shape = shape_faults(document, settings.VALID_AI_ENGINE_FUNCTIONALITIES)
    well_formed = not of_shape
    of_elements = rule_faults(document) if well_formed else of_shape
    implementation = document.get("implementation")
    of_content = _content_faults(content, required=implementation == Implementation.ARGO_WORKFLOWS)
    faults = [*of_elements, *faults, *of_content]
    manifest = None
    if content and len(content) <= MAX_BYTES and implementation == Implementation.ARGO_WORKFLOWS:
        answer = check_apart([question_of(document if well_formed else None, content)])[0]
        faults += manifest_faults(answer.faults)
        manifest = answer.manifest
    if faults:
        raise InvalidInput(faults=faults)
    return CheckedSchema(document, content, manifest)


def check_shipped(schemas: Sequence[tuple[dict[str, Any], str]]) -> list[CheckedSchema | list[Fault]]:
    """Return several Schemas (document and manifest text) as they will be stored, or the faults of each.

    All manifests are checked together, which takes hardly longer than a single one.
    """
    questions = [question_of(document, text.encode()) for document, text in schemas]
    return [
        manifest_faults(answer.faults) if answer.faults else CheckedSchema(document, text.encode(), answer.manifest)
        for (document, text), answer in zip(schemas, check_apart(questions), strict=True)
    ]


def judged_manifests(contents: Sequence[bytes]) -> list[Answer]:
    """Return the answers that manifests would get at an upload, without the checks that need the Schema's document."""
    return check_apart([question_of(None, content) for content in contents])


def question_of(document: Mapping[str, Any] | None, content: bytes) -> Question:
    """Return the question whether a manifest may be that of a Schema with this document.

    Without a document it is not known which parameters the orchestrator would provide, so none is reported as unknown.
    """
    if document is None:
        return Question(content, None, installed_policy(), _refused_by())
    names = provided_parameter_names(document["input_elements"], document["ai_elements"], document["output_elements"])
    return Question(content, frozenset(names), installed_policy(), _refused_by())


def _refused_by() -> tuple[str, ...]:
    """Return the names of the functions that check what the engine for Schemas would not run."""
    named = settings.ENGINES.get(settings.ENGINE, {}).get("refusals")
    return (named,) if named else ()


def manifest_faults(faults: Sequence[ManifestFault]) -> list[Fault]:
    """Return faults of a manifest as faults of its file part: the pointer leads into the file, the text has a line."""
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
    # One byte more than is allowed is read, so that a file that is too large is noticed.
    content: bytes = upload.read(MAX_BYTES + 1)
    return content


def _unknown_parts(files: Mapping[str, UploadedFile[Any]]) -> list[Fault]:
    return [
        Fault(f"/files/{escape(name)}", "is not a file part of this request")
        for name in files
        if name != AUXILIARY_FILE
    ]


def _content_faults(content: bytes | None, *, required: bool) -> list[Fault]:
    if content is None and required:
        return [Fault(_AT_FILE, "is missing: the implementation argo_workflows needs the Workflow's manifest")]
    if content == b"":
        return [Fault(_AT_FILE, "is empty")]
    if content is not None and len(content) > MAX_BYTES:
        return [Fault(_AT_FILE, f"must have at most {MAX_BYTES} bytes")]
    return []
