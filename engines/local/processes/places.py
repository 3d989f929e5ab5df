"""Finding on the host what a container sees at a path."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from engines.local.processes.view import Place

_MOST_LINKS = 40


def host_path(places: Sequence[Place], path: str) -> str:
    """Return where the file lies that a container sees at `path`, whether it exists or not.

    Links are followed inside the container's view, never on the host's. Raises OSError for links that lead in a circle.
    """
    waiting = [name for name in reversed(path.split("/")) if name]
    current = "/"
    links = 0
    while waiting:
        name = waiting.pop()
        if name == ".":
            continue
        if name == "..":
            current = os.path.dirname(current)  # noqa: PTH120
            continue
        inner = current.rstrip("/") + "/" + name
        outer = _locate(places, inner)
        if not os.path.islink(outer):  # noqa: PTH114
            current = inner
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(outer)  # noqa: PTH115
        if target.startswith("/"):
            current = "/"
        waiting.extend(name for name in reversed(target.split("/")) if name)
    return _locate(places, current)


def _locate(places: Sequence[Place], path: str) -> str:
    """Return the host's path for a path whose parents are no links. The last place made lies on top."""
    ordered = list(reversed(places))
    ordered.sort(key=lambda one: len(one.target), reverse=True)
    for place in ordered:
        if place.target == "/":
            rest = path.rstrip("/")
        elif path == place.target or path.startswith(place.target + "/"):
            rest = path[len(place.target) :]
        else:
            continue
        found = place.source + rest
        if place.see_through and not os.path.lexists(found) and os.path.lexists(path):
            return path
        return found
    return path
