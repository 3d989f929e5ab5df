"""Reads of Schemas."""

from __future__ import annotations

from django.db.models import QuerySet

from schemas.models import EarlierSchemaVersion, Schema
from web.errors import NotFound


def schema_list() -> QuerySet[Schema]:
    """Return all Schemas without their manifests, which lists do not show."""
    return Schema.objects.defer("manifest")


def schema_get(name: str) -> Schema:
    """Return the Schema with a name. Raises NotFound."""
    schema = schema_list().filter(name=name).first() if "\x00" not in name else None
    if schema is None:
        raise no_such_schema(name)
    return schema


def schema_versions(schema: Schema) -> list[Schema | EarlierSchemaVersion]:
    """Return all versions of a Schema without their manifests, the newest first: the Schema itself."""
    # The versions that existed when the Schema was read.
    earlier = schema.earlier_versions.filter(version__lt=schema.version).select_related("schema")
    return [schema, *earlier.defer("manifest", "schema__manifest")]


def schema_version(schema: Schema, version: int | None) -> Schema | EarlierSchemaVersion:
    """Return one version of a Schema, the newest for None. Raises NotFound."""
    if version is None or version == schema.version:
        return schema
    earlier = schema.earlier_versions.filter(version=version).select_related("schema").first()
    if earlier is None:
        raise NotFound(f"The Schema '{schema.name}' has no version {version}; its newest version is {schema.version}.")
    return earlier


def no_such_schema(name: str) -> NotFound:
    """Return the error for a Schema that does not exist."""
    return NotFound(f"There is no Schema named '{name[:100]}'.")
