"""JSON as it may enter the house: strict text to plain data, every fault with its pointer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

from web.errors import Fault, InvalidInput

MAX_DEPTH = 32
_MAX_FAULTS = 50


class _DuplicateKey(ValueError):
    pass


def escape(token: object) -> str:
    """Return one reference token of a JSON pointer (RFC 6901)."""
    return str(token).replace("~", "~0").replace("/", "~1")


def parse_json(text: bytes | str, pointer: str = "/data") -> Any:
    """Return the value of a JSON text.

    Raises InvalidInput at `pointer` for text that is not JSON (RFC 8259), names a key twice or is nested deeper than
    32 levels, and at the place itself for numbers beyond a float and characters that no database takes.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise _invalid(pointer, f"is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise _invalid(pointer, f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except _DuplicateKey as error:
        raise _invalid(pointer, f"has a key twice in one object: {str(error)[:100]!r}") from error
    except ValueError as error:
        raise _invalid(pointer, "holds a number that JSON does not know or that is too long") from error
    except RecursionError as error:
        raise _invalid(pointer, f"is nested deeper than {MAX_DEPTH} levels") from error
    faults = _faults(value, pointer)
    if faults:
        raise InvalidInput(faults=faults)
    return value


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
    """Return what is wrong inside a parsed value; a stack of its own, since depth is what is being judged."""
    faults: list[Fault] = []
    # Each value with the keys that lead to it; pointers are written for faults alone, since values are many.
    stack: list[tuple[Any, tuple[str | int, ...]]] = [(value, ())]
    while stack and len(faults) < _MAX_FAULTS:
        item, path = stack.pop()
        if isinstance(item, str):
            if not _is_storable(item):
                faults.append(Fault(_pointer(pointer, path), "holds a NUL or an unpaired surrogate character"))
        elif isinstance(item, float):
            if not math.isfinite(item):
                faults.append(Fault(_pointer(pointer, path), "is a number too large"))
        elif isinstance(item, (dict, list)):
            if len(path) >= MAX_DEPTH:
                return [Fault(pointer, f"is nested deeper than {MAX_DEPTH} levels")]
            children = item.items() if isinstance(item, dict) else enumerate(item)
            for key, child in children:
                if isinstance(key, str) and not _is_storable(key):
                    words = "holds a NUL or an unpaired surrogate character in a key"
                    faults.append(Fault(_pointer(pointer, path), words))
                else:
                    stack.append((child, (*path, key)))
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
