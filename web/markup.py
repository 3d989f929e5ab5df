"""Pieces of HTML that several admin pages share; their style is in the operators' style sheet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

NOTHING = "-"
_TONES = {
    "succeeded": "ok",
    "valid": "ok",
    "failed": "bad",
    "error": "bad",
    "lost": "bad",
    "running": "busy",
    "submitted": "busy",
    "stopped": "warn",
    "expired": "warn",
    "revoked": "warn",
}


def badge(word: str) -> SafeString | str:
    """Return a state as a coloured word; our states and Argo's phases have the same colours."""
    if not word:
        return NOTHING
    return format_html('<span class="badge {}">{}</span>', _TONES.get(word.lower(), "quiet"), word)


def scrolling(text: str) -> SafeString:
    """Return a long text as it is, in a frame that scrolls."""
    return format_html('<pre class="scrolling">{}</pre>', text)


def moment(at: datetime | None) -> SafeString | str:
    """Return a time of day, with the date in its tooltip."""
    return format_html('<span title="{}">{}</span>', f"{at:%Y-%m-%d %H:%M:%S} UTC", f"{at:%H:%M:%S}") if at else NOTHING


def lasting(time: timedelta | None) -> str:
    """Return a duration as hours, minutes and seconds."""
    if time is None:
        return NOTHING
    seconds = max(0, round(time.total_seconds()))
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def links(addresses: Iterable[tuple[str, str]]) -> SafeString | str:
    """Return links, each given by its address and its text."""
    return format_html_join(", ", '<a href="{}">{}</a>', addresses) or NOTHING


def pairs(values: Mapping[str, Any]) -> SafeString | str:
    """Return a mapping as a table of two columns."""
    rows = format_html_join(
        "", '<tr><th>{}</th><td class="text">{}</td></tr>', ((name, _plain(value)) for name, value in values.items())
    )
    return format_html('<table class="plain">{}</table>', rows) if rows else NOTHING


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items()) or NOTHING
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or NOTHING
    return NOTHING if value in (None, "") else value
