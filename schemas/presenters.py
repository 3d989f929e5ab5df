"""Schemas as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from schemas.models import EarlierSchemaVersion, Schema
from web.addresses import Addresses


def present_schema(schema: Schema, addresses: Addresses) -> dict[str, Any]:
    """Show one Schema."""
    return _shown(schema, addresses.schema(schema.name), "", schema.created_at)


def present_schemas(schemas: Sequence[Schema], addresses: Addresses) -> list[dict[str, Any]]:
    """Show a page of Schemas."""
    return [present_schema(schema, addresses) for schema in schemas]


def present_version(version: Schema | EarlierSchemaVersion, addresses: Addresses) -> dict[str, Any]:
    """Show one version of a Schema, with the time when it was stored."""
    stored_at = version.updated_at if isinstance(version, Schema) else version.created_at
    return _shown(version, addresses.schema(version.name), f"?version={version.version}", stored_at)


def present_versions(versions: Sequence[Schema | EarlierSchemaVersion], addresses: Addresses) -> list[dict[str, Any]]:
    """Show a page of a Schema's versions."""
    return [present_version(version, addresses) for version in versions]


def _shown(schema: Schema | EarlierSchemaVersion, url: str, query: str, created_at: datetime) -> dict[str, Any]:
    return {
        "url": f"{url}{query}",
        "name": schema.name,
        "version": schema.version,
        "type": schema.type,
        "implementation": schema.implementation,
        "description": schema.description,
        "auxiliary_file": f"{url}download_auxiliary_file/{query}" if schema.auxiliary_file else None,
        "created_at": created_at,
        "input_elements": schema.input_elements,
        "ai_elements": schema.ai_elements,
        "output_elements": schema.output_elements,
    }
