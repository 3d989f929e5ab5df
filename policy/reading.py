"""YAML text to plain JSON data and the place of every value, within bounds.

Reads as Kubernetes does (https://pkg.go.dev/sigs.k8s.io/yaml): YAML 1.1 without times and base-60 numbers, text keys,
merge keys, numbers as JSON has them (`1e3` is 1000, `1.0` is 1); tags beyond those of JSON are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from policy.faults import ManifestFault, Place, Unreadable, escape

MAX_BYTES = 512 * 1024
MAX_DEPTH = 64
# Counted after aliases are followed: ten lines of them can stand for a thousand million values.
MAX_VALUES = 50_000

_TAG = "tag:yaml.org,2002:"
_BaseLoader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class _Loader(_BaseLoader):  # type: ignore[misc]
    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in (f"{_TAG}timestamp", f"{_TAG}value")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


# PyYAML wants a dot in a number with an exponent, and a sign after the e.
_Loader.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z"), list("-+.0123456789")
)
# From here on a number without a fraction has an exponent.
_LARGE = 1e21


# "8001:8001" and "12:30" are text to Kubernetes; YAML 1.1 would make numbers in base 60 of them.
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


@dataclass(frozen=True)
class Document:
    """A manifest as data, and the place in the text of each value by its JSON pointer."""

    value: dict[str, Any]
    places: Mapping[str, Place]

    def place(self, pointer: str) -> Place | None:
        """Return the place of a value, or of the nearest one around it that is there."""
        while pointer not in self.places and pointer:
            pointer = pointer.rpartition("/")[0]
        return self.places.get(pointer)


def read(content: bytes) -> Document:
    """Return the one mapping that a YAML text holds. Raises Unreadable at the first fault."""
    if len(content) > MAX_BYTES:
        raise Unreadable(ManifestFault("", f"is larger than {MAX_BYTES} bytes"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Unreadable(ManifestFault("", "is not UTF-8", Place(line, 1))) from error
    try:
        _check_outline(text)
        loader = _Loader(text)
        try:
            reader = _Reader(loader)
            value = reader.value_of(_only_node(loader), "", 1)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark or error.context_mark)
        raise Unreadable(ManifestFault("", f"is not YAML: {error.problem or error.context}", place)) from error
    except yaml.reader.ReaderError as error:
        place = Place(text[: error.position].count("\n") + 1, 1)
        raise Unreadable(ManifestFault("", "holds a character that YAML does not allow", place)) from error
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "a single value"
        raise Unreadable(ManifestFault("", f"must be one Workflow, not {kind}", Place(1, 1)))
    return Document(value, reader.places)


def _place(mark: Any) -> Place | None:
    return Place(mark.line + 1, mark.column + 1) if mark is not None else None


def _check_outline(text: str) -> None:
    """Look at depth, number and kind of what the text holds, before anything recursive reads it."""
    depth = documents = values = 0
    start: Any = None
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.DocumentStartEvent):
            start = event
        elif start is not None:
            # The first node of a document says whether there is anything in it.
            documents += not _is_nothing(event)
            if documents > 1:
                raise _unreadable("", "holds several documents; a Schema has one Workflow", start)
            start = None
        if isinstance(event, (yaml.CollectionStartEvent, yaml.ScalarEvent, yaml.AliasEvent)):
            values += 1
            if values > 2 * MAX_VALUES:
                raise _unreadable("", f"holds more than {MAX_VALUES} values", event)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _unreadable("", f"is nested deeper than {MAX_DEPTH} levels", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    if not documents:
        raise Unreadable(ManifestFault("", "is empty"))


def _is_nothing(node: Any) -> bool:
    """Return whether a document's node, or its event, is none: a file may end in `---`, and begin so."""
    is_scalar = isinstance(node, (yaml.ScalarEvent, yaml.ScalarNode))
    return is_scalar and node.style in (None, "") and not node.value


def _only_node(loader: Any) -> Any:
    while loader.check_node():
        node = loader.get_node()
        if not _is_nothing(node):
            return node
    return None


def _unreadable(pointer: str, detail: str, marked: Any) -> Unreadable:
    return Unreadable(ManifestFault(pointer, detail, _place(marked.start_mark)))


class _Reader:
    def __init__(self, loader: Any) -> None:
        self.places: dict[str, Place] = {}
        self._loader = loader
        self._left = MAX_VALUES

    def value_of(self, node: Any, pointer: str, depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _unreadable(pointer, f"expands to more than {MAX_VALUES} values by its aliases", node)
        if depth > MAX_DEPTH:
            raise _unreadable(pointer, f"is nested deeper than {MAX_DEPTH} levels by its aliases", node)
        self.places.setdefault(pointer, Place(node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, pointer, depth)
        if isinstance(node, yaml.SequenceNode):
            self._expect(node, pointer, "seq")
            return [self.value_of(item, f"{pointer}/{i}", depth + 1) for i, item in enumerate(node.value)]
        return self._scalar(node, pointer)

    def _mapping(self, node: Any, pointer: str, depth: int) -> dict[str, Any]:
        self._expect(node, pointer, "map")
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                for other in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                    merged = self._merge_source(other, pointer, depth) | merged
                continue
            key = self._key(key_node, pointer)
            if key in result:
                raise _unreadable(f"{pointer}/{escape(key)}", f"names the key {key[:80]!r} twice", key_node)
            where = f"{pointer}/{escape(key)}"
            self.places[where] = Place(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = self.value_of(value_node, where, depth + 1)
        return merged | result

    def _merge_source(self, node: Any, pointer: str, depth: int) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise _unreadable(pointer, "merges something that is not a mapping", node)
        value: dict[str, Any] = self.value_of(node, pointer, depth + 1)
        return value

    def _key(self, node: Any, pointer: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag != f"{_TAG}str":
            raise _unreadable(pointer, "has a key that is not text; quote it", node)
        self._check_text(node, pointer)
        return str(node.value)

    def _scalar(self, node: Any, pointer: str) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind in ("int", "float") and _BASE_60.fullmatch(node.value):
            kind = "str"
        if kind == "str":
            self._check_text(node, pointer)
            return node.value
        if kind == "null":
            return None
        if kind not in ("bool", "int", "float"):
            raise _unreadable(pointer, f"has a tag that is not allowed: {node.tag[:80]}", node)
        try:
            value = getattr(self._loader, f"construct_yaml_{kind}")(node)
        except (ValueError, KeyError) as error:
            raise _unreadable(pointer, f"is no {kind}", node) from error
        if isinstance(value, float) and not math.isfinite(value):
            raise _unreadable(pointer, "is a number that JSON does not know", node)
        if isinstance(value, float) and value.is_integer() and abs(value) < _LARGE:
            return int(value)
        return value

    def _expect(self, node: Any, pointer: str, kind: str) -> None:
        if node.tag != f"{_TAG}{kind}":
            raise _unreadable(pointer, f"has a tag that is not allowed: {node.tag[:80]}", node)

    def _check_text(self, node: Any, pointer: str) -> None:
        if "\x00" in node.value or any("\ud800" <= character <= "\udfff" for character in node.value):
            raise _unreadable(pointer, "holds a NUL or an unpaired surrogate character", node)
