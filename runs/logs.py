"""The logs of a run as they are, and lines as they are written down; `runs.following` has them as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain

from django.conf import settings

from engines.base import Engine, LogLine
from runs.engines import get_engine
from runs.kept_logs import kept_lines
from runs.models import WorkflowRun
from web.errors import NotFound


def node_id_of(run: WorkflowRun, node: str) -> str:
    """Return the id of a node given by its id or name; '' for all nodes. Raises NotFound."""
    if not node or node in run.nodes:
        return node
    for node_id, known in run.nodes.items():
        if node in (known.get("name"), known.get("displayName")):
            return node_id
    raise NotFound(f"The run has no node {node!r}.")


def log_lines(run: WorkflowRun, node_id: str) -> Iterator[LogLine]:
    """Return what was written up to now.

    From storage where it was kept there, else from the engine. Raises EngineUnavailable, WorkflowNotFound where the
    engine has forgotten the Workflow, and NotFound where nothing could be kept or there is no such engine any more,
    before the first line.
    """
    if run.handed_over_at is None:
        return iter(())
    kept = kept_lines(run, node_id)
    if kept is not None:
        return kept
    lines = engine_of(run).logs(run.name, node_id)
    first = next(lines, None)
    return iter(()) if first is None else chain([first], lines)


def engine_of(run: WorkflowRun) -> Engine:
    """Return the engine of a run. Raises NotFound where there is no such engine any more."""
    if run.engine not in settings.ENGINES:
        raise NotFound(f"The engine {run.engine!r} that ran it is not configured here any more.")
    return get_engine(run.engine)


def as_text(lines: Iterator[LogLine], with_node: bool) -> Iterator[bytes]:
    """Yield lines as plain text, each after its node's id where several nodes speak."""
    for line in lines:
        yield (f"{line.node}: {line.text}\n" if with_node else f"{line.text}\n").encode(errors="replace")


def as_json(lines: Iterator[LogLine]) -> Iterator[bytes]:
    """Yield lines as one JSON object each."""
    for line in lines:
        shown = {
            "node": line.node,
            "container": line.container,
            "stream": line.stream,
            "at": line.at,
            "text": line.text,
        }
        yield (json.dumps(shown) + "\n").encode()
