"""Log lines, one JSON object each, that say which request and which execution they belong to.

No line of ours holds a body, the values of a query or anything of a patient.
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
# What Django attaches to its records: whole requests, with everything in them.
_UNSPOKEN = frozenset({"request", "server_time", "status_code", "sql", "params", "alias"})


@dataclass(frozen=True)
class LogContext:
    """What the lines of one request have in common."""

    request_id: str = ""
    execution_id: int | None = None


context: ContextVar[LogContext] = ContextVar("log_context", default=LogContext())  # noqa: B039 - frozen


def current_request_id() -> str:
    """Return the id of the request under way, or an empty text."""
    return context.get().request_id


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object; what was passed as `extra` becomes its own field."""

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
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Writes a record for people: time, level, message, then its fields."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        text = f"{at} {record.levelname.lower():7} {record.name}: {record.getMessage()}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    now = context.get()
    fields: dict[str, Any] = {}
    if now.request_id:
        fields["request_id"] = now.request_id
    if now.execution_id is not None:
        fields["execution_id"] = now.execution_id
    extra = {key: value for key, value in record.__dict__.items() if key not in _PLAIN | _UNSPOKEN}
    return {**fields, **extra}
