"""Lists of the API server, read in pages."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from engines.argo.client import Client, Json, Refused
from engines.base import EngineUnavailable

logger = logging.getLogger(__name__)

_GONE = 410
_TRIES = 3


def pages(client: Client, path: str, size: int, **query: Any) -> Iterator[tuple[list[Json], str]]:
    """Yield the objects of a collection page by page, each page with the resource version of its list.

    A list whose next page comes too late begins anew, with another version.
    """
    for _ in range(_TRIES):
        try:
            yield from _pages_once(client, path, {**query, "limit": size})
        except Refused as refused:
            if refused.status != _GONE:
                raise
            logger.warning("A list of %s took too long and begins anew.", path)
        else:
            return
    raise EngineUnavailable("the API server's lists expire before they are read")


def _pages_once(client: Client, path: str, query: Json) -> Iterator[tuple[list[Json], str]]:
    token = ""
    while True:
        page = client.get(path, **query, **({"continue": token} if token else {}))
        metadata = page.get("metadata") or {}
        token = str(metadata.get("continue") or "")
        yield page.pop("items", None) or [], str(metadata.get("resourceVersion") or "")
        if not token:
            return


def drained(items: list[Json]) -> Iterator[Json]:
    """Yield the items of a list, and remove each from it."""
    items.reverse()
    while items:
        yield items.pop()
