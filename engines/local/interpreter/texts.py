"""Values as Go, Argo's language, reads and writes them."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

# From here on Go writes a number with an exponent.
_LARGE, _SMALL = 1e21, 1e-6


def parsed_json(text: str) -> Any:
    """Parse a JSON text, with U+FFFD for half a surrogate pair. Raises `ValueError`."""
    try:
        found = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return _whole_characters(found) if "\\u" in text else found


def compact_json(value: Any) -> str:
    """Return a value as JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def json_number(value: float) -> str:
    """Return a number as Go's JSON writes it (go_numbers.py has its `fmt`): `1` for 1.0, `1000` for 1e3."""
    size = abs(value)
    if value == int(value) and size < _LARGE:
        return str(int(value))
    if _SMALL <= size < _LARGE:
        return f"{value:.20f}".rstrip("0") if "e" in repr(value) else repr(value)
    digits, _, exponent = repr(value).partition("e")
    return f"{digits.removesuffix('.0')}e{int(exponent):+d}"


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _whole_characters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(item) for key, item in value.items()}
    return value
