"""The shape of a POST's document (JSON Schema), and the rules beyond its shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from schemas.federated import OPTION_SHAPES, FederatedOptions
from schemas.models import Implementation, SchemaType
from web.errors import Fault
from web.shape import check

# `$` would allow a line break at the end; this form works in Python and in ECMAScript.
_END = r"(?![\s\S])"
DESCRIPTOR = rf"^[A-Za-z0-9-]+{_END}"
# The name is part of the URL, where slashes, and dots and blanks at its ends, would not arrive unchanged.
NAME = rf"^(?![\s.])[^/\\\x00-\x1f\x7f]*[^/\\\x00-\x1f\x7f\s.]{_END}"

PATTERN_WORDS = {
    DESCRIPTOR: "must hold only letters, digits and dashes",
    NAME: "must hold no slashes or control characters, and must not begin or end with a dot or a blank",
}

MAX_DESCRIPTION = 10_000
_BOOLEAN = {"type": "boolean"}
_NO_INPUTS = dict.fromkeys(("platform_data", "external_data", "federated_learning_configuration"), False)
_NO_OUTPUTS = dict.fromkeys(("ai_model", "evaluation_metrics", "generic_file"), False)


def _object(required: Sequence[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def schema_shape(functionalities: Sequence[str]) -> dict[str, Any]:
    """Return the JSON Schema of a POST's `data` for the functionalities that AI engines may have."""
    engine = _object(
        ("descriptor", "role_type", "functionalities", "ai_model"),
        descriptor={"type": "string", "minLength": 1, "maxLength": 100, "pattern": DESCRIPTOR},
        role_type={"type": "string", "minLength": 1, "maxLength": 50},
        functionalities={
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": "string", "enum": list(functionalities)},
        },
        ai_model=_BOOLEAN,
    )
    return _object(
        ("name", "type", "implementation", "description", "input_elements", "ai_elements", "output_elements"),
        name={"type": "string", "minLength": 1, "maxLength": 100, "pattern": NAME},
        type={"type": "string", "enum": list(SchemaType.values)},
        implementation={"type": "string", "enum": list(Implementation.values)},
        description={"type": "string", "maxLength": MAX_DESCRIPTION},
        input_elements=_object(
            ("platform_data", "external_data", "federated_learning_configuration"),
            platform_data=_BOOLEAN,
            external_data=_BOOLEAN,
            report_metadata=_BOOLEAN,
            federated_learning_configuration=_BOOLEAN,
            federated_learning_defaults=_object((), **OPTION_SHAPES),
        ),
        ai_elements=_object(("ai_engines",), ai_engines={"type": "array", "maxItems": 50, "items": engine}),
        output_elements=_object(
            ("ai_model", "evaluation_metrics", "generic_file"),
            ai_model=_BOOLEAN,
            evaluation_metrics=_BOOLEAN,
            generic_file=_BOOLEAN,
        ),
    )


def with_defaults(data: dict[str, Any]) -> dict[str, Any]:
    """Return a document with its optional parts filled in: a plain Workflow (without AI engines) may omit elements."""
    filled = dict(data)
    ai_elements = filled.setdefault("ai_elements", {"ai_engines": []})
    if isinstance(ai_elements, dict) and ai_elements.get("ai_engines", []) == []:
        filled["ai_elements"] = {"ai_engines": [], **ai_elements}
        for field, nothing in (("input_elements", _NO_INPUTS), ("output_elements", _NO_OUTPUTS)):
            given = filled.setdefault(field, {})
            filled[field] = {**nothing, **given} if isinstance(given, dict) else given
    inputs = filled.get("input_elements")
    if isinstance(inputs, dict):
        filled["input_elements"] = {"report_metadata": False, **inputs}
    return filled


def shape_faults(data: dict[str, Any], functionalities: Sequence[str]) -> list[Fault]:
    """Return the faults in the shape of a POST's `data`."""
    words = {f"must match {pattern}": text for pattern, text in PATTERN_WORDS.items()}
    return [
        replace(fault, detail=words.get(fault.detail, fault.detail))
        for fault in check(data, schema_shape(functionalities))
    ]


def rule_faults(data: dict[str, Any]) -> list[Fault]:
    """Return the faults by rules on several fields, in a document with the right shape."""
    return [*_input_faults(data), *_engine_faults(data)]


def _input_faults(data: dict[str, Any]) -> Iterator[Fault]:
    at, elements = "/data/input_elements", data["input_elements"]
    platform, external = elements["platform_data"], elements["external_data"]
    federated = elements["federated_learning_configuration"]
    if external and (platform or federated):
        yield Fault(
            f"{at}/external_data",
            "is not allowed together with platform_data or federated_learning_configuration: ask for one kind of data",
        )
    if federated and not platform:
        yield Fault(
            f"{at}/federated_learning_configuration",
            "needs platform_data: the clients train on the data partners' data",
        )
    if federated and not data["ai_elements"]["ai_engines"]:
        yield Fault(f"{at}/federated_learning_configuration", "needs an AI engine: the clients train it")
    if elements.get("report_metadata") and not external:
        yield Fault(f"{at}/report_metadata", "needs external_data, which it describes")
    defaults = elements.get("federated_learning_defaults")
    if defaults is not None and not federated:
        yield Fault(f"{at}/federated_learning_defaults", "needs federated_learning_configuration")
    for field, detail in FederatedOptions.of(defaults).contradictions():
        yield Fault(f"{at}/federated_learning_defaults/{field}", detail)


def _engine_faults(data: dict[str, Any]) -> Iterator[Fault]:
    at = "/data/ai_elements/ai_engines"
    engines = data["ai_elements"]["ai_engines"]
    first: dict[str, int] = {}
    for index, engine in enumerate(engines):
        descriptor = engine["descriptor"]
        if descriptor in first:
            yield Fault(
                f"{at}/{index}/descriptor", f"is already the descriptor of the AI engine at index {first[descriptor]}"
            )
        first.setdefault(descriptor, index)
