"""Schemas as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest
from django.urls import get_script_prefix
from rest_framework.request import Request

from schemas.models import Schema


@dataclass(frozen=True)
class Addresses:
    """Where this API is found by the caller; made once for an answer, since asking the request is slow."""

    api: str

    @classmethod
    def of(cls, request: Request | HttpRequest) -> Addresses:
        return cls(request.build_absolute_uri(f"{get_script_prefix()}api"))

    def schema(self, name: str) -> str:
        return f"{self.api}/schemas/{quote(name, safe='')}/"


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
