"""The functions of expr-lang, and those that Argo adds: https://expr-lang.org/docs/language-definition.

Each gets the budget first and charges its result before it makes it. `timezone` is missing: times are in UTC.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from typing import Any

from engines.local.interpreter.jsonpaths import found_at
from engines.local.interpreter.times import moment, read_duration, read_time
from engines.local.interpreter.values import (
    Budget,
    InvalidExpression,
    as_number,
    is_whole,
    json_text,
    json_value,
    key_text,
    shown,
    string_of,
    type_name,
    whole,
)

Predicate = Callable[..., Any]
_BITS = 64
_MASK = (1 << _BITS) - 1
_DEEPEST_LIST = 50
_INDENT = "  "


def text(value: Any) -> str:
    """Return a value that is a string. Raises `InvalidExpression`."""
    if isinstance(value, str):
        return value
    raise InvalidExpression(f"{shown(value)} is not a string")


def array(budget: Budget, value: Any) -> list[Any]:
    """Return a value that is an array, charged for iteration. Raises `InvalidExpression`."""
    if isinstance(value, list):
        budget.spend(len(value))
        return value
    raise InvalidExpression(f"{shown(value)} is not an array")


def count_of(value: Any) -> int:
    """Return a value that is an integer. Raises `InvalidExpression`."""
    if is_whole(value):
        return int(value)
    raise InvalidExpression(f"{shown(value)} is not a whole number")


def written(budget: Budget, made: str) -> str:
    """Return a new string, charged to the budget."""
    budget.write(len(made))
    return made


def sorted_values(budget: Budget, values: list[Any], key: Callable[[Any], Any] = lambda value: value) -> list[Any]:
    """Return values in order: all strings or all numbers. Raises `InvalidExpression`."""
    budget.spend(len(values) * max(len(values).bit_length(), 1))
    keyed = [(key(value), value) for value in values]
    if not (all(isinstance(each, str) for each, _ in keyed) or all(is_number(each) for each, _ in keyed)):
        raise InvalidExpression("only numbers or strings can be compared")
    return [value for _, value in sorted(keyed, key=lambda pair: pair[0])]


def is_number(value: Any) -> bool:
    """Return whether a value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def are_equal(budget: Budget, left: Any, right: Any) -> bool:
    """Return whether two values are equal; a list may hold another many times, and each comparison is charged."""
    budget.spend(1)
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool) and left == right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(are_equal(budget, *pair) for pair in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(are_equal(budget, left[key], right[key]) for key in left)
    return not isinstance(left, list | dict) and bool(left == right)


def repeated(budget: Budget, what: str, times: Any) -> str:
    """Return a string repeated so many times."""
    count = count_of(times)
    if count < 0:
        raise InvalidExpression("a string cannot be repeated a negative number of times")
    budget.write(len(what) * count)
    return what * count


def replaced(budget: Budget, what: str, old: str, new: str) -> str:
    """Return a string with all occurrences of another replaced."""
    budget.write(len(what) + what.count(old) * len(new))
    return what.replace(old, new)


def joined(budget: Budget, parts: list[str], between: str) -> str:
    """Return strings joined."""
    budget.write(sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def distinct(budget: Budget, values: list[Any]) -> list[Any]:
    """Return values without duplicates."""
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(as_json(budget, value), value)
    return list(found.values())


def int_of(value: Any) -> int:
    """Return a number or string as a whole number. Raises `InvalidExpression`."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidExpression(f"{shown(value)} is not a whole number")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(whole(int(value)))
    try:
        # Go accepts no spaces and no underscores.
        if isinstance(value, str) and value.lstrip("+-").isdecimal():
            return int(whole(int(value)))
    except ValueError:
        pass
    raise InvalidExpression(f"{shown(value)} is not a whole number")


def float_of(value: Any) -> float:
    """Return a number or string as a float. Raises `InvalidExpression`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        if isinstance(value, str) and value == value.strip() and "_" not in value:
            return float(value)
    except ValueError:
        pass
    raise InvalidExpression(f"{shown(value)} is not a number")


def length(_: Budget, value: Any) -> int:
    """Return the length of a string, array or map. Raises `InvalidExpression`."""
    if isinstance(value, str | list | dict):
        return len(value)
    raise InvalidExpression(f"{shown(value)} has no length")


def _trim(budget: Budget, value: Any, characters: str | None = None) -> str:
    return written(budget, text(value).strip(characters))


def _split(budget: Budget, value: Any, by: Any, most: Any = -1, *, keep: bool = False) -> list[str]:
    budget.write(len(text(value)))
    most = count_of(most)
    if most == 0:
        return []
    parts = list(value) if by == "" else value.split(text(by))
    budget.spend(len(parts))
    if 0 < most < len(parts):
        parts = [*parts[: most - 1], by.join(parts[most - 1 :])]
    return [*(part + by for part in parts[:-1]), parts[-1]] if keep else parts


def _numbers(budget: Budget, values: tuple[Any, ...]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found += array(budget, value) if isinstance(value, list) else [value]
    return [as_number(value) for value in found]


def _rounded(value: Any) -> float:
    number = float(as_number(value))
    return math.copysign(math.floor(abs(number) + 0.5), number) if math.isfinite(number) else number


def _integral(function: Callable[[float], float]) -> Callable[[Budget, Any], float]:
    def applied(_: Budget, value: Any) -> float:
        number = float(as_number(value))
        return float(function(number)) if math.isfinite(number) else number

    return applied


def _median(budget: Budget, *values: Any) -> float:
    numbers = sorted_values(budget, _numbers(budget, values))
    middle = len(numbers) // 2
    if not numbers:
        return 0.0
    return float(numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2)


def _mean(budget: Budget, *values: Any) -> float:
    numbers = _numbers(budget, values)
    return math.fsum(numbers) / len(numbers) if numbers else 0.0


def _is(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidExpression(f"a predicate must be true or false, not {shown(value)}")
    return value


def _identity(value: Any, **_: Any) -> Any:
    return value


def _found(budget: Budget, values: Any, wanted: Predicate, *, last: bool = False) -> tuple[int, Any]:
    listed = list(enumerate(array(budget, values)))
    for number, value in reversed(listed) if last else listed:
        if _is(wanted(value)):
            return number, value
    return -1, None


def _reduce(budget: Budget, values: Any, step: Predicate, *first: Any) -> Any:
    items = list(enumerate(array(budget, values)))
    if first:
        total = first[0]
    elif items:
        total = items.pop(0)[1]
    else:
        raise InvalidExpression("an empty array cannot be reduced")
    for number, value in items:
        total = step(value, **{"#acc": total, "#index": number})
    return total


def _grouped(budget: Budget, values: Any, by: Predicate) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for value in array(budget, values):
        groups.setdefault(printed(budget, by(value)), []).append(value)
    return groups


def _sum(budget: Budget, values: Any, of: Predicate = _identity) -> int | float:
    total: int | float = 0
    for value in array(budget, values):
        total = whole(total + as_number(of(value)))
    return total


def _sort(budget: Budget, values: Any, by: Predicate = _identity, order: str = "asc") -> list[Any]:
    found = sorted_values(budget, array(budget, values), by)
    return found[::-1] if order == "desc" else found


def _flat(budget: Budget, values: Any, depth: int = 0) -> list[Any]:
    if depth > _DEEPEST_LIST:
        raise InvalidExpression("an array is nested too deeply")
    found: list[Any] = []
    for value in array(budget, values):
        found += _flat(budget, value, depth + 1) if isinstance(value, list) else [value]
    return found


def concatenated(budget: Budget, *lists: Any) -> list[Any]:
    """Return arrays joined."""
    return [value for each in lists for value in array(budget, each)]


def _get(_: Budget, holder: Any, key: Any) -> Any:
    if isinstance(holder, dict):
        return holder.get(key) if isinstance(key, str | int) else None
    if isinstance(holder, list | str) and is_whole(key):
        return holder[key] if -len(holder) <= key < len(holder) else None
    return None


def _pairs(budget: Budget, pairs: Any) -> dict[str, Any]:
    return {key_text(key): value for key, value in array(budget, pairs)}


def a_map(budget: Budget, value: Any) -> dict[str, Any]:
    """Return a value that is a map, charged for iteration. Raises `InvalidExpression`."""
    if isinstance(value, dict):
        budget.spend(len(value))
        return value
    raise InvalidExpression(f"{shown(value)} is not a map")


def decoded(budget: Budget, value: Any) -> str:
    """Decode a Base64 string. Raises `InvalidExpression`."""
    try:
        return written(budget, base64.b64decode(text(value), validate=True).decode())
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidExpression("the string is not Base64") from error


def encoded(budget: Budget, value: Any) -> str:
    """Encode a string as Base64."""
    return written(budget, base64.b64encode(text(value).encode("utf-8", "surrogatepass")).decode())


def as_json(budget: Budget, value: Any) -> str:
    """Return a value as JSON, charged to the budget."""
    budget.write(_weight(budget, value))
    return json_text(value)


def as_pretty_json(budget: Budget, value: Any) -> str:
    """Return a value as JSON with a line for each item, charged to the budget."""
    budget.write(_weight(budget, value, len(_INDENT)))
    return json_text(value, _INDENT)


def _weight(budget: Budget, value: Any, indent: int = 0, depth: int = 1) -> int:
    """Return the approximate length of a value as text: it may hold the same list many times."""
    budget.spend(1)
    if isinstance(value, str):
        return len(value)
    margin = 1 + indent * depth
    if isinstance(value, list):
        return sum(_weight(budget, item, indent, depth + 1) + margin for item in value)
    if isinstance(value, dict):
        return sum(_weight(budget, item, indent, depth + 1) + len(key) + margin for key, item in value.items())
    return 1


def printed(budget: Budget, value: Any) -> str:
    """Return a value as Go prints it, charged to the budget."""
    budget.write(_weight(budget, value))
    return string_of(value)


def from_json(budget: Budget, value: Any) -> Any:
    """Parse a JSON text, charged to the budget."""
    budget.write(len(text(value)))
    return json_value(value)


def _shifted(value: Any, by: Any, direction: Callable[[int, int], int], mask: int | None = None) -> int:
    distance = count_of(by)
    if distance < 0:
        raise InvalidExpression("a number cannot be shifted by a negative number of bits")
    number = count_of(value) if mask is None else count_of(value) & mask
    return signed(direction(number, min(distance, _BITS)))


def signed(value: int) -> int:
    """Return the lowest 64 bits as a signed number."""
    value &= _MASK
    return value - (1 << _BITS) if value >> (_BITS - 1) else value


# Their second argument is evaluated for each element.
PREDICATED = frozenset(
    {
        *("all", "any", "one", "none", "map", "filter", "groupBy", "count", "sum", "sortBy", "reduce"),
        *("find", "findIndex", "findLast", "findLastIndex"),
    }
)
BUILTINS: dict[str, Callable[..., Any]] = {
    "trim": _trim,
    "trimPrefix": lambda budget, value, prefix: written(budget, text(value).removeprefix(text(prefix))),
    "trimSuffix": lambda budget, value, suffix: written(budget, text(value).removesuffix(text(suffix))),
    "upper": lambda budget, value: written(budget, text(value).upper()),
    "lower": lambda budget, value: written(budget, text(value).lower()),
    "split": _split,
    "splitAfter": lambda budget, value, by, most=-1: _split(budget, value, by, most, keep=True),
    "replace": lambda budget, value, old, new: replaced(budget, text(value), text(old), text(new)),
    "repeat": lambda budget, value, times: repeated(budget, text(value), times),
    "indexOf": lambda _, value, part: text(value).find(text(part)),
    "lastIndexOf": lambda _, value, part: text(value).rfind(text(part)),
    "hasPrefix": lambda _, value, prefix: text(value).startswith(text(prefix)),
    "hasSuffix": lambda _, value, suffix: text(value).endswith(text(suffix)),
    "join": lambda budget, values, between="": joined(budget, [text(one) for one in array(budget, values)], between),
    "now": lambda budget: moment(budget.now()),
    "duration": lambda _, value: read_duration(text(value)),
    "date": lambda _, value, layout="": read_time(text(value), text(layout)),
    "max": lambda budget, *values: max(_numbers(budget, values)),
    "min": lambda budget, *values: min(_numbers(budget, values)),
    "abs": lambda _, value: whole(abs(as_number(value))),
    "ceil": _integral(math.ceil),
    "floor": _integral(math.floor),
    "round": lambda _, value: _rounded(value),
    "mean": _mean,
    "median": _median,
    "all": lambda budget, values, wanted: all(_is(wanted(value)) for value in array(budget, values)),
    "any": lambda budget, values, wanted: any(_is(wanted(value)) for value in array(budget, values)),
    "none": lambda budget, values, wanted: not any(_is(wanted(value)) for value in array(budget, values)),
    "one": lambda budget, values, wanted: sum(_is(wanted(value)) for value in array(budget, values)) == 1,
    "count": lambda budget, values, wanted=_identity: sum(_is(wanted(value)) for value in array(budget, values)),
    "map": lambda budget, values, of: [of(value, **{"#index": i}) for i, value in enumerate(array(budget, values))],
    "filter": lambda budget, values, wanted: [value for value in array(budget, values) if _is(wanted(value))],
    "find": lambda budget, values, wanted: _found(budget, values, wanted)[1],
    "findIndex": lambda budget, values, wanted: _found(budget, values, wanted)[0],
    "findLast": lambda budget, values, wanted: _found(budget, values, wanted, last=True)[1],
    "findLastIndex": lambda budget, values, wanted: _found(budget, values, wanted, last=True)[0],
    "groupBy": _grouped,
    "reduce": _reduce,
    "sum": _sum,
    "sort": lambda budget, values, order="asc": _sort(budget, values, order=order),
    "sortBy": _sort,
    "concat": concatenated,
    "flatten": _flat,
    "uniq": lambda budget, values: distinct(budget, array(budget, values)),
    "first": lambda _, values: _get(_, values, 0),
    "last": lambda _, values: _get(_, values, -1),
    "take": lambda budget, values, most: array(budget, values)[: max(count_of(most), 0)],
    "reverse": lambda budget, values: array(budget, values)[::-1],
    "keys": lambda budget, holder: list(a_map(budget, holder)),
    "values": lambda budget, holder: list(a_map(budget, holder).values()),
    "toPairs": lambda budget, holder: [[key, value] for key, value in a_map(budget, holder).items()],
    "fromPairs": _pairs,
    "type": lambda _, value: type_name(value),
    "int": lambda _, value: int_of(value),
    "float": lambda _, value: float_of(value),
    "string": printed,
    "toJSON": as_pretty_json,
    "fromJSON": from_json,
    "toBase64": encoded,
    "fromBase64": decoded,
    "len": length,
    "get": _get,
    "bitand": lambda _, left, right: count_of(left) & count_of(right),
    "bitor": lambda _, left, right: count_of(left) | count_of(right),
    "bitxor": lambda _, left, right: count_of(left) ^ count_of(right),
    "bitnand": lambda _, left, right: count_of(left) & ~count_of(right),
    "bitnot": lambda _, value: ~count_of(value),
    "bitshl": lambda _, value, by: _shifted(value, by, int.__lshift__),
    "bitshr": lambda _, value, by: _shifted(value, by, int.__rshift__),
    "bitushr": lambda _, value, by: _shifted(value, by, int.__rshift__, _MASK),
    # Argo's own.
    "asInt": lambda _, value: int_of(value),
    "asFloat": lambda _, value: float_of(value),
    "toJson": as_json,
    "jsonpath": lambda budget, document, path: found_at(budget, from_json(budget, document), text(path)),
}
