"""What senders in the field write in another type than a document's shape asks for, put into that type.

Scripts and manifests paste values into JSON that they write by hand, so that whole numbers, numbers and booleans arrive
as text, and nothing as an empty text. What is not listed here stays as it came, for `web.shape` to refuse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

# A text of this shape may also come as a whole number: `{"id": 12}` for `{"id": "12"}`.
NUMBERS_TOO = "x-numbers-too"

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}")
# As JSON writes it (RFC 8259, 6), and with the plus sign and the leading zeros of other writers.
_NUMBER = re.compile(r"[-+]?[0-9]{1,400}(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,4})?")
_BOOLEANS = {"true": True, "false": False}


def typed(value: Any, shape: Mapping[str, Any]) -> Any:
    """Return a value with everything in it in the types of its JSON Schema, as far as that is certain.

    What needs no change is the same object as before.
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
    """Tell whether a value is a whole number that may stand for its digits."""
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
