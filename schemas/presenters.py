"""Schemas as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.models import Schema
from web.addresses import Addresses


def present_schema(schema: Schema, addresses: Addresses) -> dict[str, Any]:
    """Show one Schema."""
    url = addresses.schema(schema.name)
    return {
        "url": url,
        "name": schema.name,
        "type": schema.type,
        "implementation": schema.implementation,
        "description": schema.description,
        "auxiliary_file": f"{url}download_auxiliary_file/" if schema.auxiliary_file else None,
        "created_at": schema.created_at,
        "input_elements": schema.input_elements,
        "ai_elements": schema.ai_elements,
        "output_elements": schema.output_elements,
    }


def present_schemas(schemas: Sequence[Schema], addresses: Addresses) -> list[dict[str, Any]]:
    """Show a page of Schemas."""
    return [present_schema(schema, addresses) for schema in schemas]
