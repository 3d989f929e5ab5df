"""Which lines of a run's log a query asks for: pure rules over lines, in their order."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime

from engines.base import LogLine
from engines.log_order import time_key
from runs.nodes import Nodes, is_within, pod_of
from web.errors import Fault, InvalidInput, NotFound

STREAMS = ("stdout", "stderr")
MOST_LINES = 10_000
# The memory for the last lines, in bytes: of longer lines fewer are held.
_MOST_CHARACTERS = 8 * 1024 * 1024
_LONGEST_TEXT = 200
_LONGEST_AGO = timedelta(days=3650)
_AGO = re.compile(r"(\d{1,9})(s|m|h|d|)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

# A node's id and a container; '' means all of its containers.
Place = tuple[str, str]


@dataclass(frozen=True)
class LogQuery:
    """A caller's query for a log; each part excludes lines.

    `places` are those of one step, None for all; `since` is a `time_key`; `grep` is a literal text that a line must
    contain; `tail` is the number of last lines, of those already written.
    """

    places: frozenset[Place] | None = None
    container: str = ""
    stream: str = ""
    since: str = ""
    grep: str = ""
    tail: int | None = None

    @property
    def node_id(self) -> str:
        """Return the only node that the query asks for, '' for several."""
        nodes = {node for node, _ in self.places or ()}
        return nodes.pop() if len(nodes) == 1 else ""

    def of_all(self) -> LogQuery:
        """Return the same query without the limit on the number of lines."""
        return replace(self, tail=None)

    def chosen(self, lines: Iterable[LogLine]) -> Iterator[LogLine]:
        """Yield the lines of a log that the query asks for."""
        chooser = Chooser(self)
        found = (line for line in lines if chooser.wants(line))
        return found if self.tail is None else iter(_last(found, self.tail))


class Chooser:
    """Decides line by line whether it is wanted, without the limit on the number of lines."""

    def __init__(self, query: LogQuery) -> None:
        self._query = query
        self._at = ""

    def wants(self, line: LogLine) -> bool:
        """Return whether a line is wanted; a line without a time has the time of the line before it."""
        query, self._at = self._query, line.at or self._at
        return (
            (not query.container or line.container == query.container)
            and (not query.stream or line.stream == query.stream)
            and (query.places is None or _is_in(line, query.places))
            and (not query.since or time_key(self._at) >= query.since)
            and query.grep in line.text
        )


def _is_in(line: LogLine, places: frozenset[Place]) -> bool:
    # A line without a node is a remark on the log: that it was cut.
    return not line.node or (line.node, "") in places or (line.node, line.container) in places


def _last(lines: Iterable[LogLine], most: int) -> deque[LogLine]:
    kept: deque[LogLine] = deque()
    characters = 0
    for line in lines:
        kept.append(line)
        characters += len(line.text)
        while len(kept) > most or (characters > _MOST_CHARACTERS and len(kept) > 1):
            characters -= len(kept.popleft().text)
    return kept


def read_query(nodes: Nodes, given: Mapping[str, str], now: datetime) -> LogQuery:
    """Read the parameters of a request. Raises InvalidInput with every fault, and NotFound for an unknown step."""
    faults: list[Fault] = []
    values: dict[str, Any] = {}
    for name, read in (("container", _word), ("stream", _stream), ("since", _since), ("grep", _word), ("tail", _tail)):
        if (text := given.get(name, "")) == "":
            continue
        try:
            values[name] = read(text, now)
        except ValueError as error:
            faults.append(Fault(f"/query/{name}", str(error)))
    if faults:
        raise InvalidInput(faults=faults)
    return LogQuery(places_of(nodes, given["node"]) if given.get("node") else None, **values)


def places_of(nodes: Nodes, wanted: str) -> frozenset[Place]:
    """Return the places of a step's lines, by a node's id or its name.

    A node with children stands for all of them: a step with retries for all its attempts. Raises NotFound.
    """
    if wanted in nodes:
        found = [nodes[wanted]]
    else:
        found = [node for node in nodes.values() if wanted in (node.get("name"), node.get("displayName"))]
    if not found:
        raise NotFound(f"The run has no node {wanted!r}.")
    places: set[Place] = set()
    for node in found:
        if node.get("type") == "Container":
            pod = pod_of(nodes, node) or node
            places.add((str(pod.get("id") or ""), str(node.get("displayName") or "")))
        else:
            places.update((node_id, "") for node_id, other in nodes.items() if is_within(other, node))
    return frozenset(places)


def _word(text: str, now: datetime) -> str:
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"must have at most {_LONGEST_TEXT} characters")
    return text


def _stream(text: str, now: datetime) -> str:
    if text not in STREAMS:
        raise ValueError("must be one of: " + ", ".join(STREAMS))
    return text


def _tail(text: str, now: datetime) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_LINES and len(text) < 9):
        raise ValueError(f"must be a whole number from 1 to {MOST_LINES}")
    return int(text)


def _since(text: str, now: datetime) -> str:
    if ago := _AGO.fullmatch(text):
        moment = now - min(timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]]), _LONGEST_AGO)
    else:
        moment = _moment(text)
    return time_key(moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip("."))


def _moment(text: str) -> datetime:
    # A plus sign that was not escaped arrives as a space.
    for written in (text, text.replace(" ", "+")):
        try:
            moment = parse_datetime(written)
            if moment is not None:
                return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    raise ValueError("must be a time such as 2026-11-21T09:00:00Z, or an age such as 90s, 10m, 2h or 1d")
