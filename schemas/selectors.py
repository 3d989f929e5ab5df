"""Schemas, read."""

from __future__ import annotations

from django.db.models import QuerySet

from schemas.models import Schema
from web.errors import NotFound


def schema_list() -> QuerySet[Schema]:
    """Return all Schemas, without their manifests, which no list shows."""
    return Schema.objects.defer("manifest")


def schema_get(name: str) -> Schema:
    """Return the Schema of a name. Raises NotFound."""
    schema = schema_list().filter(name=name).first() if "\x00" not in name else None
    if schema is None:
        raise NotFound("There is no Schema of that name.")
    return schema
