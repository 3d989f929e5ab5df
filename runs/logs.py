"""The logs of a run, as they are or as they come.

Who follows a run that is still queued waits for its Workflow first. Whoever goes away is noticed within seconds.
"""

from __future__ import annotations

import json
import logging
import select
import socket
from collections.abc import Callable, Iterator
from itertools import chain

from django.conf import settings

from engines.base import Engine, EngineError, LogLine
from runs.engines import get_engine
from runs.kept_logs import kept_lines
from runs.models import WorkflowRun
from web.errors import NotFound
from web.wakeups import Listener, run_topic

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0


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
    lines = _engine_of(run).logs(run.name, node_id)
    first = next(lines, None)
    return iter(()) if first is None else chain([first], lines)


def followed_log_lines(run: WorkflowRun, node_id: str, is_gone: Callable[[], bool]) -> Iterator[LogLine]:
    """Return what was written, and what will be, until the run ends or the caller is gone.

    Raises as `log_lines`, before the first line.
    """
    kept = kept_lines(run, node_id)
    if kept is not None:
        return kept
    if run.submitted_at is not None:
        _engine_of(run).get(run.name)
    return _follow(run, node_id, is_gone)


def _engine_of(run: WorkflowRun) -> Engine:
    if run.engine not in settings.ENGINES:
        raise NotFound(f"The engine {run.engine!r} that ran it is not configured here any more.")
    return get_engine(run.engine)


def _follow(run: WorkflowRun, node_id: str, is_gone: Callable[[], bool]) -> Iterator[LogLine]:
    if not _wait_until_submitted(run, is_gone):
        return
    try:
        yield from _engine_of(run).logs(run.name, node_id, follow=True, wanted=lambda: not is_gone())
    except EngineError as error:
        # The answer breaks off, which tells the caller that it is not complete.
        logger.warning("The log of run %s broke off: %s", run.name, error)
        raise


def _wait_until_submitted(run: WorkflowRun, is_gone: Callable[[], bool]) -> bool:
    if run.submitted_at is not None:
        return True
    with Listener(run_topic(run.pk)) as listener:
        while not is_gone():
            known = WorkflowRun.objects.filter(pk=run.pk).first()
            if known is None or known.submitted_at is not None or known.is_terminal:
                return known is not None and known.submitted_at is not None
            listener.wait(LOOK_SECONDS)
    return False


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


def has_hung_up(connection: socket.socket | None) -> bool:
    """Return whether the other end of a connection has closed it; None for a connection that nobody shows us."""
    if connection is None:
        return False
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True
