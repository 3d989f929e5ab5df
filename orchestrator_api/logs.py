"""Log lines, one JSON object each, that say which request they belong to.

No line of the project holds a body, the values of a query or a patient's data. Text from a caller stays inside its
line: both formatters escape characters that could start a new line or confuse a terminal, for all loggers.
"""

from __future__ import annotations

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
# Django attaches whole requests to its records.
_UNSPOKEN = frozenset({"request", "server_time", "status_code", "sql", "params", "alias"})
# Control characters (C0, DEL, C1), what else ends a line (NEL, LS, PS), what turns the direction of text, the mark at a
# file's beginning, and halves of surrogate pairs, which no handler can write.
_UNSAFE = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_UNSAFE_CHARACTER = re.compile(f"[{_UNSAFE}]")
# A field's value that needs no quotes: it cannot be misread as two fields or another line.
_WORD = re.compile(rf"[^\s\"'=\\{_UNSAFE}]+")
_INDENT = "    "


current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")
"""The id of the request under way, or an empty text."""


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object; each value of `extra` becomes a field."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return escaped(json.dumps(line, ensure_ascii=False, default=str))


class TextFormatter(logging.Formatter):
    """Writes a record for people: time, level, message, then its fields; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = "".join(f" {name}={_quoted(value)}" for name, value in _fields(record).items())
        text = f"{at} {record.levelname.lower():7} {record.name}: {escaped(record.getMessage())}{fields}"
        if not record.exc_info:
            return text
        # Indented, so that no line of an exception's text looks like a record.
        traceback = self.formatException(record.exc_info).split("\n")
        return "\n".join([text, *(f"{_INDENT}{escaped(line)}" for line in traceback)])


def _quoted(value: object) -> str:
    """Return a field's value as it is, or as a JSON text where it could be misread."""
    text = str(value)
    return text if _WORD.fullmatch(text) else escaped(json.dumps(text, ensure_ascii=False))


def escaped(text: str) -> str:
    """Return a text on one line: unsafe characters are written as JSON writes them."""
    return _UNSAFE_CHARACTER.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    request_id = current_request_id.get()
    fields: dict[str, Any] = {"request_id": request_id} if request_id else {}
    extra = {key: value for key, value in record.__dict__.items() if key not in _PLAIN | _UNSPOKEN}
    return {**fields, **extra}
