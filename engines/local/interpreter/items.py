"""Loops: withItems, withParam and withSequence, turned into named instances.

Source: https://argo-workflows.readthedocs.io/en/latest/walk-through/loops/.
"""

from __future__ import annotations

from typing import Any

from engines.local.interpreter.tags import text_of
from engines.local.interpreter.texts import compact_json, parsed_json

LOOPS = ("withItems", "withParam", "withSequence")


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
            end = start + int(text_of(sequence["count"])) - 1
            numbers = range(start, end + 1)
        else:
            end = int(text_of(sequence["end"]))
            numbers = range(start, end + 1) if start <= end else range(start, end - 1, -1)
        form = sequence.get("format") or "%d"
        return [form % number for number in numbers]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidLoop(f"withSequence cannot be read: {error}") from error


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
