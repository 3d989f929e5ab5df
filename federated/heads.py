"""Reads the headers of a published message and the query of a reader (docs/reference/channel-api.md); pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from web.errors import Fault, InvalidInput
from web.jsontext import parse_json

LONGEST_WAIT_SECONDS = 20.0
MOST_HEADS = 100
_LARGEST_OFFSET = 2**63 - 1
_MESSAGE_ID = re.compile(r"[0-9a-f]{32}")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LONGEST_KEY = 1000


@dataclass(frozen=True)
class Head:
    """The headers of a published message."""

    message_id: str
    key: str
    headers: dict[str, str]
    is_null: bool


@dataclass(frozen=True)
class Wanted:
    """Which heads a reader asks for, and how many seconds to wait for them."""

    after: int
    wait: float
    limit: int


def read_head(given: Mapping[str, str]) -> Head:
    """Return the headers of a publishing request. Raises InvalidInput with every fault."""
    faults: list[Fault] = []
    message_id = given.get("Message-Id", "").lower()
    if not _MESSAGE_ID.fullmatch(message_id):
        faults.append(Fault("/headers/Message-Id", "must be 32 hexadecimal digits"))
    key = _decoded(given, "Message-Key", faults)
    if len(key) > _LONGEST_KEY:
        faults.append(Fault("/headers/Message-Key", f"must have at most {_LONGEST_KEY} characters"))
    headers = _headers(_decoded(given, "Message-Headers", faults), faults)
    null = given.get("Message-Null", "").lower()
    if null not in ("true", "false"):
        faults.append(Fault("/headers/Message-Null", "must be true or false"))
    if faults:
        raise InvalidInput(faults=faults)
    return Head(message_id, key, headers, null == "true")


def read_wanted(query: Mapping[str, str]) -> Wanted:
    """Return a reader's query. Raises InvalidInput with every fault."""
    faults = [
        Fault(f"/query/{name}", "is not a parameter of this request; its parameters are: after, wait, limit")
        for name in query
        if name not in ("after", "wait", "limit")
    ]
    after = _number(query, "after", -1, (-1, _LARGEST_OFFSET), faults)
    wait = _number(query, "wait", 0, (0, LONGEST_WAIT_SECONDS), faults)
    limit = _number(query, "limit", MOST_HEADS, (1, MOST_HEADS), faults)
    faults += [
        Fault(f"/query/{name}", "must be a whole number")
        for name, value in (("after", after), ("limit", limit))
        if value != int(value)
    ]
    if faults:
        raise InvalidInput(faults=faults)
    return Wanted(int(after), float(wait), int(limit))


def _decoded(given: Mapping[str, str], name: str, faults: list[Fault]) -> str:
    text = given.get(name)
    pointer = f"/headers/{name}"
    if text is None:
        faults.append(Fault(pointer, "is missing"))
        return ""
    try:
        if not text.isascii() or _ESCAPE.search(text):
            raise ValueError
        decoded = unquote(text, errors="strict")
    except ValueError:
        faults.append(Fault(pointer, "must be percent-encoded UTF-8"))
        return ""
    if "\x00" in decoded:
        faults.append(Fault(pointer, "holds a NUL character"))
    return decoded


def _headers(text: str, faults: list[Fault]) -> dict[str, str]:
    pointer = "/headers/Message-Headers"
    if any(fault.pointer == pointer for fault in faults):
        return {}
    try:
        found = parse_json(text, pointer)
    except InvalidInput as error:
        faults.extend(error.faults)
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        faults.append(Fault(pointer, "must be a JSON object whose values are strings"))
        return {}
    return found


def _number(
    query: Mapping[str, str], name: str, default: int, bounds: tuple[int, float], faults: list[Fault]
) -> int | float:
    least, most = bounds
    text = query.get(name)
    if text is None:
        return default
    try:
        value: int | float = int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        faults.append(Fault(f"/query/{name}", f"must be a number from {least} to {most:g}"))
        return default
    return value
