"""Checks of a request that do not need the database; all faults at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.core.files.uploadedfile import UploadedFile

from registry.rules import CONTAINER_NAME, CONTAINER_VERSION, TRL, quantity, user_vars_part
from registry.shapes import FileKind, Shape
from web.archives import check_zip
from web.bodies import read_json_file
from web.errors import Fault, InvalidInput
from web.jsontext import escape
from web.shape import check

Data = Mapping[str, Any]
Files = Mapping[str, "UploadedFile[Any]"]

MAX_USER_VARS_BYTES = 10 * 1024**2
_MAX_FAULTS = 100
_IMAGE_WORDS = (
    "must be the name of an image without registry and tag, such as team/breast-density: lower-case letters and "
    "digits, with single dots, underscores or dashes between them"
)
_TAG_WORDS = "must be the tag of an image, such as 1.0.2: letters, digits, dots, dashes and underscores"


def form_faults(shape: Shape, data: Data, files: Files, *, partial: bool) -> list[Fault]:
    """Return the faults of fields and file parts; with `partial` (a PATCH) everything may be left out."""
    faults = check(data, shape.schema(partial=partial))
    if "data_partners_patients" in shape.properties:
        faults += patients_faults(data.get("data_partners_patients"))
    return faults + part_faults(shape.files, files, required=() if partial else shape.files)


def part_faults(known: Mapping[str, FileKind], files: Files, *, required: Iterable[str]) -> list[Fault]:
    """Return the faults of file parts: unknown, missing, or with the wrong contents."""
    faults = [Fault(_file_pointer(name), "is missing") for name in required if name not in files]
    for name, upload in files.items():
        if name not in known:
            words = f"must be one of: {', '.join(known)}" if known else "this resource has no files"
            faults.append(Fault(_file_pointer(name), f"is not a file part of this resource; {words}"))
        else:
            faults += _content_faults(known[name], upload, _file_pointer(name))
    return faults


def patients_faults(patients: object) -> list[Fault]:
    """Return the faults of data_partners_patients; the shape checks that it is an object."""
    if not isinstance(patients, dict):
        return []
    faults: list[Fault] = []
    for partner, ids in patients.items():
        where = f"/data/data_partners_patients/{escape(partner)}"
        if not partner.strip() or len(partner) > 200:
            faults.append(Fault(where, "must be the name of a data partner, with 1 to 200 characters"))
        elif not isinstance(ids, list):
            faults.append(Fault(where, "must be a list of patients' ids"))
        else:
            wrong = [index for index, patient in enumerate(ids) if not _is_patient_id(patient)]
            faults += [Fault(f"{where}/{index}", "must be a patient's id: a string") for index in wrong[:_MAX_FAULTS]]
            if not wrong and len({str(patient) for patient in ids}) < len(ids):
                faults.append(Fault(where, "must not name a patient twice"))
        if len(faults) >= _MAX_FAULTS:
            break
    return faults[:_MAX_FAULTS]


def ai_engine_faults(data: Data) -> list[Fault]:
    """Return the faults in the values of an AI engine's fields; the shape checks their types."""
    return [
        *_form_fault(data, "container_name", CONTAINER_NAME, _IMAGE_WORDS),
        *_form_fault(data, "trl", TRL, "must be a technology readiness level, a whole number from 1 to 9"),
    ]


def _form_fault(data: Data, field: str, form: re.Pattern[str], words: str) -> list[Fault]:
    value = data.get(field)
    wrong = isinstance(value, str) and not form.fullmatch(value)
    return [Fault(f"/data/{field}", words)] if wrong else []


def version_faults(
    data: Data, files: Files, *, known: Collection[str], current: Data, present: Collection[str]
) -> list[Fault]:
    """Return the faults of a version of an AI engine whose values do not fit together.

    `known` are the functionalities that exist, `current` the values of fields that are not in `data`, `present` the
    functionalities whose default user variables are stored already.
    """
    wanted = data.get("functionalities", current.get("functionalities"))
    faults = [*_form_fault(data, "container_version", CONTAINER_VERSION, _TAG_WORDS), *_resource_faults(data, current)]
    if not isinstance(wanted, list):
        return faults
    names = [name for name in wanted if isinstance(name, str) and name in known]
    missing = [name for name in names if name not in present and user_vars_part(name) not in files]
    faults += [
        Fault(_file_pointer(user_vars_part(name)), f"is missing: the functionality {name} needs it") for name in missing
    ]
    parts = {user_vars_part(name) for name in names}
    for part in files:
        if part.startswith("default_user_vars_") and part not in parts:
            faults.append(Fault(_file_pointer(part), "belongs to a functionality that this version does not have"))
    return faults


def _resource_faults(data: Data, current: Data) -> list[Fault]:
    faults = []
    for resource, example in (("memory", "3584Mi"), ("cpu", "250m")):
        names = (f"{resource}_request", f"{resource}_limit")
        texts = [data.get(name, current[name]) for name in names]
        wrong = [name for name, text in zip(names, texts, strict=True) if not _is_quantity(resource, text)]
        # The shape checks that a quantity is a string.
        faults += [
            Fault(f"/data/{name}", f"must be a quantity of {resource} such as {example}")
            for name in wrong
            if isinstance(data.get(name), str)
        ]
        given = next((name for name in names if name in data), None)
        if given and not wrong and quantity(resource, texts[0]) > quantity(resource, texts[1]):
            faults.append(Fault(f"/data/{given}", f"{names[0]} must not be more than {names[1]}"))
    return faults


def _content_faults(kind: FileKind, upload: UploadedFile[Any], pointer: str) -> list[Fault]:
    try:
        if kind is FileKind.ZIP:
            check_zip(upload, pointer=pointer)
        else:
            read_json_file(upload, pointer, MAX_USER_VARS_BYTES)
    except InvalidInput as error:
        return list(error.faults)
    return []


def _is_quantity(resource: str, text: object) -> bool:
    if not isinstance(text, str):
        return False
    try:
        quantity(resource, text)
    except ValueError:
        return False
    return True


def _is_patient_id(value: object) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= 200
    return isinstance(value, int) and not isinstance(value, bool)


def _file_pointer(part: str) -> str:
    return f"/files/{escape(part)}"
