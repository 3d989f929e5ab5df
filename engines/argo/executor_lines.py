"""Tells what Argo's executor logs, into the logs of the containers whose commands it starts, from what these write.

Each of its lines has the field `argo` with the value true, so that it can be told (cmd/argoexec/commands/root.go). As
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
        # Nothing but fields from the first to the last: who quotes such a line writes something around it.
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
