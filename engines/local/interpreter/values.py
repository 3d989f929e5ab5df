"""The values of expressions, their budget, and their text forms.

nil is None, a map is a dict, an array a list, a time a datetime, a duration a timedelta; there are no other values.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable
from typing import Any

from engines.local.interpreter.go_numbers import number_text

MAX_STEPS = 500_000
# Of all strings that an evaluation makes together.
MAX_CHARACTERS = 4 << 20
MAX_RESULT = 1 << 20
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_LONGEST_SHOWN = 60
CHARACTERS_A_STEP = 64
_EXACT = 1 << 53


class InvalidExpression(Exception):
    """The expression cannot be parsed or has no value."""


class Budget:
    """The remaining budget of an expression; `now` is the time for its functions, in seconds since 1970."""

    __slots__ = ("characters", "now", "steps")

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.steps = MAX_STEPS
        self.characters = MAX_CHARACTERS

    def spend(self, steps: int) -> None:
        """Charge work. Raises `InvalidExpression`."""
        self.steps -= steps
        if self.steps < 0:
            raise InvalidExpression("the evaluation takes too many steps")

    def write(self, characters: int) -> None:
        """Charge a string before it is made. Raises `InvalidExpression`."""
        self.characters -= characters
        if self.characters < 0:
            raise InvalidExpression(f"the evaluation makes more than {MAX_CHARACTERS} characters of text")
        self.spend(characters // CHARACTERS_A_STEP)


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def as_number(value: Any, operator: str = "") -> int | float:
    """Return a value that is a number. Raises `InvalidExpression`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise InvalidExpression(f"{shown(value)} is not a number{f' to be used with {operator}' if operator else ''}")


def whole(value: int | float) -> int | float:
    """Return a number that fits into 64 bits. Raises `InvalidExpression`."""
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise InvalidExpression("a number has become too large")
    return value


def key_text(value: Any) -> str:
    """Return the key of a map. Raises `InvalidExpression`."""
    if isinstance(value, str):
        return value
    if is_whole(value):
        return str(value)
    raise InvalidExpression(f"{shown(value)} is not a key of a map")


def type_name(value: Any) -> str:
    """Return the name of a value's type as the function `type` has it."""
    for kind, name in _TYPES:
        if isinstance(value, kind):
            return name
    return "nil"


def shown(value: Any) -> str:
    """Return a value in a message: short."""
    text = f"'{value}'" if isinstance(value, str | int | float) else type_name(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def string_of(value: Any) -> str:
    """Return a value as Go prints it."""
    for kind, form in _PRINTED:
        if isinstance(value, kind):
            return form(value)
    return "<nil>"


def duration_text(value: datetime.timedelta) -> str:
    """Return a duration as Go prints it: 1h2m3s."""
    seconds = value.total_seconds()
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{int(hours)}h" if hours else ""
    if hours or minutes:
        text += f"{int(minutes)}m"
    return f"{sign}{text}{number_text(round(rest, 9))}s"


def json_text(value: Any, indent: str = "") -> str:
    """Return a value as Go writes JSON: keys in order, no spaces. Raises `InvalidExpression`."""
    separators = (",", ": ") if indent else (",", ":")
    try:
        return json.dumps(
            _jsonable(value), sort_keys=True, separators=separators, ensure_ascii=False, indent=indent or None
        )
    except (ValueError, TypeError) as error:
        raise InvalidExpression(f"{type_name(value)} cannot be written as JSON") from error


def _jsonable(value: Any) -> Any:
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, datetime.timedelta):
        return round(value.total_seconds() * 1e9)
    return value


def json_value(text: str) -> Any:
    """Parse a JSON text. Raises `InvalidExpression`."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InvalidExpression("the string is not JSON") from error


def _no_number(text: str) -> float:
    raise ValueError(text)


_PRINTED: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (str, str),
    (bool, lambda value: "true" if value else "false"),
    (int | float, number_text),
    (list, lambda value: f"[{' '.join(map(string_of, value))}]"),
    (dict, lambda value: f"map[{' '.join(f'{key}:{string_of(value[key])}' for key in sorted(value))}]"),
    (datetime.datetime, lambda value: value.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")),
    (datetime.timedelta, duration_text),
)
_TYPES: tuple[tuple[Any, str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (str, "string"),
    (list, "array"),
    (dict, "map"),
    (datetime.datetime, "time.Time"),
    (datetime.timedelta, "time.Duration"),
)
