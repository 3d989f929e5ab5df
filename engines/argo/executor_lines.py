"""Tell lines of Argo's executor from lines of a container: the executor logs into the same stream.

Each of its lines has the field `argo` with the value true, by which it is found (cmd/argoexec/commands/root.go). As
text, the usual way, it is Go's slog (logrus before 4.0), and the order of the later fields is not fixed:
`time=2026-11-21T12:00:00.000Z level=INFO msg="sub-process exited" argo=true error=<nil>`. Argo's `--log-format json`
writes the same fields as an object.
"""

from __future__ import annotations

import re

import orjson

_FIELD = re.compile(r'([\w.-]+)=("(?:[^"\\]|\\.)*"|[^\s"=]*)( |$)')
_FIRST = ["time", "level", "msg"]


def is_of_executor(text: str) -> bool:
    """Return whether a line is one that the executor logged."""
    if text.startswith("time=") and "argo=true" in text:
        return _is_text(text)
    if text.startswith('{"time":') and '"argo":true' in text:
        return _is_json(text)
    return False


def _is_text(text: str) -> bool:
    fields: dict[str, str] = {}
    end = 0
    while end < len(text):
        # Only fields from the first to the last: a line that quotes such a line has other text around it.
        found = _FIELD.match(text, end)
        if found is None:
            return False
        fields[found[1]] = found[2]
        end = found.end()
    return list(fields)[:3] == _FIRST and fields.get("argo") == "true"


def _is_json(text: str) -> bool:
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return list(fields)[:3] == _FIRST and fields.get("argo") is True
