"""Every call that the service's addresses make possible, read from its URL resolver, so that none is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.admindocs.views import simplify_regex
from django.urls import URLPattern, URLResolver, get_resolver, resolve

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
# What tells of the API and of nothing that is in it.
PUBLIC = {"api/schema/", "api/docs/"}
# What stands in an address where a test says nothing else.
SAMPLES: Mapping[str, str] = {
    "topic": "status",
    "offset": "0",
    "sha256": "0" * 64,
    "functionality": "training_from_scratch",
    "channel_id": "7_-SEP-_2026-11-21_05-31-07.000012_00-00_-SEP-_",
}
_PLACE = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class Address:
    """One address below /api/, as its route has it and as a caller writes it; `view` is what answers."""

    route: str
    url: str
    view: Any


def api_addresses(values: Mapping[str, Any]) -> list[Address]:
    """Return every address below /api/ that is not public; `values` by the names in the routes, '7' for others."""
    known = {**SAMPLES, **{name: str(value) for name, value in values.items()}}
    found = []
    for route, view in _leaves(get_resolver().url_patterns, ""):
        if not route.startswith("api/") or route in PUBLIC:
            continue
        url = "/" + _PLACE.sub(lambda place: known.get(place[1], "7"), route)
        assert resolve(url).func is view, f"{url} is not an address of {route}"
        found.append(Address(route, url, view))
    return found


def actions_of(address: Address) -> dict[str, str]:
    """Return what an address does by HTTP method: an action's name, or the method itself for a plain view."""
    actions: Mapping[str, str] | None = getattr(address.view, "actions", None)
    if actions is not None:
        # HEAD comes with the first request.
        return {method.upper(): action for method, action in actions.items() if method != "head"}
    names = [method for method in METHODS if hasattr(address.view.cls, method.lower())]
    return {name: name.lower() for name in names if name not in ("HEAD", "OPTIONS")}


def _leaves(patterns: list[Any], before: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = before + _route(pattern)
        if isinstance(pattern, URLResolver):
            yield from _leaves(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.callback


def _route(pattern: Any) -> str:
    text = str(pattern.pattern)
    return text if not text.startswith("^") else simplify_regex(text).lstrip("/")
