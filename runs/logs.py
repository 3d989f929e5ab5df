"""The log of a run up to now, and the formats of its lines; `runs.following` gives new lines as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain

from django.conf import settings

from engines.base import Engine, LogLine
from runs.engines import get_engine
from runs.kept_logs import kept_lines
from runs.log_query import LogQuery
from runs.models import WorkflowRun
from runs.step_names import StepNames
from web.errors import NotFound


def log_lines(run: WorkflowRun, query: LogQuery) -> Iterator[LogLine]:
    """Return the lines written up to now that a query asks for, in the order of their times.

    They come from storage if the log is stored, else from the engine. Before the first line it raises
    EngineUnavailable, WorkflowNotFound if the engine no longer has the Workflow, and NotFound if the log could not be
    stored or the engine is no longer configured.
    """
    if run.handed_over_at is None:
        return iter(())
    written = kept_lines(run, query.node_id)
    if written is None:
        written = engine_of(run).logs(run.name, query.node_id)
    lines = query.chosen(written)
    first = next(lines, None)
    return iter(()) if first is None else chain([first], lines)


def engine_of(run: WorkflowRun) -> Engine:
    """Return the engine of a run. Raises NotFound if the engine is no longer configured."""
    if run.engine not in settings.ENGINES:
        raise NotFound(f"The run's engine {run.engine!r} is not configured.")
    return get_engine(run.engine)


def as_text(lines: Iterator[LogLine], steps: StepNames, prefix: bool = True) -> Iterator[bytes]:
    """Yield lines as plain text: `<time> <step>/<container> <stream>: <text>`, or without `prefix` the text alone."""
    for line in lines:
        origin = f"{line.at or '-'} {steps.of(line.node)}/{line.container} {line.stream}: " if prefix else ""
        yield f"{origin}{line.text}\n".encode(errors="replace")


def as_json(lines: Iterator[LogLine], steps: StepNames) -> Iterator[bytes]:
    """Yield lines as one JSON object each."""
    for line in lines:
        shown = {
            "at": line.at,
            "node": line.node,
            "step": steps.of(line.node),
            "container": line.container,
            "stream": line.stream,
            "text": line.text,
        }
        yield (json.dumps(shown) + "\n").encode()
