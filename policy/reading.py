"""Read YAML text as plain JSON data with the place of every value, within bounds.

Reads as Kubernetes does (https://pkg.go.dev/sigs.k8s.io/yaml): YAML 1.1 without times and base-60 numbers, text keys,
merge keys, and numbers as Go's JSON writes them, `1.0` as 1. Tags beyond those of JSON are refused.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml

from policy.faults import ManifestFault, Place, Unreadable, escape

MAX_BYTES = 512 * 1024
MAX_DEPTH = 64
# Counted with aliases followed: ten lines of aliases can stand for a thousand million values.
MAX_VALUES = 50_000

_TAG = "tag:yaml.org,2002:"
_BaseLoader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


# Of every scalar without quotes and tag: this module decides its type, not the library.
_PLAIN = "plain"


class _Loader(_BaseLoader):  # type: ignore[misc]
    yaml_implicit_resolvers = {None: [(_PLAIN, re.compile(""))]}


# The types are those of go-yaml v2, resolve.go, which Kubernetes uses; but `y` and `n` are not booleans here: whoever
# writes them means a coordinate or a name, and what is submitted is JSON.
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLEANS = {
    **dict.fromkeys(("yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_NO_NUMBERS = {f"{sign}{word}" for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")} | {
    ".nan",
    ".NaN",
    ".NAN",
}
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)|(?P<dec>0|[1-9][0-9]*))"
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASES = {"hex": 16, "bin": 2, "oct": 8, "dec": 10}
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
# From this number on Go's JSON writes a float with an exponent.
_LARGE = 1e21


class _NoJson(ValueError):
    """A number that JSON does not know."""


@dataclass(frozen=True)
class Document:
    """A manifest as data, and the place in the text of each value by its JSON pointer."""

    value: dict[str, Any]
    places: Mapping[str, Place]

    def place(self, pointer: str) -> Place | None:
        """Return the place of a value, or of the nearest one around it."""
        while pointer not in self.places and pointer:
            pointer = pointer.rpartition("/")[0]
        return self.places.get(pointer)


def read(content: bytes) -> Document:
    """Return the one mapping that a YAML text holds. Raises Unreadable at the first fault."""
    if len(content) > MAX_BYTES:
        raise Unreadable(ManifestFault("", f"is larger than {MAX_BYTES} bytes"))
    text = _decoded(content)
    try:
        _check_outline(text)
        loader = _Loader(text)
        try:
            reader = _Reader()
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


def _decoded(content: bytes) -> str:
    has_mark = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding, name = ("utf-16", "UTF-16") if has_mark and _is_of_pairs(content) else ("utf-8-sig", "UTF-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Unreadable(ManifestFault("", f"is not {name}", Place(line, 1))) from error


def _is_of_pairs(content: bytes) -> bool:
    """Return whether the text has more than a byte order mark, in units of two bytes."""
    return len(content) > len(codecs.BOM_UTF16) and len(content) % 2 == 0


def _only_node(loader: Any) -> Any:
    """Return the root of the one document that is not empty."""
    while loader.check_node():
        node = loader.get_node()
        if not _is_nothing(node, node.tag == _PLAIN):
            return node
    raise Unreadable(ManifestFault("", "is empty"))


def _is_nothing(scalar: Any, is_plain: bool) -> bool:
    """Return whether a document is empty: Helm and people leave a `---` at both ends of a file."""
    return is_plain and scalar.value == "" and not getattr(scalar, "anchor", None)


def _place(mark: Any) -> Place | None:
    return Place(mark.line + 1, mark.column + 1) if mark is not None else None


def _check_outline(text: str) -> None:
    """Check depth, number and kind of the values before anything recursive reads them."""
    depth = documents = values = 0
    start: Any = None
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.DocumentStartEvent):
            start = event
        elif isinstance(event, yaml.ScalarEvent) and not depth and _is_nothing(event, event.implicit[0]):
            continue
        elif isinstance(event, (yaml.CollectionStartEvent, yaml.ScalarEvent, yaml.AliasEvent)):
            documents += not depth
            if documents > 1:
                raise _unreadable("", "holds several documents; expected one Workflow", start)
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


def _unreadable(pointer: str, detail: str, marked: Any) -> Unreadable:
    return Unreadable(ManifestFault(pointer, detail, _place(marked.start_mark)))


def plain_value(text: str) -> str | int | float | bool | None:
    """Return the value of a scalar without quotes. Raises ValueError for a number that JSON does not know."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text in _NO_NUMBERS:
        raise _NoJson(text)
    if text[0] not in "+-.0123456789":
        return text
    digits = text if text[0] == "." else text.replace("_", "")
    if (match := _INTEGER.fullmatch(digits)) is not None:
        base = next(name for name in _BASES if match[name])
        # A number with more digits is always out of range.
        number = int(match["sign"] + match[base], _BASES[base]) if len(match[base]) <= 64 else None
        if number is not None and _SMALLEST <= number <= _LARGEST:
            return number
        if base != "dec":
            raise _NoJson(text)
    if _FLOAT.fullmatch(digits):
        return _as_in_json(float(digits), text)
    return text


def _is_word(text: str) -> bool:
    try:
        return isinstance(plain_value(text), str)
    except _NoJson:
        return False


def _as_in_json(number: float, text: str) -> int | float:
    """Return a number as Go's JSON writes it: a whole one without a point."""
    if number in (float("inf"), float("-inf")):
        raise _NoJson(text)
    return int(Decimal(repr(number))) if number.is_integer() and abs(number) < _LARGE else number


_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
}


class _Reader:
    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
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
            if key_node.tag == f"{_TAG}merge" or (key_node.tag == _PLAIN and key_node.value == "<<"):
                for other in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                    merged = self._merge_source(other, pointer, depth) | merged
                continue
            key = self._key(key_node, pointer)
            if key in result:
                raise _unreadable(f"{pointer}/{escape(key)}", f"has the key {key[:80]!r} twice", key_node)
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
        if not isinstance(node, yaml.ScalarNode) or not self._is_text(node):
            raise _unreadable(pointer, "has a key that is not a string; put it in quotes", node)
        self._check_text(node, pointer)
        return str(node.value)

    def _scalar(self, node: Any, pointer: str) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind != _PLAIN and kind not in _TYPES:
            raise _unreadable(pointer, f"has a tag that is not allowed: {node.tag[:80]}", node)
        try:
            value = node.value if kind == "str" else plain_value(node.value)
        except _NoJson as error:
            raise _unreadable(pointer, "is a number that JSON does not know", node) from error
        if kind != _PLAIN and type(value) not in _TYPES[kind]:
            raise _unreadable(pointer, f"is not of the YAML type {kind}", node)
        if isinstance(value, str):
            self._check_text(node, pointer)
        return value

    def _is_text(self, node: Any) -> bool:
        return node.tag == f"{_TAG}str" or (node.tag == _PLAIN and _is_word(node.value))

    def _expect(self, node: Any, pointer: str, kind: str) -> None:
        if node.tag != f"{_TAG}{kind}":
            raise _unreadable(pointer, f"has a tag that is not allowed: {node.tag[:80]}", node)

    def _check_text(self, node: Any, pointer: str) -> None:
        if "\x00" in node.value or any("\ud800" <= character <= "\udfff" for character in node.value):
            raise _unreadable(pointer, "holds a NUL or an unpaired surrogate character", node)
