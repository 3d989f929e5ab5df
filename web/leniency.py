"""Converts values that existing senders write in another type than a document's shape asks for.

Scripts and manifests paste values into hand-written JSON, so that whole numbers, numbers and booleans arrive as text,
and null as an empty text. Other values stay as they are, and `web.shape` refuses them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

# A text of this shape may also come as a whole number: `{"id": 12}` for `{"id": "12"}`.
NUMBERS_TOO = "x-numbers-too"

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")
# As in JSON (RFC 8259, 6), and also with a plus sign or leading zeros, as some senders write them.
_NUMBER = re.compile(r"[-+]?[0-9]{1,400}(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,4})?")
_BOOLEANS = {"true": True, "false": False}


def typed(value: Any, shape: Mapping[str, Any]) -> Any:
    """Return a value with its parts converted to the types of its JSON Schema, as far as that is unambiguous.

    A part that needs no change stays the same object.
    """
    if isinstance(value, dict):
        return _typed_object(value, shape)
    if isinstance(value, list):
        items = shape.get("items")
        return _unless_same(value, [typed(item, items) for item in value]) if isinstance(items, dict) else value
    kinds = shape.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if isinstance(value, str) and "string" not in kinds:
        return _from_text(value.strip(), kinds, value)
    return str(value) if shape.get(NUMBERS_TOO) and is_number_for_text(value) else value


def is_number_for_text(value: object) -> bool:
    """Return whether a value is a whole number that may be used as the text of its digits."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**19


def _typed_object(value: dict[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
    known, others = shape.get("properties", {}), shape.get("additionalProperties")
    shapes = {name: known.get(name, others) for name in value}
    changed = {
        name: after
        for name, inner in value.items()
        if isinstance(shapes[name], dict) and (after := typed(inner, shapes[name])) is not inner
    }
    return {**value, **changed} if changed else value


def _unless_same(before: list[Any], after: list[Any]) -> list[Any]:
    return after if any(one is not other for one, other in zip(before, after, strict=True)) else before


def _from_text(text: str, kinds: tuple[str, ...] | list[str], value: str) -> Any:
    if "null" in kinds and not text:
        return None
    if "integer" in kinds and _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if "number" in kinds and _NUMBER.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else value
    if "boolean" in kinds:
        return _BOOLEANS.get(text.lower(), value)
    return value
