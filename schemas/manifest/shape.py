"""Checks the shape of a Workflow strictly by Hera's models: an unknown field is a fault.

Importing the models takes about a second and 40 MB, so only the checking process does it (see `process`).
"""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

from hera.workflows.models import Workflow
from pydantic import BaseModel, RootModel, ValidationError

from policy.faults import ManifestFault, escape

API_VERSION = "argoproj.io/v1alpha1"


def shape_faults(manifest: dict[str, Any]) -> list[ManifestFault]:
    """Return the faults of a manifest that is not a Workflow as Argo's API describes it."""
    header = list(_header_faults(manifest))
    if any(fault.pointer == "/kind" for fault in header):
        return header  # Every other field would have a fault too, of no use to the reader.
    # A run has its own name, so a manifest may leave out its metadata.
    manifest = {"metadata": {}} | _with_texts(manifest, "")
    return [*header, *_unknown_fields(manifest, Workflow, ""), *_model_faults(manifest)]


def _header_faults(manifest: dict[str, Any]) -> Iterator[ManifestFault]:
    for field, wanted in (("apiVersion", API_VERSION), ("kind", "Workflow")):
        if field not in manifest:
            yield ManifestFault(f"/{field}", f"{field} is missing; it must be {wanted}")
        elif manifest[field] != wanted:
            yield ManifestFault(f"/{field}", f"must be {wanted}, not {str(manifest[field])[:80]}")


def _with_texts(value: Any, key: str) -> Any:
    """Return a manifest with parameters' numbers and booleans as texts: Argo accepts them, the models do not."""
    if isinstance(value, list):
        return [_with_texts(item, key) for item in value]
    if not isinstance(value, dict):
        return value
    is_parameter = key in ("parameters", "valueFrom")
    return {
        name: str(item).lower()
        if is_parameter and name in ("value", "default") and isinstance(item, (bool, int, float))
        else _with_texts(item, name)
        for name, item in value.items()
    }


def _model_faults(manifest: dict[str, Any]) -> Iterator[ManifestFault]:
    # Validated as JSON, so that the types are those of JSON: "true" is not a boolean, but a time may be a text.
    try:
        Workflow.model_validate_json(json.dumps(manifest), strict=True)
    except ValidationError as error:
        seen: set[str] = set()
        for found in error.errors(include_url=False, include_context=False, include_input=False):
            pointer = _pointer(manifest, found["loc"])
            if found["type"] == "missing":
                pointer = f"{pointer}/{escape(found['loc'][-1])}"
            if pointer in seen:  # There is one for each branch of a union; the first is enough.
                continue
            seen.add(pointer)
            name = _name(pointer)
            words = "is missing" if found["type"] == "missing" else f"is wrong: {found['msg'].lower()}"
            yield ManifestFault(pointer, f"{name} {words}")


def _name(pointer: str) -> str:
    """Return the field at the end of a pointer, with the index if it is an item of a list."""
    parts = pointer.split("/")
    return "/".join(parts[-2:] if parts[-1].isdecimal() else parts[-1:])


def _pointer(value: Any, location: tuple[int | str, ...]) -> str:
    """Return the pointer of a pydantic location, which also contains the branches of unions."""
    pointer = ""
    for part in location:
        inside = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if inside:
            value = value[part]
            pointer = f"{pointer}/{escape(part)}"
    return pointer


def _unknown_fields(value: Any, annotation: Any, pointer: str) -> Iterator[ManifestFault]:
    models, items, values = _parts(annotation)
    if isinstance(value, list):
        for index, item in enumerate(value):
            for inner in items:
                yield from _unknown_fields(item, inner, f"{pointer}/{index}")
    elif isinstance(value, dict) and models:
        fields = _fields(models)
        for key, item in value.items():
            where = f"{pointer}/{escape(key)}"
            if key in fields:
                yield from _unknown_fields(item, fields[key], where)
            else:
                close = difflib.get_close_matches(key, fields, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                yield ManifestFault(where, f"{key} is not a known field here{hint}")
    elif isinstance(value, dict):
        for key, item in value.items():
            for inner in values:
                yield from _unknown_fields(item, inner, f"{pointer}/{escape(key)}")


def _fields(models: list[type[BaseModel]]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for model in models for name, field in model.model_fields.items()}


def _parts(annotation: Any) -> tuple[list[type[BaseModel]], list[Any], list[Any]]:
    """Return the models that an annotation allows, and the annotations of its list items and mapping values."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Annotated:
        return _parts(arguments[0])
    if origin in (typing.Union, types.UnionType):
        models: list[type[BaseModel]] = []
        items: list[Any] = []
        values: list[Any] = []
        for argument in arguments:
            for total, part in zip((models, items, values), _parts(argument), strict=True):
                total.extend(part)
        return models, items, values
    if origin in (list, dict):
        return [], [*arguments[:1]] if origin is list else [], [*arguments[1:]]
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _parts(annotation.model_fields["root"].annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation], [], []
    return [], [], []
