"""The deterministic functions of `sprig.…` (https://masterminds.github.io/sprig/).

None is random, reads this machine's environment, files or network, or does cryptography beyond digests. As there,
arguments that are not numbers count as 0, and missing values are empty.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterable
from typing import Any

from engines.local.interpreter.builtin_functions import (
    a_map,
    are_equal,
    array,
    as_json,
    as_pretty_json,
    concatenated,
    count_of,
    decoded,
    distinct,
    encoded,
    from_json,
    joined,
    length,
    printed,
    repeated,
    replaced,
    signed,
    sorted_values,
    text,
    written,
)
from engines.local.interpreter.patterns import InvalidPattern, pattern_of
from engines.local.interpreter.times import formatted, moment, read_duration, read_time
from engines.local.interpreter.values import Budget, InvalidExpression, as_number, is_whole, string_of, type_name

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")


def _int(value: Any) -> int:
    """Return a value as sprig's `int` does: 0 for a value that is not a number."""
    try:
        if isinstance(value, str):
            return signed(int(value, 0) if not value.lstrip("+-").isdecimal() else int(value))
        return signed(int(value))
    except (ValueError, TypeError, OverflowError):
        return 0


def _float(value: Any) -> float:
    try:
        return float(value) if isinstance(value, str | int | float) else 0.0
    except (ValueError, OverflowError):
        return 0.0


def _is_empty(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, str | list | dict | int | float) and not value)


def _each(budget: Budget, values: Iterable[Any], of: Callable[[Any, Any], Any], start: Any) -> Any:
    total = start
    for value in values:
        budget.spend(1)
        total = of(total, value)
    return total


def _texts(budget: Budget, values: Any) -> list[str]:
    listed = array(budget, values) if isinstance(values, list) else [values]
    return [printed(budget, value) for value in listed if value is not None]


def _divided(left: Any, right: Any) -> int:
    one, other = _int(left), _int(right)
    if not other:
        raise InvalidExpression("integer divide by zero")
    return signed((abs(one) // abs(other)) * (1 if (one < 0) == (other < 0) else -1))


def _remainder(left: Any, right: Any) -> int:
    one, other = _int(left), _int(right)
    if not other:
        raise InvalidExpression("integer divide by zero")
    return abs(one) % abs(other) * (-1 if one < 0 else 1)


def _quotient(left: float, right: float) -> float:
    if not right:
        raise InvalidExpression("division by zero")
    return left / right


def _steps(budget: Budget, first: int, last: int, step: int) -> list[int]:
    if not step:
        return []
    budget.spend(len(range(first, last, step)))
    return list(range(first, last, step))


def _seq(budget: Budget, *numbers: Any) -> str:
    given = [count_of(number) for number in numbers]
    if not 1 <= len(given) <= 3:
        raise InvalidExpression("expected one, two or three numbers")
    first = given[0] if len(given) > 1 else 1
    last = given[-1]
    down = len(given) < 3 and last < first
    step = given[1] if len(given) > 2 else -1 if down else 1
    listed = _steps(budget, first, last + (1 if step > 0 else -1), step)
    return joined(budget, [str(number) for number in listed], " ")


def _substring(budget: Budget, first: Any, last: Any, value: Any) -> str:
    start, end, whole = count_of(first), count_of(last), text(value)
    return written(budget, whole[max(start, 0) :] if end < 0 or end > len(whole) else whole[max(start, 0) : end])


def _truncated(budget: Budget, most: Any, value: Any) -> str:
    count = count_of(most)
    return written(budget, text(value)[count:] if count < 0 else text(value)[:count])


def _abbreviated(budget: Budget, most: Any, value: Any) -> str:
    count = count_of(most)
    whole = text(value)
    return written(budget, whole if count < 4 or len(whole) <= count else f"{whole[: count - 3]}...")


def _indented(budget: Budget, by: Any, value: Any) -> str:
    before = repeated(budget, " ", by)
    return before + replaced(budget, text(value), "\n", f"\n{before}")


def _round(value: Any, digits: Any) -> float:
    places = min(max(count_of(digits), -15), 15)
    scale = 10.0**places
    number = _float(value) * scale
    down = int(number)
    return (down + (1 if number - down >= 0.5 else 0)) / scale


def _found(budget: Budget, pattern: Any, value: Any, most: int) -> list[str]:
    found: list[str] = []
    for match in _pattern(pattern).finditer(text(value)):
        if len(found) == most:
            break
        found.append(written(budget, match.group(0)))
        budget.spend(1)
    return found


def _pattern(pattern: Any) -> Any:
    try:
        return pattern_of(text(pattern))
    except InvalidPattern as error:
        raise InvalidExpression(str(error)) from error


def _replaced(budget: Budget, pattern: Any, value: Any, new: Any, *, literal: bool) -> str:
    """Return a text with all that a pattern finds replaced; $1 and ${name} stand for its groups unless `literal`."""
    parts: list[str] = []
    end, whole = 0, text(value)
    budget.write(len(whole))
    for match in _pattern(pattern).finditer(whole):
        budget.spend(1)
        parts += [whole[end : match.start()], text(new) if literal else _filled(text(new), match)]
        budget.write(len(parts[-2]) + len(parts[-1]))
        end = match.end()
    return "".join([*parts, whole[end:]])


def _filled(new: str, match: Any) -> str:
    def group(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        try:
            return match.group(int(name) if name.isdecimal() else name) or ""
        except (IndexError, KeyError):
            return ""

    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", group, new)


def _regex_split(budget: Budget, pattern: Any, value: Any, most: Any) -> list[str]:
    count, whole = count_of(most), text(value)
    parts: list[str] = []
    end = 0
    for match in _pattern(pattern).finditer(whole):
        budget.spend(1)
        if 0 < count <= len(parts) + 1:
            break
        parts.append(whole[end : match.start()])
        end = match.end()
    return [*parts, whole[end:]] if count else []


def _has(budget: Budget, wanted: Any, values: Any) -> bool:
    return any(are_equal(budget, wanted, value) for value in array(budget, values))


def _dict(budget: Budget, *pairs: Any) -> dict[str, Any]:
    budget.spend(len(pairs))
    padded = [*pairs, ""] if len(pairs) % 2 else [*pairs]
    return {printed(budget, padded[i]): padded[i + 1] for i in range(0, len(padded), 2)}


def _merged(budget: Budget, *maps: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in reversed(maps):
        found |= a_map(budget, one)
    return found


def _cut(budget: Budget, value: Any, *ends: Any) -> Any:
    return array(budget, value)[slice(*map(count_of, ends))] if ends else array(budget, value)


def _numbered(parts: list[str]) -> dict[str, str]:
    return {f"_{number}": part for number, part in enumerate(parts)}


def _parts(budget: Budget, by: Any, value: Any, most: int = -1) -> list[str]:
    budget.write(len(text(value)))
    parts = list(value) if by == "" else value.split(text(by), most)
    budget.spend(len(parts))
    return parts


def _words(budget: Budget, value: Any) -> list[str]:
    budget.write(len(text(value)))
    return _WORDS.findall(value)


def _time_of(budget: Budget, value: Any) -> Any:
    """Return a time from a time, a string or seconds since 1970; for other values the present, as in sprig."""
    if type_name(value) == "time.Time":
        return value
    if is_whole(value):
        return moment(value)
    if isinstance(value, str):
        try:
            return read_time(value)
        except InvalidExpression:
            return moment(budget.now())
    return moment(budget.now())


def _ternary(_: Budget, then: Any, otherwise: Any, condition: Any) -> Any:
    return then if condition is True else otherwise


def _fail(_: Budget, message: Any) -> Any:
    raise InvalidExpression(text(message))


def _digest(name: str) -> Callable[[Budget, Any], str]:
    return lambda budget, value: written(
        budget, hashlib.new(name, text(value).encode(), usedforsecurity=False).hexdigest()
    )


def _titled(value: str) -> str:
    return re.sub(r"(^|\s)(\w)", lambda match: match[1] + match[2].upper(), value)


SPRIG: dict[str, Callable[..., Any]] = {
    # Strings
    "trim": lambda budget, value: written(budget, text(value).strip()),
    "trimAll": lambda budget, what, value: written(budget, text(value).strip(text(what))),
    "trimall": lambda budget, what, value: written(budget, text(value).strip(text(what))),
    "trimPrefix": lambda budget, what, value: written(budget, text(value).removeprefix(text(what))),
    "trimSuffix": lambda budget, what, value: written(budget, text(value).removesuffix(text(what))),
    "upper": lambda budget, value: written(budget, text(value).upper()),
    "lower": lambda budget, value: written(budget, text(value).lower()),
    "title": lambda budget, value: written(budget, _titled(text(value))),
    "untitle": lambda budget, value: written(budget, re.sub(r"\b(\w)", lambda one: one[1].lower(), text(value))),
    "swapcase": lambda budget, value: written(budget, text(value).swapcase()),
    "nospace": lambda budget, value: written(budget, "".join(text(value).split())),
    "repeat": lambda budget, times, value: repeated(budget, text(value), times),
    "replace": lambda budget, old, new, value: replaced(budget, text(value), text(old), text(new)),
    "substr": _substring,
    "trunc": _truncated,
    "abbrev": _abbreviated,
    "initials": lambda budget, value: "".join(word[0] for word in _words(budget, value)),
    "contains": lambda _, part, value: text(part) in text(value),
    "hasPrefix": lambda _, prefix, value: text(value).startswith(text(prefix)),
    "hasSuffix": lambda _, suffix, value: text(value).endswith(text(suffix)),
    "quote": lambda budget, *values: joined(budget, [as_json(budget, one) for one in _texts(budget, [*values])], " "),
    "squote": lambda budget, *values: joined(budget, [f"'{one}'" for one in _texts(budget, [*values])], " "),
    "cat": lambda budget, *values: joined(budget, _texts(budget, [*values]), " "),
    "indent": _indented,
    "nindent": lambda budget, by, value: "\n" + _indented(budget, by, value),
    "plural": lambda _, one, many, count: one if count_of(count) == 1 else many,
    "snakecase": lambda budget, value: joined(budget, _words(budget, value), "_").lower(),
    "kebabcase": lambda budget, value: joined(budget, _words(budget, value), "-").lower(),
    "camelcase": lambda budget, value: "".join(word[:1].upper() + word[1:] for word in _words(budget, value)),
    "toString": printed,
    "toStrings": _texts,
    "splitList": _parts,
    "split": lambda budget, by, value: _numbered(_parts(budget, by, value)),
    "splitn": lambda budget, by, most, value: _numbered(_parts(budget, by, value, max(count_of(most) - 1, 0))),
    "join": lambda budget, between, values: joined(budget, _texts(budget, values), text(between)),
    "sortAlpha": lambda budget, values: sorted_values(budget, _texts(budget, values)),
    # Numbers
    "atoi": lambda _, value: _int(value) if text(value).lstrip("+-").isdecimal() else 0,
    "int": lambda _, value: _int(value),
    "int64": lambda _, value: _int(value),
    "float64": lambda _, value: _float(value),
    "add1": lambda _, value: signed(_int(value) + 1),
    "add": lambda budget, *values: _each(budget, values, lambda total, one: signed(total + _int(one)), 0),
    "sub": lambda _, left, right: signed(_int(left) - _int(right)),
    "mul": lambda budget, *values: _each(budget, values, lambda total, one: signed(total * _int(one)), 1),
    "div": lambda _, left, right: _divided(left, right),
    "mod": lambda _, left, right: _remainder(left, right),
    "add1f": lambda _, value: _float(value) + 1,
    "addf": lambda budget, *values: _each(budget, values, lambda total, one: total + _float(one), 0.0),
    "subf": lambda budget, one, *more: _each(budget, more, lambda total, other: total - _float(other), _float(one)),
    "mulf": lambda budget, *values: _each(budget, values, lambda total, one: total * _float(one), 1.0),
    "divf": lambda budget, one, *more: _each(
        budget, more, lambda total, other: _quotient(total, _float(other)), _float(one)
    ),
    "max": lambda _, *values: max(map(_int, values)),
    "biggest": lambda _, *values: max(map(_int, values)),
    "min": lambda _, *values: min(map(_int, values)),
    "maxf": lambda _, *values: max(map(_float, values)),
    "minf": lambda _, *values: min(map(_float, values)),
    "ceil": lambda _, value: float(-(-_float(value) // 1)),
    "floor": lambda _, value: float(_float(value) // 1),
    "round": lambda _, value, digits: _round(value, digits),
    "until": lambda budget, last: _steps(budget, 0, count_of(last), 1 if count_of(last) >= 0 else -1),
    "untilStep": lambda budget, first, last, step: _steps(budget, count_of(first), count_of(last), count_of(step)),
    "seq": _seq,
    # Defaults
    "default": lambda _, otherwise, value=None: otherwise if _is_empty(value) else value,
    "empty": lambda _, value: _is_empty(value),
    "coalesce": lambda _, *values: next((value for value in values if not _is_empty(value)), None),
    "all": lambda _, *values: not any(map(_is_empty, values)),
    "any": lambda _, *values: not all(map(_is_empty, values)),
    "ternary": _ternary,
    "fail": _fail,
    # Lists and maps
    "list": lambda budget, *values: array(budget, [*values]),
    "tuple": lambda budget, *values: array(budget, [*values]),
    "first": lambda _, values: values[0] if values else None,
    "last": lambda _, values: values[-1] if values else None,
    "rest": lambda budget, values: array(budget, values)[1:],
    "initial": lambda budget, values: array(budget, values)[:-1],
    "reverse": lambda budget, values: array(budget, values)[::-1],
    "append": lambda budget, values, one: [*array(budget, values), one],
    "push": lambda budget, values, one: [*array(budget, values), one],
    "prepend": lambda budget, values, one: [one, *array(budget, values)],
    "concat": concatenated,
    "uniq": lambda budget, values: distinct(budget, array(budget, values)),
    "compact": lambda budget, values: [value for value in array(budget, values) if not _is_empty(value)],
    "without": lambda budget, values, *unwanted: [
        value for value in array(budget, values) if not _has(budget, value, [*unwanted])
    ],
    "has": _has,
    "slice": _cut,
    "len": length,
    "dict": _dict,
    "get": lambda budget, holder, key: a_map(budget, holder).get(key, ""),
    "hasKey": lambda budget, holder, key: key in a_map(budget, holder),
    "keys": lambda budget, *maps: [key for holder in maps for key in a_map(budget, holder)],
    "values": lambda budget, holder: list(a_map(budget, holder).values()),
    "pick": lambda budget, holder, *keys: {key: a_map(budget, holder)[key] for key in keys if key in holder},
    "omit": lambda budget, holder, *keys: {
        key: value for key, value in a_map(budget, holder).items() if key not in keys
    },
    "merge": _merged,
    "deepEqual": are_equal,
    # JSON, encodings, digests
    "fromJson": from_json,
    "mustFromJson": from_json,
    "toJson": as_json,
    "mustToJson": as_json,
    "toRawJson": as_json,
    "toPrettyJson": as_pretty_json,
    "b64enc": encoded,
    "b64dec": decoded,
    "sha1sum": _digest("sha1"),
    "sha256sum": _digest("sha256"),
    "sha512sum": _digest("sha512"),
    # Paths, as strings
    "base": lambda budget, value: written(budget, posixpath.basename(text(value).rstrip("/")) or "."),
    "dir": lambda budget, value: written(budget, posixpath.dirname(text(value)) or "."),
    "clean": lambda budget, value: written(budget, posixpath.normpath(text(value))),
    "ext": lambda budget, value: written(budget, posixpath.splitext(text(value))[1]),
    "isAbs": lambda _, value: text(value).startswith("/"),
    # Regular expressions
    "regexMatch": lambda _, pattern, value: _pattern(pattern).search(text(value)) is not None,
    "mustRegexMatch": lambda _, pattern, value: _pattern(pattern).search(text(value)) is not None,
    "regexFind": lambda budget, pattern, value: "".join(_found(budget, pattern, value, 1)),
    "regexFindAll": lambda budget, pattern, value, most: _found(budget, pattern, value, count_of(most)),
    "regexReplaceAll": lambda budget, pattern, value, new: _replaced(budget, pattern, value, new, literal=False),
    "regexReplaceAllLiteral": lambda budget, pattern, value, new: _replaced(budget, pattern, value, new, literal=True),
    "regexSplit": _regex_split,
    "regexQuoteMeta": lambda budget, value: written(budget, re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text(value))),
    # Times
    "now": lambda budget: moment(budget.now()),
    "date": lambda budget, layout, value: formatted(_time_of(budget, value), text(layout)),
    "htmlDate": lambda budget, value: formatted(_time_of(budget, value), "2006-01-02"),
    "toDate": lambda _, layout, value: read_time(text(value), text(layout)),
    "unixEpoch": lambda budget, value: str(int(_time_of(budget, value).timestamp())),
    "duration": lambda _, seconds: string_of(read_duration(f"{as_number(_int(seconds))}s")),
    # Types
    "typeOf": lambda _, value: type_name(value),
    "kindOf": lambda _, value: type_name(value),
    "kindIs": lambda _, name, value: type_name(value) == name,
}
