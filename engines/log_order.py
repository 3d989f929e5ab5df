"""Lines of several containers in the order of their times."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engines.base import LogLine


@dataclass(frozen=True)
class Lines:
    """The lines of one source, in its order; it is not read before `begins_at` (RFC 3339, '' for at once)."""

    begins_at: str
    lines: Iterator[LogLine]


def in_order(sources: Iterable[Lines]) -> Iterator[LogLine]:
    """Yield the lines of all sources by their times; a line without a time follows the one before it in its source.

    Sources are opened as late as possible, so that few are open at once.
    """
    waiting = deque(sorted(sources, key=lambda source: time_key(source.begins_at)))
    open_ones: list[tuple[str, int, LogLine, Iterator[LogLine]]] = []
    number = 0
    while open_ones or waiting:
        while waiting and (not open_ones or time_key(waiting[0].begins_at) <= open_ones[0][0]):
            source = waiting.popleft()
            number += 1
            if (first := next(source.lines, None)) is not None:
                key = max(time_key(first.at), time_key(source.begins_at))
                heapq.heappush(open_ones, (key, number, first, source.lines))
        if not open_ones:
            continue
        key, place, line, lines = open_ones[0]
        yield line
        if (following := next(lines, None)) is None:
            heapq.heappop(open_ones)
        else:
            # A clock that was set back must not mix up the lines of one container.
            heapq.heapreplace(open_ones, (max(key, time_key(following.at)), place, following, lines))


def time_key(at: str) -> str:
    """Return a text by which times of RFC 3339 in UTC sort, whatever the length of their fractions."""
    return at.removesuffix("Z")
