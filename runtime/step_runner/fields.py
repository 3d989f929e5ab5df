"""Typed actions read from JSON objects: every fault is named with its field."""

import difflib
import logging
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from runtime.errors import ArgumentsError
from runtime.step_runner.action import Action

log = logging.getLogger(__name__)


def read_action(kind: type[Action], raw: Mapping[str, object], where: str) -> Action:
    """Return the action of this kind with the fields of `raw`.

    Numbers and booleans may be strings, since manifests paste parameters between quotes. An unknown field is logged and
    left out: manifests in the field may carry fields of other versions.
    Raises ArgumentsError with every missing or wrong field.
    """
    hints = get_type_hints(kind)
    declared = {field.name: field for field in fields(kind)}
    values: dict[str, object] = {}
    faults: list[str] = []
    for name, field in declared.items():
        hint, optional = _strip_none(hints[name])
        given = raw.get(name)
        if given is None or (given == "" and hint is not str) or (given == "" and optional):
            if field.default is MISSING and field.default_factory is MISSING:
                faults.append(f"{where}: field {name!r} is missing")
            continue
        try:
            values[name] = _READERS[get_origin(hint) or hint](given)
        except ValueError as error:
            faults.append(f"{where}: field {name!r} {error}")
    _report_unknown(raw, declared, where)
    if faults:
        raise ArgumentsError(faults)
    action = kind(**values)
    if wrong := [f"{where}: {fault}" for fault in action.faults()]:
        raise ArgumentsError(wrong)
    return action


def _report_unknown(raw: Mapping[str, object], declared: Mapping[str, object], where: str) -> None:
    for name in raw:
        if name in declared or name == "name":
            continue
        near = difflib.get_close_matches(name, declared, 1)
        log.warning("%s: ignored unknown field %r%s", where, name, f" (did you mean {near[0]!r}?)" if near else "")


def _strip_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        return next(part for part in get_args(hint) if part is not type(None)), True
    return hint, False


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be a string")
    return str(value)


def _whole(value: object) -> int:
    number = _seconds(value)
    if number != int(number):
        raise ValueError("must be a whole number")
    return int(number)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be a number")
    try:
        number = float(value)
    except ValueError as error:
        raise ValueError("must be a number") from error
    if not 0 <= number < float("inf"):
        raise ValueError("must be a number of at least 0")
    return number


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError("must be true or false")


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return value


_READERS: dict[Any, Callable[[object], object]] = {
    str: _text,
    int: _whole,
    float: _seconds,
    bool: _boolean,
    dict: _object,
}
