"""What a field may hold: forms of values, each with its own check.

A form gets the value, the JSON pointer of its place, and the current `Check`, to which it reports faults. A table knows
its fields by exact name. A field whose value is null counts as left out, as Kubernetes reads it.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from policy.faults import ManifestFault, escape
from policy.outline import Outline, readable
from policy.rules import Grant, Policy

Json = Any
FIELDS, VALUES, NAMES = "allowed-fields", "allowed-values", "names"
MAX_FAULTS = 200
_SHOWN = 80


class Check:
    """One pass over one manifest: its policy, its place, and the faults found.

    `is_rendered`: all parameters of the Workflow have their values. `template` is the pointer of the template around
    the current place. A patch gets its own check, below the pointer `within`.
    """

    def __init__(self, document: Json, outline: Outline, policy: Policy, grant: Grant, *, is_rendered: bool) -> None:
        self.document = document
        self.outline = outline
        self.policy = policy
        self.grant = grant
        self.is_rendered = is_rendered
        self.template = ""
        self.within = ""
        self.is_patch = False
        self.symbols: Mapping[str, str] = {}
        self._faults: dict[ManifestFault, None] = {}
        self.images: dict[str, None] = {}

    @property
    def faults(self) -> list[ManifestFault]:
        """All faults, each once."""
        return list(self._faults)

    def of_patch(self, patch: Json, at: str, symbols: Mapping[str, str]) -> Check:
        """Return a check of a patch that stands at a pointer; `symbols` are the marks in it for values that are not
        known."""
        inner = Check(patch, self.outline, self.policy, self.grant, is_rendered=self.is_rendered)
        inner.template, inner.within, inner.is_patch, inner.symbols = self.template, at, True, symbols
        inner.images = self.images
        return inner

    def becomes(self, text: str) -> Sequence[str]:
        """Return all that a text can be at run time; see `Outline.becomes`."""
        for mark, meant in self.symbols.items():
            text = text.replace(mark, meant)
        return self.outline.becomes(text, self.template)

    def refuse(self, at: str, rule: str, detail: str) -> None:
        """Note a fault, unless the operator allows the value."""
        if not (self.policy.allowed_fields and self._is_widened(at)):
            self.add(ManifestFault(at, f"refused by the rule {rule}: {detail}"))

    def add(self, fault: ManifestFault) -> None:
        """Note a fault, up to a bound that is enough for a reader."""
        if len(self._faults) < MAX_FAULTS:
            self._faults[fault] = None

    def _is_widened(self, at: str) -> bool:
        whole = (self.within + at).split("/")
        for pattern, values in self.policy.allowed_fields:
            parts = pattern.split("/")
            depth = len(parts)
            if depth > len(whole) or any(a not in ("*", b) for a, b in zip(parts, whole, strict=False)):
                continue
            inside = whole[len(self.within.split("/")) if self.within else 1 : depth]
            if values is None or _text(_value_at(self.document, inside)) in values:
                return True
        return False


def _value_at(document: Json, parts: Iterable[str]) -> Json:
    for part in parts:
        try:
            document = document[int(part)] if isinstance(document, list) else document[_unescaped(part)]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return document


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


def canonical(value: Json) -> str:
    """Return a value as the JSON text by which it is found in `Policy.allowed_fields`."""
    return _text(value)


def shown(value: Json) -> str:
    """Return a value for a message: short, on one line."""
    text = value if isinstance(value, str) else json.dumps(value)
    text = readable(text)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class Form(ABC):
    """A kind of value."""

    @abstractmethod
    def check(self, value: Json, at: str, check: Check) -> None:
        """Report to the check what is wrong with a value at a pointer."""


class Table(Form):
    """An object of known fields. `reasons` explain why a common field is refused: its rule and a text."""

    def __init__(self, fields: Mapping[str, Form], reasons: Mapping[str, tuple[str, str]] | None = None) -> None:
        self.fields = dict(fields)
        self.reasons = reasons or {}

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, dict):
            check.refuse(at, VALUES, "must be an object")
            return
        fields = self.fields
        for key, item in value.items():
            form = fields.get(key)
            if form is not None:
                if item is not None:
                    form.check(item, f"{at}/{key}", check)
                elif check.is_patch:
                    check.refuse(f"{at}/{key}", FIELDS, "a patch must not remove a field")
            elif item is not None or check.is_patch:
                rule, words = self.reasons.get(key, (FIELDS, ""))
                check.refuse(f"{at}/{escape(key)}", rule, words or f"{shown(key)} is not an allowed field here")


class ListOf(Form):
    """A list of values of one form; `unique` names a field that tells its objects apart."""

    def __init__(self, item: Form, unique: str = "") -> None:
        self.item = item
        self.unique = unique

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, list):
            check.refuse(at, VALUES, "must be a list")
            return
        seen: set[str] = set()
        for index, item in enumerate(value):
            self.item.check(item, f"{at}/{index}", check)
            if self.unique and isinstance(item, dict) and isinstance(name := item.get(self.unique), str):
                if name in seen:
                    check.refuse(f"{at}/{index}/{self.unique}", NAMES, f"{shown(name)} already exists")
                seen.add(name)


class MapOf(Form):
    """An object with free keys, which are names of one form."""

    def __init__(self, value: Form) -> None:
        self.value = value

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, dict):
            check.refuse(at, VALUES, "must be an object")
            return
        for key, item in value.items():
            if not _WORD.fullmatch(key):
                check.refuse(f"{at}/{escape(key)}", NAMES, f"{shown(key)} is not a name")
            self.value.check(item, f"{at}/{escape(key)}", check)


class Text(Form):
    """Any string: only a program reads it."""

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, VALUES, "must be a string")
        elif "\0" in value:
            check.refuse(at, VALUES, "holds a NUL character")


class Scalar(Form):
    """A string, number or boolean, as a parameter's value may be."""

    def check(self, value: Json, at: str, check: Check) -> None:
        if isinstance(value, (dict, list)):
            check.refuse(at, VALUES, "must be a string, a number or a boolean")
        elif isinstance(value, str) and "\0" in value:
            check.refuse(at, VALUES, "holds a NUL character")


class Items(Form):
    """The items of a loop: any values without a NUL character."""

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, list):
            check.refuse(at, VALUES, "must be a list")
        elif "\\u0000" in json.dumps(value):
            check.refuse(at, VALUES, "holds a NUL character")


class Flag(Form):
    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, bool):
            check.refuse(at, VALUES, f"must be true or false, not {shown(value)}")


class Only(Form):
    """One of a few values, written literally. `words` say why no other is allowed."""

    def __init__(self, *values: Json, rule: str = VALUES, words: str = "") -> None:
        self.values = values
        self.rule = rule
        self.words = words

    def check(self, value: Json, at: str, check: Check) -> None:
        # 0 is not False here, and 1 is not True.
        if not any(type(value) is type(each) and value == each for each in self.values):
            allowed = " or ".join(shown(each) for each in self.values)
            check.refuse(at, self.rule, f"{self.words or f'must be {allowed}'}, not {shown(value)}")


class Number(Form):
    """A whole number of at least `least`, written as a number."""

    def __init__(self, least: int = 0, rule: str = VALUES) -> None:
        self.least = least
        self.rule = rule

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < self.least:
            check.refuse(at, self.rule, f"must be a whole number of {self.least} or more, not {shown(value)}")


class NumberOrText(Form):
    """A number that may be a string and may come from a parameter: a limit, a duration, a port's name."""

    def check(self, value: Json, at: str, check: Check) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            check.refuse(at, VALUES, f"must be a number or a string, not {shown(value)}")
        elif isinstance(value, str) and "{{" not in value and not _SHORT.fullmatch(value):
            check.refuse(at, VALUES, f"{shown(value)} is neither a number, a duration nor a name")


class Pattern(Form):
    """A string that matches one pattern as a whole, with whatever its references become."""

    rule = VALUES

    def __init__(self, pattern: re.Pattern[str], words: str, rule: str = "") -> None:
        self.pattern = pattern
        self.words = words
        self.rule = rule or self.rule

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, self.rule, f"must be a string: {self.words}")
            return
        for text in check.becomes(value):
            if not self.fits(text):
                check.refuse(at, self.rule, f"{shown(text)} is not {self.words}")

    def fits(self, text: str) -> bool:
        return self.pattern.fullmatch(text) is not None


class Name(Pattern):
    """A name that is written out; with `by_reference` it may also come from a parameter."""

    rule = NAMES

    def __init__(self, pattern: re.Pattern[str], words: str, *, by_reference: bool = False) -> None:
        super().__init__(pattern, words)
        self.by_reference = by_reference

    def check(self, value: Json, at: str, check: Check) -> None:
        if not isinstance(value, str):
            check.refuse(at, self.rule, f"must be a string: {self.words}")
        elif not self.fits(value) and not (self.by_reference and "{{" in value and "\0" not in value):
            check.refuse(at, self.rule, f"{shown(value)} is not {self.words}")


class Quantity(Form):
    """An amount of memory, disk or processors, as Kubernetes writes it: a number, or a string with a unit."""

    def check(self, value: Json, at: str, check: Check) -> None:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
            return
        if not isinstance(value, str):
            check.refuse(at, VALUES, f"must be a quantity, not {shown(value)}")
            return
        for text in check.becomes(value):
            if not _QUANTITY.fullmatch(text):
                check.refuse(at, VALUES, f"{shown(text)} is not a quantity of Kubernetes, such as 512Mi or 250m")


# A part that only the execution knows counts as one more character: its value is checked when it is known.
_KNOWN_LATER = r"\0execution_[^\0]*-(?:memory|cpu)-(?:request|limit)\0"
_QUANTITY = re.compile(rf"[0-9]+(\.[0-9]+)?([EPTGMk]i?|Ki|m|[eE][0-9]{{1,2}})?|{_KNOWN_LATER}", re.ASCII)
_WORD = re.compile(r"[A-Za-z][-A-Za-z0-9_]{0,62}")
_SHORT = re.compile(r"[-+.A-Za-z0-9_]{1,63}")
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"

DNS_LABEL = Name(re.compile(_LABEL), "a name of a-z, 0-9 and -, at most 63 characters (RFC 1123)")
DNS_NAME = Name(
    re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*"),
    "a name of a-z, 0-9, - and ., at most 253 characters (RFC 1123)",
)
PREFIX = Name(re.compile(r"[a-z0-9][-a-z0-9.]{0,200}"), "the beginning of a name of a-z, 0-9, - and . (RFC 1123)")
FIELD_NAME = Name(
    re.compile(r"[A-Za-z0-9][-A-Za-z0-9]{0,127}"), "a name of letters, digits and -, at most 128 characters"
)
PARAMETER_NAME = Name(
    re.compile(r"(?!.*\.\.)[A-Za-z0-9_][-A-Za-z0-9_.]{0,252}"),
    "a name of letters, digits, -, _ and ., at most 253 characters",
)
LOOSE_NAME = Name(
    re.compile(r"(?!.*\.\.)[A-Za-z0-9_][-A-Za-z0-9_.]{0,252}"),
    "a name of letters, digits, -, _ and ., at most 253 characters",
    by_reference=True,
)
KEY = Name(
    re.compile(r"(?!\.\.?\Z)(?!\.\.)[-._A-Za-z0-9]{1,253}"),
    "a key of letters, digits, -, _ and ., at most 253 characters",
    by_reference=True,
)
VARIABLE = Name(re.compile(r"[-._A-Za-z][-._A-Za-z0-9]{0,252}"), "the name of a variable")
TEXT, SCALAR, FLAG, COUNT = Text(), Scalar(), Flag(), NumberOrText()
TEXTS = ListOf(TEXT)
QUANTITY = Quantity()
