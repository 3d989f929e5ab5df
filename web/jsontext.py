"""Strict parsing of JSON from outside to plain data, every fault with its pointer."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from django.conf import settings

from web.errors import Fault, InvalidInput, TooLarge

MAX_DEPTH = 32
_MAX_FAULTS = 50
# Matches escapes one after the other: in `\\ud83d` the first two characters are a backslash, and the rest is text.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<none>u[dD][89a-fA-F][0-9a-fA-F]{2}|u0000)|.)"
)
_UNSTORABLE = "holds a NUL or an unpaired surrogate character"


class _DuplicateKey(ValueError):
    pass


def escape(token: object) -> str:
    """Return one reference token of a JSON pointer (RFC 6901)."""
    return str(token).replace("~", "~0").replace("/", "~1")


def parse_json(text: bytes | str, pointer: str = "/data") -> Any:
    """Return the value of a JSON text.

    Raises InvalidInput at `pointer` for text that is not JSON (RFC 8259), has a key twice or is nested deeper than 32
    levels, and at the place itself for numbers beyond a float and characters that databases do not store; TooLarge
    for a text that may hold more values than MAX_DATA_VALUES, since a value takes many times the size of its text.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        if len(text) > settings.MAX_DATA_VALUES and sum(map(text.count, ",[{")) > settings.MAX_DATA_VALUES:
            raise TooLarge(faults=[Fault(pointer, f"holds more than {settings.MAX_DATA_VALUES} values")])
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        marked = isinstance(text, bytes) and text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        words = "is UTF-16: save it as UTF-8" if marked else f"is not UTF-8 (byte {error.start})"
        raise _invalid(pointer, words) from error
    except json.JSONDecodeError as error:
        raise _invalid(pointer, f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except _DuplicateKey as error:
        raise _invalid(pointer, f"has the same key twice in one object: {str(error)[:100]!r}") from error
    except ValueError as error:
        raise _invalid(pointer, "holds a number that is not valid JSON or is too long") from error
    except RecursionError as error:
        raise _invalid(pointer, f"is nested deeper than {MAX_DEPTH} levels") from error
    faults = _faults(value, pointer)
    if faults:
        raise InvalidInput(faults=faults)
    return value


def mended(text: bytes | str) -> str:
    """Return a JSON text with invalid characters replaced by U+FFFD: bad UTF-8, half a surrogate pair, a NUL."""
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig", errors="replace")
    return _ESCAPE.sub(lambda found: r"\ufffd" if found["none"] else found[0], text) if "\\u" in text else text


def _invalid(pointer: str, detail: str) -> InvalidInput:
    return InvalidInput(faults=[Fault(pointer, detail)])


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKey(key)
            seen.add(key)
    return result


def _faults(value: Any, pointer: str) -> list[Fault]:
    """Return the faults inside a parsed value; with its own stack, since the value may be nested too deeply."""
    faults: list[Fault] = []
    # The remaining items of each container on the path, and the keys that lead to them: memory does not grow with the
    # number of values, and pointers are built only for faults.
    stack: list[Iterator[tuple[str | int, Any]]] = [iter([("", value)])]
    path: list[str | int] = []
    while stack and len(faults) < _MAX_FAULTS:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            del path[len(stack) - 1 :]
            continue
        key, item = entry
        words = ""
        if isinstance(key, str) and not _is_storable(key):
            faults.append(Fault(_pointer(pointer, path[1:]), f"{_UNSTORABLE} in a key"))
        elif isinstance(item, str):
            words = "" if _is_storable(item) else _UNSTORABLE
        elif isinstance(item, float):
            words = "" if math.isfinite(item) else "is a number that is too large"
        elif isinstance(item, (dict, list)):
            if len(path) >= MAX_DEPTH:
                return [Fault(pointer, f"is nested deeper than {MAX_DEPTH} levels")]
            stack.append(iter(item.items() if isinstance(item, dict) else enumerate(item)))
            path.append(key)
        if words:
            faults.append(Fault(_pointer(pointer, [*path, key][1:]), words))
    return faults


def _pointer(root: str, path: Iterable[object]) -> str:
    return root + "".join(f"/{escape(key)}" for key in path)


def _is_storable(text: str) -> bool:
    if text.isascii():
        return "\x00" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text
