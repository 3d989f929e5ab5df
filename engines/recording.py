"""A double that ships: an engine that runs nothing and ends Workflows on command.

A Workflow ends at once as its annotation `orchestrator/outcome` says (`succeed`, `fail`), or when `finish` is called
(`hold`, the default, also by option `outcome`). `calls` holds the calls, in order; while `unavailable` is
set, every call raises `EngineUnavailable`. With option `dir` its Workflows are kept in a file there, so that another
instance, also of another process, has them. Options `nodes` (a list of labels) and `keeps_logs` describe its machines
and whether it keeps logs; `cluster` and `explanations` are for tests to change.
"""

from __future__ import annotations

import builtins
import json
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engines.base import (
    ClusterNode,
    Engine,
    EngineUnavailable,
    LogLine,
    ManifestRejected,
    StopStrategy,
    Submission,
    WorkflowConflict,
    WorkflowEvent,
    WorkflowNotFound,
    WorkflowPhase,
    WorkflowStatus,
    waits_to_be_resumed,
)

OUTCOME_ANNOTATION = "orchestrator/outcome"
OUTCOMES = ("succeed", "fail", "hold")
_LOOK_SECONDS = 0.05


@dataclass
class _State:
    """The engine's state, in memory and, with option `dir`, in a file."""

    number: int = 0
    statuses: dict[str, WorkflowStatus] = field(default_factory=dict)
    changes: list[tuple[int, WorkflowStatus, bool]] = field(default_factory=list)
    logs: dict[str, list[LogLine]] = field(default_factory=dict)


class RecordingEngine(Engine):
    """Runs nothing; see the module."""

    def __init__(self, alias: str = "recording", options: Mapping[str, Any] | None = None) -> None:
        super().__init__(alias, options or {})
        self.calls: list[tuple[str, str]] = []
        self.submissions: dict[str, Submission] = {}
        self.unavailable = False
        self.keeps_logs = bool(self.options.get("keeps_logs", True))
        declared = enumerate(self.options.get("nodes") or [{}])
        self.cluster = [ClusterNode(f"node-{number}", labels) for number, labels in declared]
        self.explanations: dict[str, str] = {}
        # Workflows whose node is lost: the node's name, and the words for it.
        self.lost: dict[str, tuple[str, str]] = {}
        self._changed = threading.Condition()
        self._file = Path(self.options["dir"], "engine.json") if self.options.get("dir") else None
        self._state = _State()

    # Commands of tests

    def finish(self, name: str, phase: WorkflowPhase = WorkflowPhase.SUCCEEDED, message: str = "") -> None:
        """End a Workflow. Raises `WorkflowNotFound`."""
        with self._changed:
            status = self._find(name)
            node = {**status.nodes[name], "phase": str(phase), "message": message, "finishedAt": _now()}
            self._put(replace(status, phase=phase, message=message, nodes={name: node}, finished_at=_now()))

    def vanish(self, name: str) -> None:
        """Lose a Workflow silently, as when somebody deletes it and the watch misses that."""
        with self._changed:
            self._load()
            self._state.statuses.pop(name, None)
            self._save()

    def suspend(self, name: str, *steps: str) -> None:
        """Let a Workflow wait at suspended nodes of these display names. Raises `WorkflowNotFound`."""
        with self._changed:
            status = self._find(name)
            waiting = {f"{name}-{step}": _suspended(f"{name}-{step}", step) for step in steps}
            self._put(replace(status, nodes={**status.nodes, **waiting}))

    def write(self, name: str, text: str, *, node: str = "", container: str = "main") -> None:
        """Let a container of a Workflow write a line."""
        with self._changed:
            self._load()
            self._state.logs.setdefault(name, []).append(LogLine(node or name, container, "stdout", text, _now()))
            self._save()
            self._changed.notify_all()

    # The port

    def submit(self, submission: Submission) -> WorkflowStatus:
        with self._called("submit", submission.name):
            spec = submission.manifest.get("spec")
            if not isinstance(spec, dict):
                raise ManifestRejected("a Workflow must have a spec", "/spec")
            for key in spec:
                if key in ("workflowTemplateRef", "hooks"):
                    raise ManifestRejected(f"{key} is not supported by this engine", f"/spec/{key}")
            known = self._state.statuses.get(submission.name)
            if known is not None and known.digest != submission.digest:
                raise WorkflowConflict(f"another Workflow already has the name {submission.name}")
            if known is not None:
                return known
            self.submissions[submission.name] = submission
            self._put(_running(submission))
        outcome = self._outcome(submission)
        if outcome == "succeed":
            self.finish(submission.name)
        elif outcome == "fail":
            self.finish(submission.name, WorkflowPhase.FAILED, "main: Error (exit code 1)")
        return self._state.statuses[submission.name]

    def _outcome(self, submission: Submission) -> str:
        annotations = (submission.manifest.get("metadata") or {}).get("annotations") or {}
        return str(annotations.get(OUTCOME_ANNOTATION) or self.options.get("outcome") or "hold")

    def watch(self, since: str = "", timeout_seconds: float = 60.0) -> Iterator[WorkflowEvent]:
        self.calls.append(("watch", since))
        until = time.monotonic() + timeout_seconds
        with self._called("", ""):
            seen = int(since) if since else self._state.number
            present = [] if since else list(self._state.statuses.values())
        for status in present:
            yield WorkflowEvent(status, cursor=str(seen))
        while True:
            with self._called("", ""):
                fresh = [change for change in self._state.changes if change[0] > seen]
                left = until - time.monotonic()
                if not fresh:
                    if left <= 0:
                        return
                    self._changed.wait(min(left, _LOOK_SECONDS if self._file else left))
                    continue
            for number, status, deleted in fresh:
                seen = number
                yield WorkflowEvent(status, deleted=deleted, cursor=str(number))

    def list(self) -> Iterator[WorkflowStatus]:
        with self._called("list", ""):
            statuses = list(self._state.statuses.values())
        yield from statuses

    def get(self, name: str) -> WorkflowStatus:
        with self._called("get", name):
            return self._find(name)

    def stop(self, name: str, strategy: StopStrategy = StopStrategy.STOP) -> None:
        with self._called("stop", name):
            ended = self._find(name).phase.is_terminal
        if not ended:
            self.finish(name, WorkflowPhase.FAILED, f"Stopped with strategy '{strategy}'")

    def delete(self, name: str) -> None:
        with self._called("delete", name):
            status = self._state.statuses.pop(name, None)
            self._state.logs.pop(name, None)
            if status is not None:
                self._note(status, deleted=True)

    def end_pod(self, name: str, node: str) -> bool:
        with self._called("end_pod", name):
            status = self._find(name)
            known = status.nodes.get(node)
            if known is not None and known.get("finishedAt") is None:
                ended = {**known, "phase": "Error", "message": "pod deleted", "finishedAt": _now()}
                self._put(replace(status, nodes={**status.nodes, node: ended}))
            return True

    def resume(self, name: str, node: str = "") -> None:
        with self._called("resume", name):
            status = self._find(name)
            over = {"phase": "Succeeded", "finishedAt": _now()}
            waiting = {
                key: {**known, **over}
                for key, known in status.nodes.items()
                if waits_to_be_resumed(known) and node in ("", key)
            }
            if waiting:
                self._put(replace(status, nodes={**status.nodes, **waiting}))

    def logs(
        self, name: str, node: str = "", follow: bool = False, wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[LogLine]:
        with self._called("logs", name):
            self._find(name)
        return self._lines(name, node, follow, wanted)

    def _lines(self, name: str, node: str, follow: bool, wanted: Callable[[], bool]) -> Iterator[LogLine]:
        told = 0
        while True:
            with self._called("", ""):
                lines = self._state.logs.get(name, [])[told:]
                status = self._state.statuses.get(name)
                last = not follow or status is None or status.phase.is_terminal or not wanted()
                if not lines and not last:
                    self._changed.wait(_LOOK_SECONDS)
                    continue
            told += len(lines)
            yield from (line for line in lines if not node or line.node == node)
            if last:
                return

    def nodes(self) -> builtins.list[ClusterNode]:
        with self._called("nodes", ""):
            return [*self.cluster]

    def explain(self, name: str) -> str:
        with self._called("explain", name):
            return self.explanations.get(name, "")

    def stranded(self, nodes: Collection[str]) -> Mapping[str, str]:
        with self._called("stranded", ",".join(sorted(nodes))):
            return {name: words for name, (node, words) in self.lost.items() if node in nodes}

    # State

    def _called(self, verb: str, name: str) -> _Turn:
        if verb:
            self.calls.append((verb, name))
        if self.unavailable:
            raise EngineUnavailable("the engine does not answer")
        return _Turn(self._changed, self._load)

    def _find(self, name: str) -> WorkflowStatus:
        self._load()
        status = self._state.statuses.get(name)
        if status is None:
            raise WorkflowNotFound(f"no Workflow is named {name}")
        return status

    def _put(self, status: WorkflowStatus) -> None:
        status = replace(status, version=str(self._state.number + 1))
        self._state.statuses[status.name] = status
        self._note(status, deleted=False)

    def _note(self, status: WorkflowStatus, *, deleted: bool) -> None:
        self._state.number += 1
        self._state.changes.append((self._state.number, status, deleted))
        self._save()
        self._changed.notify_all()

    def _load(self) -> None:
        if self._file is None or not self._file.exists():
            return
        stored = json.loads(self._file.read_text())
        self._state = _State(
            stored["number"],
            {name: _status(status) for name, status in stored["statuses"].items()},
            [(number, _status(status), deleted) for number, status, deleted in stored["changes"]],
            {name: [LogLine(**line) for line in lines] for name, lines in stored["logs"].items()},
        )

    def _save(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(asdict(self._state)))
            fresh.rename(self._file)


class _Turn:
    """A call that holds the engine's lock and sees changes of other instances."""

    def __init__(self, lock: threading.Condition, load: Any) -> None:
        self._lock = lock
        self._load = load

    def __enter__(self) -> None:
        self._lock.acquire()
        self._load()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _status(stored: dict[str, Any]) -> WorkflowStatus:
    return WorkflowStatus(**{**stored, "phase": WorkflowPhase(stored["phase"])})


def _running(submission: Submission) -> WorkflowStatus:
    name, now = submission.name, _now()
    node = {"id": name, "name": name, "displayName": name, "type": "Pod", "phase": "Running", "startedAt": now}
    return WorkflowStatus(
        name=name,
        phase=WorkflowPhase.RUNNING,
        nodes={name: {**node, "finishedAt": None}},
        started_at=now,
        digest=submission.digest,
        uid=f"uid-of-{name}",
    )


def _suspended(node_id: str, step: str) -> dict[str, Any]:
    node = {"id": node_id, "name": node_id, "displayName": step, "type": "Suspend", "phase": "Running"}
    return {**node, "startedAt": _now(), "finishedAt": None}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
