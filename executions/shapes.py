"""The shapes of posted documents, as JSON Schema (2020-12); what a Schema asks for is checked in validation.py."""

from __future__ import annotations

from typing import Any

from schemas.federated import MAX_ROUNDS, OPTION_SHAPES

MAX_ID = 2**63 - 1
MAX_ITERATIONS = 2**31 - 1
MAX_NAME = 200

_REGISTRY_ID = {"type": "integer", "minimum": 1, "maximum": MAX_ID}


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_PARTNER = {
    "type": "object",
    "properties": {
        "system_path": {"type": ["string", "null"], "maxLength": 1000},
        "fields_definition": {"type": "object"},
        "sheets_definition": {"type": "object"},
        # There may be many patients, so validation.py checks each by itself, which is ten times as fast.
        "patients": {"type": "array", "minItems": 1},
    },
    # Senders add more fields of a data partner, for example `dp_name`: they are kept.
    "required": ["system_path", "fields_definition", "sheets_definition", "patients"],
}

EXECUTION = _object(
    {
        "schema": {"type": "string", "minLength": 1, "maxLength": 100},
        "input_elements": _object(
            {
                "platform_data": _object(
                    {"data_partners_patients": {"type": "object", "additionalProperties": _PARTNER}},
                    required=("data_partners_patients",),
                ),
                "federated_learning_configuration": _object(
                    {
                        "number_iterations": {"type": "integer", "minimum": 1, "maximum": MAX_ROUNDS},
                        **OPTION_SHAPES,
                    },
                    required=("number_iterations",),
                ),
            }
        ),
        "ai_elements": _object(
            {
                "ai_engines": {
                    "type": "array",
                    "items": _object(
                        {
                            "descriptor": {"type": "string"},
                            "version": _REGISTRY_ID,
                            "ai_model": {**_REGISTRY_ID, "type": ["integer", "null"]},
                        },
                        required=("descriptor", "version"),
                    ),
                }
            },
            required=("ai_engines",),
        ),
        "output_elements": _object(
            {
                "ai_model": _object(
                    {
                        # What the model registry would refuse after the training is refused here, before it.
                        "name": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": r"\S"},
                        "description": {"type": "string", "maxLength": 100_000},
                        "merge_type": {"type": ["string", "null"], "maxLength": 50},
                    },
                    required=("name", "description"),
                )
            }
        ),
    },
    required=("schema",),
)

_NAMES = {"type": "array", "maxItems": 10_000, "items": {"type": "string", "maxLength": MAX_NAME}}
_COUNT = {"type": "integer", "minimum": 0, "maximum": MAX_ID}
# A newer manager may send more fields than these: unknown ones are ignored.
PROGRESS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "role": {"type": "string", "enum": ["server", "client"]},
        "client": {"type": "string", "maxLength": MAX_NAME},
        "step": {"type": "string", "minLength": 1, "maxLength": 50},
        "round": {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_ITERATIONS},
        "bytes_sent": _COUNT,
        "bytes_received": _COUNT,
        "message": {"type": "string"},
        "of": {"type": "string", "maxLength": MAX_NAME},
        "clients": {
            "type": "object",
            "properties": {
                "expected": {"type": "integer", "minimum": 0, "maximum": MAX_ITERATIONS},
                "ready": _NAMES,
                "answered": _NAMES,
                "failed": {"type": "object", "maxProperties": 10_000, "additionalProperties": {"type": "string"}},
            },
        },
    },
    "required": ["role", "client", "step", "round"],
}

RUNNING = _object({})
FAILED = _object({"message": {"type": "string"}}, required=("message",))


def succeeded(*, model: bool, metrics: bool, file: bool) -> dict[str, Any]:
    """Return the shape of `update_to_succeeded` for what a Schema produces: exactly that."""
    properties: dict[str, Any] = {}
    if model:
        properties["ai_model"] = _object({"ai_model": _REGISTRY_ID}, required=("ai_model",))
    if metrics:
        metric = _object({"evaluation_metric": _REGISTRY_ID}, required=("evaluation_metric",))
        properties["evaluation_metrics"] = {"type": "array", "items": metric, "uniqueItems": True, "maxItems": 1000}
    if file:
        properties["generic_file"] = _object({"generic_file": _REGISTRY_ID}, required=("generic_file",))
    return _object(properties, required=tuple(properties))
