"""What may be done to Schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction

from schemas import deletion
from schemas.models import Schema
from schemas.posting import CheckedSchema, check_posted
from schemas.shapes import schema_shape
from web.errors import Fault, InvalidInput, NotFound
from web.leniency import typed
from web.storage import delete_after_commit, save, stored_files

_TAKEN = Fault("/data/name", "is the name of another Schema")


def schema_create(*, document: dict[str, Any], files: Mapping[str, UploadedFile[Any]]) -> Schema:
    """Check and store a Schema. Raises InvalidInput with all faults, StorageFull."""
    document = typed(document, schema_shape(()))
    faults: list[Fault] = []
    name = document.get("name")
    if isinstance(name, str) and Schema.objects.filter(name=name).exists():
        faults.append(_TAKEN)
    try:
        checked = check_posted(document, files)
    except InvalidInput as error:
        raise InvalidInput(faults=[*faults, *error.faults]) from error
    if faults:
        raise InvalidInput(faults=faults)
    return schema_store(checked=checked)


def schema_store(*, checked: CheckedSchema) -> Schema:
    """Store a Schema that was checked. Raises InvalidInput when the name is taken, StorageFull."""
    schema = Schema()
    try:
        with stored_files(), transaction.atomic():
            _fill(schema, checked)
    except IntegrityError as error:  # Somebody was faster since the check.
        raise InvalidInput(faults=[_TAKEN]) from error
    return schema


def schema_replace(*, schema: Schema, checked: CheckedSchema) -> Schema:
    """Put a checked Schema into the place of one of the same name. Its executions keep the Workflows they had."""
    with stored_files(), transaction.atomic():
        schema = Schema.objects.select_for_update().get(pk=schema.pk)
        delete_after_commit(schema.auxiliary_file)
        _fill(schema, checked)
    return schema


def schema_delete(*, name: str) -> None:
    """Delete a Schema, its file and its executions; their Workflows end. Raises NotFound."""
    with transaction.atomic():
        schema = Schema.objects.select_for_update().defer("manifest").filter(name=name).first()
        if schema is None:
            raise NotFound("There is no Schema of that name.")
        deletion.before_delete(schema)
        delete_after_commit(schema.auxiliary_file)
        schema.delete()


def _fill(schema: Schema, checked: CheckedSchema) -> None:
    for field in ("name", "type", "implementation", "description", "input_elements", "ai_elements", "output_elements"):
        setattr(schema, field, checked.document[field])
    schema.manifest = checked.manifest
    if checked.auxiliary_file is not None:
        save(schema.auxiliary_file, "manifest.yaml", checked.auxiliary_file)
    schema.save()
