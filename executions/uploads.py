"""Checks of the contents of an execution's file parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from django.core.files.base import File

from executions.facts import EXTERNAL_DATA, REPORT_METADATA, SchemaFacts
from web.archives import check_zip
from web.bodies import read_json_file
from web.errors import Fault, InvalidInput
from web.jsontext import escape

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile

Uploads: TypeAlias = "Mapping[str, File[Any]]"


# The same limit as the model registry has for the variables of a model.
MAX_USER_VARS_BYTES = 10 * 1024**2


def upload_faults(files: Uploads, schema: SchemaFacts) -> list[Fault]:
    """Return what is wrong inside the file parts that the Schema asks for. Raises TooLarge."""
    faults: list[Fault] = []
    for part in schema.file_parts:
        if part in files:
            faults += _content_faults(part, files[part])
    return faults


def _content_faults(part: str, upload: File[Any]) -> list[Fault]:
    pointer = f"/files/{escape(part)}"
    try:
        if part == EXTERNAL_DATA:
            check_zip(upload, pointer=pointer)
        else:
            longest = None if part == REPORT_METADATA else MAX_USER_VARS_BYTES
            read_json_file(cast("UploadedFile[Any]", upload), pointer, longest)
    except InvalidInput as error:
        return list(error.faults)
    return []
