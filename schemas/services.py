"""Creates, changes and deletes Schemas."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction

from schemas import deletion
from schemas.models import EarlierSchemaVersion, Schema, SchemaContent
from schemas.posting import CheckedSchema, check_patched, check_posted, is_as_stored
from schemas.selectors import no_such_schema
from schemas.shapes import schema_shape
from web.errors import Conflict, Fault, InvalidInput, PreconditionFailed
from web.leniency import typed
from web.once import created
from web.storage import delete_after_commit, save, stored_files

_TAKEN = Fault("/data/name", "is already the name of another Schema")
_CONTENT = tuple(field.name for field in SchemaContent._meta.local_fields)


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


def schema_store(*, checked: CheckedSchema, is_shipped: bool = False) -> Schema:
    """Store a checked Schema. Raises InvalidInput if the name is taken, and StorageFull."""
    schema = Schema(name=checked.document["name"], is_shipped=is_shipped)
    try:
        with stored_files(), transaction.atomic():
            _fill(schema, checked)
            created(f"/api/schemas/{schema.name}/")
    except IntegrityError as error:  # Another request has stored the name since the check.
        raise InvalidInput(faults=[_TAKEN]) from error
    return schema


def schema_update(
    *,
    name: str,
    document: Mapping[str, Any],
    files: Mapping[str, UploadedFile[Any]],
    tags: Collection[str] | None = None,
) -> Schema:
    """Store a new description, a new manifest or both as a Schema's next version; return the Schema.

    Without a change nothing is stored. `tags` are those of an If-Match. Raises NotFound, InvalidInput with all
    faults, PreconditionFailed, Conflict if another version was stored in the meantime, and StorageFull.
    """
    document = typed(document, schema_shape(()))
    schema = Schema.objects.filter(name=name).first() if "\x00" not in name else None
    if schema is None:
        raise no_such_schema(name)
    if is_as_stored(schema, document, files):
        return schema
    _refuse_other(schema, tags)
    return schema_replace(schema=schema, checked=check_patched(schema, document, files))


def schema_replace(*, schema: Schema, checked: CheckedSchema, is_shipped: bool = False) -> Schema:
    """Store a checked Schema as the next version; executions keep the version they were posted with.

    Raises NotFound, StorageFull, and Conflict if the Schema no longer has the version that was checked.
    """
    with stored_files(), transaction.atomic():
        locked = _locked(schema.name)
        if (locked.pk, locked.version) != (schema.pk, schema.version):
            raise Conflict(
                f"Version {locked.version} of this Schema has been stored in the meantime: read it, then try again."
            )
        content = {name: getattr(locked, name) for name in _CONTENT}
        EarlierSchemaVersion.objects.create(schema=locked, created_at=locked.updated_at, **content)
        locked.version += 1
        locked.is_shipped = is_shipped
        _fill(locked, checked)
    return locked


def schema_delete(*, name: str, tags: Collection[str] | None = None) -> None:
    """Delete a Schema, its versions' files and its executions; their Workflows are stopped.

    `tags` are those of an If-Match. Raises NotFound and PreconditionFailed.
    """
    with transaction.atomic():
        schema = _locked(name)
        _refuse_other(schema, tags)
        deletion.before_delete(schema)
        earlier = schema.earlier_versions.defer("manifest")
        delete_after_commit(schema.auxiliary_file, *(version.auxiliary_file for version in earlier))
        schema.delete()


def schema_tag(schema: Schema) -> str:
    """Return the entity tag (RFC 9110) of a Schema's newest version; a Schema that is created anew has another tag."""
    return f'"{schema.pk}-{schema.version}"'


def _refuse_other(schema: Schema, tags: Collection[str] | None) -> None:
    if tags is not None and "*" not in tags and schema_tag(schema) not in tags:
        raise PreconditionFailed(f"The Schema's newest version is {schema.version}: read it, then try again.")


def _locked(name: str) -> Schema:
    schema = Schema.objects.select_for_update().filter(name=name).first() if "\x00" not in name else None
    if schema is None:
        raise no_such_schema(name)
    return schema


def _fill(schema: Schema, checked: CheckedSchema) -> None:
    for field in ("type", "implementation", "description", "input_elements", "ai_elements", "output_elements"):
        setattr(schema, field, checked.document[field])
    schema.manifest = checked.manifest
    schema.auxiliary_file = ""
    if checked.auxiliary_file is not None:
        save(schema.auxiliary_file, "manifest.yaml", checked.auxiliary_file)
    schema.save()
