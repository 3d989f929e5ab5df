"""An engine whose Workflows are files, so that several processes share it and one of them can be killed in it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage

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
)
from runs.models import WorkflowRun
from runs.owners import Attachments, RunOwner

POD = {"node-1": {"id": "node-1", "type": "Pod", "displayName": "main", "phase": "Running"}}


class FolderEngine(Engine):
    """Keeps each Workflow in a file; tests move them with `set_phase`.

    `down` in the folder makes every call fail; `kill-at` names a step at which the calling process is killed;
    `on-submit` names the phase that a submitted Workflow must have at once; `hang` keeps a submission from returning;
    `forgets` says to instances made from then on that logs are gone with the pods.
    """

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        self.root = Path(options["root"])
        self.closed = False
        self.keeps_logs = not (self.root / "forgets").exists()
        (self.root / "workflows").mkdir(parents=True, exist_ok=True)

    # What tests do to it.

    def set_phase(self, name: str, phase: WorkflowPhase, message: str = "", nodes: Any = None) -> None:
        with self._locked():
            workflow = self._read(name)
            workflow.update(phase=phase, message=message, version=self._next_version())
            if nodes is not None:
                workflow["nodes"] = nodes
            self._write(workflow)

    def vanish(self, name: str) -> None:
        self._path(name).unlink()

    def put(self, name: str, phase: WorkflowPhase = WorkflowPhase.RUNNING, digest: str = "") -> None:
        with self._locked():
            self._write(self._new(name, digest, phase))

    def say(self, what: str, value: str = "") -> None:
        (self.root / what).write_text(value)

    def unsay(self, what: str) -> None:
        (self.root / what).unlink(missing_ok=True)

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().splitlines() if path.exists() else []

    # The port.

    def submit(self, submission: Submission) -> WorkflowStatus:
        self._enter("submit", submission.name)
        while (self.root / "hang").exists():
            time.sleep(0.01)
        if pointer := (submission.manifest.get("metadata", {}).get("annotations") or {}).get("reject"):
            raise ManifestRejected("cannot run this", pointer=pointer)
        with self._locked():
            if self._path(submission.name).exists():
                workflow = self._read(submission.name)
                if workflow["digest"] != submission.digest:
                    raise WorkflowConflict(f"{submission.name} is somebody else's")
            else:
                said = self.root / "on-submit"
                phase = WorkflowPhase(said.read_text()) if said.exists() else WorkflowPhase.PENDING
                workflow = self._new(submission.name, submission.digest, phase)
                self._write(workflow)
                self._note("created", submission.name)
        self._leave("submit")
        return _status(workflow)

    def watch(self, since: str = "", timeout_seconds: float = 60.0) -> Iterator[WorkflowEvent]:
        end = time.monotonic() + timeout_seconds
        seen: dict[str, WorkflowStatus] = {}
        while time.monotonic() < end and not self.closed:
            self._check_up()
            present = {status.name: status for status in self._all()}
            for name in seen.keys() - present.keys():
                yield WorkflowEvent(seen.pop(name), deleted=True)
            for name, status in present.items():
                if name not in seen or seen[name].version != status.version:
                    seen[name] = status
                    if int(status.version) > int(since or 0):
                        yield WorkflowEvent(status, cursor=status.version)
            time.sleep(0.005)

    def list(self) -> Iterator[WorkflowStatus]:
        self._check_up()
        return iter(self._all())

    def get(self, name: str) -> WorkflowStatus:
        self._check_up()
        return _status(self._read(name))

    def stop(self, name: str, strategy: StopStrategy = StopStrategy.STOP) -> None:
        self._enter("stop", name)
        if not (self.root / "deaf").exists() and not self.get(name).phase.is_terminal:
            self.set_phase(name, WorkflowPhase.FAILED, f"Stopped with strategy '{strategy}'")
        self._leave("stop")

    def delete(self, name: str) -> None:
        self._enter("delete", name)
        self._path(name).unlink(missing_ok=True)
        self._leave("delete")

    def resume(self, name: str, node: str = "") -> None:
        self._enter(f"resume {node}".rstrip(), name)
        self._read(name)

    def logs(
        self, name: str, node: str = "", follow: bool = False, wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[LogLine]:
        self._read(name)
        yield LogLine(node or "node-1", "main", "stdout", "hello", "2026-01-01T00:00:00Z")
        while follow and not self.get(name).phase.is_terminal:
            if not wanted():
                return
            time.sleep(0.005)
        yield LogLine(node or "node-1", "main", "stderr", "bye")

    def nodes(self) -> list[ClusterNode]:
        self._check_up()
        return [ClusterNode("central", {"nodeType": "central"})]

    # How it does it.

    def _enter(self, step: str, name: str) -> None:
        self._check_up()
        self._note(step, name)
        self._die_at(f"{step}.before")

    def _leave(self, step: str) -> None:
        self._die_at(f"{step}.after")

    def _die_at(self, step: str) -> None:
        path = self.root / "kill-at"
        if path.exists() and path.read_text() == step:
            path.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def _check_up(self) -> None:
        if (self.root / "down").exists():
            raise EngineUnavailable("the double is down")

    def _note(self, what: str, name: str) -> None:
        with (self.root / "calls").open("a") as file:
            file.write(f"{what} {name}\n")

    def _new(self, name: str, digest: str, phase: WorkflowPhase) -> dict[str, Any]:
        nodes = {} if phase is WorkflowPhase.PENDING else POD
        return {
            "name": name, "digest": digest, "phase": phase, "message": "", "version": self._next_version(),
            "uid": f"uid-{name}", "nodes": nodes,
        }  # fmt: skip

    def _next_version(self) -> str:
        path = self.root / "version"
        version = int(path.read_text()) + 1 if path.exists() else 1
        path.write_text(str(version))
        return str(version)

    def _path(self, name: str) -> Path:
        return self.root / "workflows" / f"{name}.json"

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return json.loads(self._path(name).read_text())
        except FileNotFoundError as error:
            raise WorkflowNotFound(name) from error

    def _write(self, workflow: dict[str, Any]) -> None:
        path = self._path(workflow["name"])
        path.with_suffix(".new").write_text(json.dumps(workflow))
        path.with_suffix(".new").replace(path)

    def _all(self) -> tuple[WorkflowStatus, ...]:
        found = []
        for path in sorted((self.root / "workflows").glob("*.json")):
            try:
                found.append(_status(self._read(path.stem)))
            except WorkflowNotFound:
                continue
        return tuple(found)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.root / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _status(workflow: dict[str, Any]) -> WorkflowStatus:
    return WorkflowStatus(**{**workflow, "phase": WorkflowPhase(workflow["phase"])})


class DyingStorage(FileSystemStorage):
    """Dies once it has stored a file, where a file of the engine's folder says so."""

    def _save(self, name: str, content: Any) -> str:
        saved = super()._save(name, content)
        path = Path(os.environ["DOUBLE_ROOT"], "kill-at")
        if path.exists() and path.read_text() == "stored":
            path.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return saved


class NotingOwner(RunOwner):
    """Notes in a file what it was asked, and dies or fails where a file next to it says so."""

    def __init__(self, engine: FolderEngine) -> None:
        self._engine = engine
        self.failures: list[Exception] = []

    def prepare(self, run: WorkflowRun) -> Attachments:
        self._ask("prepare", run)
        return Attachments(secrets={f"{run.name}-callback": {"token": "t"}})

    def phase_changed(self, run: WorkflowRun) -> None:
        self._engine._die_at(f"phase:{run.phase}")
        self._engine._note(f"phase:{run.phase}", run.name)

    def release(self, run: WorkflowRun) -> None:
        self._ask("release", run)

    def _ask(self, what: str, run: WorkflowRun) -> None:
        self._engine._die_at(f"{what}.before")
        self._engine._note(what, run.name)
        if self.failures:
            raise self.failures.pop(0)
        self._engine._die_at(f"{what}.after")
