"""How values of variables are shown: on one line, short, and without what may be a secret."""

from __future__ import annotations

import re

from orchestrator_api.environment.forms import Form
from orchestrator_api.logs import escaped

_LONGEST, LONGEST_REASON = 60, 300
# A mistaken value of this length is too short to be a password.
_PLAIN_WORD = re.compile(r"[A-Za-z]{1,10}")
_SCHEME = re.compile(r"([a-z][a-z0-9+]{1,20})://.*", re.DOTALL)


def shown(value: str, form: Form) -> str:
    """Return a value as a message may show it."""
    if form.is_secret:
        return _secret(value)
    if form.is_json and ":" in value:
        # Keys are shown; values may hold a container's environment.
        return one_line(f"{value.partition(':')[0]}:…")
    # A user and a password may stand before the host.
    return one_line(f"…@{value.rpartition('@')[2]}" if "@" in value else value)


def one_line(text: str, longest: int = _LONGEST) -> str:
    """Return a text on one line, cut where it is long."""
    text = escaped(text)
    return text if len(text) <= longest else f"{text[:longest]}…"


def _secret(value: str) -> str:
    if not value or _PLAIN_WORD.fullmatch(value):
        return value
    scheme = _SCHEME.fullmatch(value)
    return f"{scheme[1]}://…" if scheme else "… (not shown)"
