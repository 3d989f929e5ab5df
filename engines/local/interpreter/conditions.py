"""A step's `when`: words need no quotes, numbers allow arithmetic, and the result is true or false.

As in govaluate, with which Argo reads conditions: https://github.com/casbin/govaluate/blob/master/MANUAL.md and
https://argo-workflows.readthedocs.io/en/latest/walk-through/conditionals/. All numbers are floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from engines.local.interpreter.go_numbers import divided, number_text, power
from engines.local.interpreter.grammar import InvalidText, Node, read
from engines.local.interpreter.patterns import InvalidPattern, pattern_of

_BITS = 64
_MASK = (1 << _BITS) - 1


class InvalidCondition(Exception):
    """A condition that cannot be read."""


def condition_of(text: str) -> Node:
    """Return a `when` as a tree. Raises `InvalidCondition`."""
    try:
        return read("when", text)
    except InvalidText as error:
        raise InvalidCondition(f"Invalid 'when' expression '{text}': {error}") from error


def when_holds(text: str) -> bool:
    """Return whether a step whose `when` is this text runs. Raises `InvalidCondition`."""
    tree = condition_of(text)
    try:
        result = _value(tree)
    except InvalidCondition as error:
        hint = ' (hint: try wrapping the affected expression in quotes ("))' if "modifier" in str(error) else ""
        raise InvalidCondition(f"Invalid 'when' expression '{text}': {error}{hint}") from error
    if not isinstance(result, bool):
        raise InvalidCondition(f"Expected boolean evaluation for '{text}'. Got {_shown(result)}")
    return result


def _value(node: Node) -> Any:  # noqa: PLR0911 - one for each kind of node
    kind = node.kind
    if kind == "value":
        value = node.parts[0]
        return value if isinstance(value, str | bool) else float(value)
    if kind == "word":
        return node.parts[0]
    if kind == "array":
        return [_value(part) for part in node.parts]
    if kind == "choice":
        condition, then, otherwise = node.parts
        return _value(then) if _is_true(_value(condition), "ternary operator", "?") else _value(otherwise)
    if kind == "!":
        return not _is_true(_value(node.parts[0]), "prefix", "!")
    if kind.startswith("unary"):
        return _SIGNS[kind](_number(_value(node.parts[0]), "prefix", kind[-1]))
    if kind == "&&":
        return all(_is_true(_value(part), "logical operator", kind) for part in node.parts)
    if kind == "||":
        return any(_is_true(_value(part), "logical operator", kind) for part in node.parts)
    if kind == "+":
        total = _value(node.parts[0])
        for part in node.parts[1:]:
            total = _added(total, _value(part))
        return total
    left, right = (_value(part) for part in node.parts)
    if kind in _ARITHMETIC:
        return _ARITHMETIC[kind](_number(left, "modifier", kind), _number(right, "modifier", kind))
    return _compared(kind, left, right)


def _added(left: Any, right: Any) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        return f"{_shown(left)}{_shown(right)}"
    return _number(left, "modifier", "+") + _number(right, "modifier", "+")


def _compared(operator: str, left: Any, right: Any) -> bool:
    if operator in ("==", "!="):
        return (type(left) is type(right) and bool(left == right)) is (operator == "==")
    if operator == "in":
        choices = right if isinstance(right, list) else [right]
        return any(_compared("==", left, choice) for choice in choices)
    if operator in ("=~", "!~"):
        try:
            found = pattern_of(_shown(right)).search(_shown(left)) is not None
        except InvalidPattern as error:
            raise InvalidCondition(f"unable to compile regexp pattern: {error}") from error
        return found is (operator == "=~")
    if not (isinstance(left, str) and isinstance(right, str)):
        left, right = (_number(side, "comparator", operator) for side in (left, right))
    return bool({"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator])


def _is_true(value: Any, what: str, operator: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidCondition(f"Value '{_shown(value)}' cannot be used with the {what} '{operator}', it is not a bool")
    return value


def _number(value: Any, what: str, operator: str) -> float:
    if isinstance(value, float):
        return value
    raise InvalidCondition(f"Value '{_shown(value)}' cannot be used with the {what} '{operator}', it is not a number")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{' '.join(map(_shown, value))}]"
    return value if isinstance(value, str) else number_text(value)


def _remainder(left: float, right: float) -> float:
    return math.nan if not right or math.isinf(left) else math.fmod(left, right)


def _whole(value: float) -> int:
    return int(value) if math.isfinite(value) else 0


def _wrapped(value: int) -> float:
    """Return a 64-bit number as a signed one."""
    value &= _MASK
    return float(value - (1 << _BITS) if value >> (_BITS - 1) else value)


def _shifted(value: float, by: float, direction: Callable[[int, int], int]) -> float:
    distance = _whole(by)
    return float(direction(_whole(value) & _MASK, distance) & _MASK) if 0 <= distance < _BITS else 0.0


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": divided,
    "%": _remainder,
    "**": power,
    "&": lambda left, right: _wrapped(_whole(left) & _whole(right)),
    "|": lambda left, right: _wrapped(_whole(left) | _whole(right)),
    "^": lambda left, right: _wrapped(_whole(left) ^ _whole(right)),
    "<<": lambda left, right: _shifted(left, right, int.__lshift__),
    ">>": lambda left, right: _shifted(left, right, int.__rshift__),
}
_SIGNS: dict[str, Callable[[float], float]] = {
    "unary -": lambda value: -value,
    "unary ~": lambda value: _wrapped(~_whole(value)),
}
