"""The function `jsonpath`: paths into JSON (https://www.rfc-editor.org/rfc/rfc9535), as far as Argo supports them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engines.local.interpreter.grammar import InvalidText, Node, read
from engines.local.interpreter.patterns import InvalidPattern, pattern_of
from engines.local.interpreter.values import Budget, InvalidExpression, is_whole

_DEEPEST = 200
_NOTHING = object()


def found_at(budget: Budget, document: Any, path: str) -> Any:
    """Return the values at a path: a single value where the path can give only one, else a list. Raises
    `InvalidExpression`."""
    try:
        tree = read("jsonpath", path.strip())
    except InvalidText as error:
        raise InvalidExpression(f"'{path}' is not a path: {error}") from error
    search = _Search(budget, document)
    found = search.at(document, tree.parts)
    if all(_is_single(segment) for segment in tree.parts):
        if not found:
            raise InvalidExpression(f"there is nothing at '{path}'")
        return found[0]
    return found


def _is_single(segment: Node) -> bool:
    if segment.kind == "child":
        return bool(segment.parts[0] != "*")
    return segment.kind == "selected" and len(segment.parts) == 1 and segment.parts[0].kind == "value"


class _Search:
    def __init__(self, budget: Budget, document: Any) -> None:
        self.budget = budget
        self.document = document

    def at(self, value: Any, segments: list[Any]) -> list[Any]:
        """Return all values at a path from a value."""
        found = [value]
        for segment in segments:
            found = [inner for one in found for inner in self._segment(one, segment)]
            self.budget.spend(len(found) + 1)
        return found

    def _segment(self, value: Any, segment: Node) -> Iterator[Any]:
        holders = self._all(value, 0) if segment.kind in ("descendants", "all_selected") else (value,)
        for holder in holders:
            if segment.kind in ("child", "descendants"):
                yield from self._child(holder, segment.parts[0])
            else:
                for selector in segment.parts:
                    yield from self._selected(holder, selector)

    def _all(self, value: Any, depth: int) -> Iterator[Any]:
        self.budget.spend(1)
        if depth > _DEEPEST:
            raise InvalidExpression("a document is nested too deeply")
        yield value
        for inner in _inner(value):
            yield from self._all(inner, depth + 1)

    @staticmethod
    def _child(value: Any, key: str) -> Iterator[Any]:
        if key == "*":
            yield from _inner(value)
        elif isinstance(value, dict) and key in value:
            yield value[key]

    def _selected(self, value: Any, selector: Node) -> Iterator[Any]:
        if selector.kind == "any":
            yield from _inner(value)
        elif selector.kind == "stretch":
            if isinstance(value, list):
                yield from value[slice(*(None if part is None else int(part) for part in selector.parts))]
        elif selector.kind == "filter":
            for inner in _inner(value):
                self.budget.spend(1)
                if self._holds(inner, selector.parts[0]):
                    yield inner
        else:
            key = selector.parts[0]
            if isinstance(value, list) and is_whole(key):
                if -len(value) <= key < len(value):
                    yield value[key]
            elif isinstance(value, dict) and str(key) in value:
                yield value[str(key)]

    def _holds(self, value: Any, test: Node) -> bool:
        if test.kind == "&&":
            return all(self._holds(value, part) for part in test.parts)
        if test.kind == "||":
            return any(self._holds(value, part) for part in test.parts)
        if test.kind == "!":
            return not self._holds(value, test.parts[0])
        if test.kind in ("here", "path", "value"):
            found = self._operand(value, test)
            return found is not _NOTHING and found is not False and found is not None
        left, right = (self._operand(value, part) for part in test.parts)
        return _compared(test.kind, left, right)

    def _operand(self, value: Any, operand: Node) -> Any:
        if operand.kind == "value":
            return operand.parts[0]
        found = self.at(value if operand.kind == "here" else self.document, operand.parts)
        return found[0] if found else _NOTHING


def _inner(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _compared(operator: str, left: Any, right: Any) -> bool:
    if operator in ("==", "!="):
        equal = isinstance(left, bool) == isinstance(right, bool) and left == right
        return bool(equal) is (operator == "==")
    if operator in ("=~", "!~"):
        if not (isinstance(left, str) and isinstance(right, str)):
            return False
        try:
            return (pattern_of(right).search(left) is not None) is (operator == "=~")
        except InvalidPattern as error:
            raise InvalidExpression(str(error)) from error
    numbers = all(isinstance(side, int | float) and not isinstance(side, bool) for side in (left, right))
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        return False
    return bool({"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator])
