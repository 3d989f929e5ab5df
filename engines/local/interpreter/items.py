"""Loops: withItems, withParam and withSequence, turned into named instances.

Source: https://argo-workflows.readthedocs.io/en/latest/walk-through/loops/.
"""

from __future__ import annotations

import re
from typing import Any

from engines.local.interpreter.tags import text_of
from engines.local.interpreter.texts import compact_json, parsed_json

LOOPS = ("withItems", "withParam", "withSequence")
_MOST_ITEMS = 100_000
# One verb for a whole number, as C and Go have it; a width of a few digits.
_FORMAT = re.compile(r"(?:[^%]|%%)*%[-+ 0]{0,4}\d{0,2}[dxXo](?:[^%]|%%)*", re.DOTALL)


class InvalidLoop(Exception):
    """The items of a loop cannot be read."""


def loops(step: dict[str, Any]) -> bool:
    """Return whether a step or task is a loop, even one over nothing."""
    return any(step.get(kind) is not None for kind in LOOPS)


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return compact_json(value)
    return "null" if value is None else text_of(value)


def items_of(rendered: dict[str, Any]) -> list[Any]:
    """Return the items of a step whose tags are replaced. Raises `InvalidLoop`."""
    if rendered.get("withItems") is not None:
        items = rendered["withItems"]
    elif rendered.get("withParam") is not None:
        if not isinstance(rendered["withParam"], str):
            raise InvalidLoop("withParam is not a string")
        try:
            items = parsed_json(rendered["withParam"])
        except ValueError as error:
            raise InvalidLoop(
                f"withParam value could not be parsed as a JSON list: {rendered['withParam']}: {error}"
            ) from error
    else:
        return _sequence(rendered["withSequence"])
    if items is None:
        # Go reads it as an empty list.
        return []
    if not isinstance(items, list):
        raise InvalidLoop(f"withParam value could not be parsed as a JSON list: {_shown(items)}")
    return items


def _sequence(sequence: dict[str, Any]) -> list[str]:
    try:
        start = int(text_of(sequence.get("start", 0)) or 0)
        if sequence.get("count") is not None:
            end, step = start + int(text_of(sequence["count"])), 1
        else:
            last = int(text_of(sequence["end"]))
            end, step = (last + 1, 1) if start <= last else (last - 1, -1)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidLoop(f"withSequence cannot be read: {error}") from error
    if (end - start) * step > _MOST_ITEMS:
        raise InvalidLoop(f"withSequence has more than {_MOST_ITEMS:,} items")
    form = text_of(sequence.get("format") or "%d")
    if not _FORMAT.fullmatch(form):
        raise InvalidLoop(f"withSequence cannot be read: the format '{form}' must have one of %d, %x, %X and %o")
    return [form % number for number in range(start, end, step)]


def instance(name: str, index: int, item: Any) -> tuple[str, dict[str, str]]:
    """Return the name of one turn of a loop, and its `item` tags."""
    if isinstance(item, dict):
        values = {"item": compact_json(item)}
        shown = []
        for key, value in item.items():
            text = _shown(value)
            values[f"item.{key}"] = text
            shown.append(f"{key}:{text}")
        return f"{name}({index}:{','.join(sorted(shown))})", values
    if isinstance(item, list):
        return f"{name}({index}:[{' '.join(_shown(part) for part in item)}])", {"item": compact_json(item)}
    text = _shown(item)
    return f"{name}({index}:{text})", {"item": text}
