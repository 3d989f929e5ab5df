"""The shape of each resource's `data`, as JSON Schema (2020-12), and the file parts that go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from web.leniency import NUMBERS_TOO, typed

MAX_ID = 2**63 - 1
MAX_ITERATION_SECONDS = 30 * 24 * 3600

_ID = {"type": "integer", "minimum": 1, "maximum": MAX_ID}
_TEXT = {"type": "string", "maxLength": 100_000}
_OPTIONAL_TEXT = {"type": ["string", "null"], "maxLength": 100_000}
# Its form is checked in forms.py, with a clearer message than that of a pattern.
_QUANTITY = {"type": "string", NUMBERS_TOO: True}
# The contents of the lists are checked in forms.py: there may be very many patients.
_PATIENTS = {"type": ["object", "null"]}


def _name(length: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": length, "pattern": r"\S"}


def _optional_name(length: int) -> dict[str, Any]:
    return {"type": ["string", "null"], "maxLength": length}


class FileKind(StrEnum):
    JSON = "json"
    ZIP = "zip"


@dataclass(frozen=True)
class Shape:
    """The form of a resource: its fields, those that a POST must have, and its file parts."""

    properties: Mapping[str, Any]
    required: tuple[str, ...]
    files: Mapping[str, FileKind] = field(default_factory=dict)

    @property
    def json_parts(self) -> tuple[str, ...]:
        """The names of the file parts that hold JSON."""
        return tuple(name for name, kind in self.files.items() if kind is FileKind.JSON)

    def typed(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return `data` with its fields in the types of this shape, for senders that use other types."""
        result: dict[str, Any] = typed(dict(data), self.schema(partial=True))
        return result

    def schema(self, *, partial: bool) -> dict[str, Any]:
        """Return the JSON Schema of `data` for a POST, or for a PATCH (`partial`)."""
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": [] if partial else list(self.required),
            "additionalProperties": False,
        }


AI_MODEL = Shape(
    properties={
        "ai_engine_version": _ID,
        "name": _name(200),
        "data_partners_patients": _PATIENTS,
        "merge_type": _optional_name(50),
        "parent_ai_model": {**_ID, "type": ["integer", "null"]},
        "description": _TEXT,
        "download_resume_retries": {"type": "integer", "minimum": 0, "maximum": 1000},
    },
    required=("ai_engine_version", "name"),
    files={"ai_engine_version_user_vars": FileKind.JSON, "contents": FileKind.ZIP},
)

EVALUATION_METRIC = Shape(
    properties={
        "ai_model": _ID,
        "name": _name(200),
        "value": {"type": "number", "minimum": -1.7e308, "maximum": 1.7e308},
        "description": _OPTIONAL_TEXT,
        "data_partners_patients": _PATIENTS,
    },
    required=("ai_model", "name", "value"),
)

GENERIC_FILE = Shape(properties={"name": _name(200)}, required=("name",), files={"contents": FileKind.ZIP})


def _word(length: int, words: Sequence[str]) -> dict[str, Any]:
    """Return the shape of one of the given words, or of any name if none are given."""
    return {"type": "string", "enum": list(words)} if words else _name(length)


def ai_engine_shape(role_types: Sequence[str], data_types: Sequence[str]) -> Shape:
    """Return the shape of an AI engine for the allowed role types and data types; an empty list allows any."""
    return Shape(
        properties={
            "name": _name(200),
            "container_name": _name(200),
            "owner": {"type": "string", "maxLength": 200},
            "description": _TEXT,
            "data_type": {"type": "array", "items": _word(100, data_types), "uniqueItems": True, "maxItems": 100},
            "role_type": _word(50, role_types),
            "data_considerations": _OPTIONAL_TEXT,
            "trl": {"type": ["string", "null"], NUMBERS_TOO: True},
            "ethics": _OPTIONAL_TEXT,
            "caveats": _OPTIONAL_TEXT,
            "metrics": _OPTIONAL_TEXT,
            "license": _optional_name(200),
        },
        required=("name", "container_name", "role_type"),
    )


def ai_engine_version_shape(functionalities: list[str]) -> Shape:
    """Return the shape of an AI engine's version, given the functionalities that exist."""
    return Shape(
        properties={
            "ai_engine": _ID,
            "container_version": {**_name(100), NUMBERS_TOO: True},
            "description": _TEXT,
            "functionalities": {
                "type": "array",
                "items": {"type": "string", "enum": functionalities},
                "uniqueItems": True,
                "minItems": 1,
            },
            "explains": {"type": "boolean"},
            "max_iteration_time": {"type": "integer", "minimum": 1, "maximum": MAX_ITERATION_SECONDS},
            "memory_request": _QUANTITY,
            "memory_limit": _QUANTITY,
            "cpu_request": _QUANTITY,
            "cpu_limit": _QUANTITY,
        },
        required=("ai_engine", "container_version", "functionalities"),
        files={f"default_user_vars_{name}": FileKind.JSON for name in functionalities},
    )
