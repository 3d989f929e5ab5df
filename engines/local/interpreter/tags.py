"""Template tags: `{{workflow.name}}` and the like, compiled once and rendered many times.

`{{=expression}}` is evaluated instead of looked up. Source:
https://argo-workflows.readthedocs.io/en/latest/variables/.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engines.local.interpreter.expressions import references, references_of, text_value
from engines.local.interpreter.texts import json_number
from engines.local.interpreter.values import InvalidExpression
from engines.local.interpreter.visible import Names

# Outputs with a `globalName`. Where no step has set one, Argo leaves its tag as it is.
_GLOBAL_PREFIX = "workflow.outputs.parameters."
# Before a tag whose name has tags in it.
UNTOLD = "{{"
_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


Lookup = Callable[[str], str]


class Unresolved(Exception):
    """A tag that has no value here."""

    def __init__(self, tag: str, message: str = "") -> None:
        super().__init__(message or f"failed to resolve {{{{{tag}}}}}")
        self.tag = tag


class Scope:
    """Values of tags, looked up in layers; the first layer that has the tag wins. `now` is for expressions."""

    __slots__ = ("layers", "now")

    def __init__(self, *layers: Mapping[str, str], now: Callable[[], float] = time.time) -> None:
        self.layers = layers
        self.now = now

    def lookup(self, tag: str) -> str:
        """Return a tag's value. Raises `Unresolved`."""
        for layer in self.layers:
            value = layer.get(tag)
            if value is not None:
                return value
        if tag.startswith(_GLOBAL_PREFIX):
            return f"{{{{{tag}}}}}"
        if tag.startswith("="):
            try:
                return text_value(tag[1:], self.names())
            except InvalidExpression as error:
                raise Unresolved(tag, f"failed to evaluate expression: {error}") from error
        raise Unresolved(tag)

    def names(self, artifacts: Mapping[str, Mapping[str, Any]] | None = None) -> Names:
        """Return what an expression sees here."""
        return Names(self.layers, self.now, artifacts or {})

    def inside(self, *layers: Mapping[str, str]) -> Scope:
        """Return this scope with layers in front of it."""
        return Scope(*layers, *self.layers, now=self.now)


class _Text:
    __slots__ = ("parts", "tags")

    def __init__(self, parts: list[str]) -> None:
        self.parts = parts
        self.tags = parts[1::2]

    def fill(self, lookup: Lookup) -> str:
        parts = self.parts.copy()
        parts[1::2] = map(lookup, self.tags)
        return "".join(parts)


class _Nested:
    """A tag whose name holds tags: those are filled in first."""

    __slots__ = ("name",)

    def __init__(self, name: Any) -> None:
        self.name = name

    def fill(self, lookup: Lookup) -> str:
        return lookup(str(fill(self.name, lookup)).strip())


class _Joined:
    """A text with nested tags."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def fill(self, lookup: Lookup) -> str:
        return "".join(fill(part, lookup) for part in self.parts)


class _Object:
    """An object with tags in some of its values; most of a template is copied as it is."""

    __slots__ = ("items", "open")

    def __init__(self, items: dict[str, Any]) -> None:
        self.items = items
        self.open = [(key, value) for key, value in items.items() if isinstance(value, _COMPILED)]

    def fill(self, lookup: Lookup) -> dict[str, Any]:
        filled = self.items.copy()
        for key, value in self.open:
            filled[key] = value.fill(lookup)
        return filled


class _Keys:
    """An object with tags in its keys."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[Any, Any]]) -> None:
        self.pairs = pairs

    def fill(self, lookup: Lookup) -> dict[str, Any]:
        return {fill(key, lookup): fill(value, lookup) for key, value in self.pairs}


class _Array:
    __slots__ = ("items",)

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def fill(self, lookup: Lookup) -> list[Any]:
        return [fill(item, lookup) for item in self.items]


_COMPILED = (_Text, _Nested, _Joined, _Object, _Keys, _Array)


def compiled(value: Any) -> Any:
    """Compile a value for `fill`; a value without tags is returned as it is."""
    if isinstance(value, str):
        return _compiled_text(value) if "{{" in value else value
    if isinstance(value, dict):
        pairs = [(compiled(key), compiled(item)) for key, item in value.items()]
        if any(key is not old for (key, _), old in zip(pairs, value, strict=True)):
            return _Keys(pairs)
        return value if all(item is value[key] for key, item in pairs) else _Object(dict(pairs))
    if isinstance(value, list):
        items = [compiled(item) for item in value]
        plain = all(item is old for item, old in zip(items, value, strict=True))
        return value if plain else _Array(items)
    return value


def _compiled_text(text: str) -> Any:
    if _has_nested(text):
        return _Joined([_Nested(compiled(piece)) if is_tag else compiled(piece) for is_tag, piece in _pieces(text)])
    parts = _TAG.split(text)
    return text if len(parts) == 1 else _Text([p if i % 2 == 0 else p.strip() for i, p in enumerate(parts)])


def part(value: Any, key: str) -> Any:
    """Return one field of a compiled object, still compiled; None where it is missing."""
    if isinstance(value, _Keys):
        return next((item for name, item in value.pairs if name == key), None)
    return (value.items if isinstance(value, _Object) else value).get(key)


def fill(value: Any, lookup: Lookup) -> Any:
    """Return a compiled value with its tags replaced; parts without tags are shared, not copied."""
    if isinstance(value, _COMPILED):
        return value.fill(lookup)
    return value


def render(text: str, lookup: Lookup) -> str:
    """Return a text with its tags replaced."""
    return str(fill(compiled(text), lookup))


def _has_nested(text: str) -> bool:
    """Return whether a tag of a text has tags in its name, as in `{{workflow.parameters.{{item}}}}`."""
    return any("{{" in match[1] for match in _TAG.finditer(text)) and any(tag for tag, _ in _pieces(text))


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Yield a text in pieces: whether each is the name of a tag that has tags in it, and the piece."""
    begun: list[int] = []
    start = position = 0
    while position < len(text):
        if text.startswith("{{", position):
            begun.append(position)
            position += 2
        elif text.startswith("}}", position) and begun:
            # Of three braces the first closes an object around the tag.
            opened = begun.pop()
            inner = text[opened + 2 : position]
            position += 2
            if not begun and "{{" in inner:
                yield False, text[start:opened]
                yield True, inner
                start = position
        else:
            position += 1
    yield False, text[start:]


def tags_in(value: Any) -> Iterator[str]:
    """Yield every tag within a value, keys included."""
    if isinstance(value, str):
        if "{{" in value:
            for is_nested, piece in _pieces(value) if _has_nested(value) else [(False, value)]:
                # A name with tags in it is only known when they are filled in.
                yield from [f"{UNTOLD}{piece.strip()}"] if is_nested else []
                yield from (match.group(1).strip() for match in _TAG.finditer(piece))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tags_in(key)
            yield from tags_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from tags_in(item)


def sole_tag(value: Any) -> str:
    """Return the tag of a text that is only a tag; else ''."""
    match = _TAG.fullmatch(value) if isinstance(value, str) else None
    return match[1].strip() if match and "{{" not in match[1] and "}}" not in match[1] else ""


def asked_for_in(value: Any) -> Iterator[str]:
    """Yield every tag within a value, and those that its expressions name."""
    for tag in tags_in(value):
        yield from references_of(tag[1:]) if tag.startswith("=") else (tag,)
    yield from references(value)


def text_of(value: Any) -> str:
    """Return a parameter's value as Argo holds it: always a string."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json_number(value) if isinstance(value, float) else str(value)
