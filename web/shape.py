"""Checks a document by its JSON Schema; faults are in our own words, with pointers.

The messages of the jsonschema library quote the document, which may hold a patient's data; ours never do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from web.errors import Fault
from web.jsontext import escape

MAX_FAULTS = 100

_ARTICLES = {
    "object": "an object",
    "array": "a list",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def _is_integer(_checker: object, instance: object) -> bool:
    # 1.0 is an integer to JSON Schema, but not to the readers of our documents.
    return isinstance(instance, int) and not isinstance(instance, bool)


_Validator: Any = extend(
    Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
)


def check(data: object, json_schema: Mapping[str, Any], prefix: str = "/data") -> list[Fault]:
    """Return the faults of a document by a JSON Schema (2020-12), in the order of the document.

    Each fault points below `prefix`: at the value, at the missing field, or at the unknown field.
    """
    faults: dict[Fault, None] = {}
    errors = sorted(_Validator(json_schema).iter_errors(data), key=lambda error: [str(p) for p in error.absolute_path])
    for error in errors:
        for fault in _describe(error, prefix):
            faults[fault] = None
            if len(faults) >= MAX_FAULTS:
                return list(faults)
    return list(faults)


def _describe(error: ValidationError, prefix: str) -> Iterator[Fault]:
    where = prefix + "".join(f"/{escape(part)}" for part in error.absolute_path)
    keyword = str(error.validator)
    if keyword == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield Fault(f"{where}/{escape(name)}", "is missing")
    elif keyword == "additionalProperties" and error.validator_value is False:
        known = error.schema.get("properties", {})
        for name in error.instance:
            if name not in known:
                yield Fault(f"{where}/{escape(name)}", "is not a known field here")
    elif keyword in ("anyOf", "oneOf") and error.context:
        # The branch whose fault is deepest is most likely the one that was meant.
        best = max(error.context, key=lambda inner: len(inner.absolute_path))
        yield from _describe(best, prefix)
    else:
        words = _WORDS.get(keyword)
        yield Fault(where, words(error.validator_value) if words else f"does not match the rule `{keyword}`")


def _type_words(value: str | list[str]) -> str:
    names = [value] if isinstance(value, str) else value
    return "must be " + " or ".join(_ARTICLES.get(name, name) for name in names)


_WORDS: dict[str, Callable[[Any], str]] = {
    "type": _type_words,
    "enum": lambda value: "must be one of: " + ", ".join(map(str, value)),
    "const": lambda value: f"must be {value}",
    "minLength": lambda value: "must not be empty" if value == 1 else f"must have at least {value} characters",
    "maxLength": lambda value: f"must have at most {value} characters",
    "pattern": lambda value: f"must match {value}",
    "minimum": lambda value: f"must be at least {value}",
    "maximum": lambda value: f"must be at most {value}",
    "exclusiveMinimum": lambda value: f"must be more than {value}",
    "exclusiveMaximum": lambda value: f"must be less than {value}",
    "minItems": lambda value: "must not be empty" if value == 1 else f"must have at least {value} items",
    "maxItems": lambda value: f"must have at most {value} items",
    "uniqueItems": lambda _value: "must not hold anything twice",
    "minProperties": lambda value: "must not be empty" if value == 1 else f"must have at least {value} entries",
    "maxProperties": lambda value: f"must have at most {value} entries",
    "propertyNames": lambda _value: "has a key that is not allowed",
}
