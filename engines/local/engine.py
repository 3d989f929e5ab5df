"""The local engine: one folder and one supervisor process per Workflow. See `layout.py` for the folder."""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from engines.base import (
    ClusterNode,
    Engine,
    EngineUnavailable,
    LogLine,
    LogTail,
    ManifestRejected,
    StopStrategy,
    Submission,
    WorkflowConflict,
    WorkflowEvent,
    WorkflowNotFound,
    WorkflowStatus,
    waits_to_be_resumed,
)
from engines.local import layout, liveness
from engines.local.folder import Folder, status_of
from engines.local.images import Images, ImageUnknown
from engines.local.interpreter.nodes import ENDED
from engines.local.logs import read_logs, tail_logs
from engines.local.names import key, subdomain
from engines.local.options import Options
from engines.local.processes import surroundings
from engines.local.starting import NurseryKeeper, Reaper, spawn
from engines.local.validation import runnable
from engines.local.watching import Watch

# A name with its suffixes must be the name of a file, of at most 255 bytes.
_LONGEST_NAME = 200
_SUPERVISOR = "engines.local.supervisor"


class LocalEngine(Engine):
    """Runs Workflows as processes of this machine; `engines.local.options.Options` lists its options."""

    is_of_this_machine = True
    tails_by_thread = False

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        super().__init__(alias, options)
        self.settings = Options(options)
        self.folder = Folder(self.settings.root)
        self._images = Images(self.settings.images)
        self._reaper = Reaper()
        self.nursery = NurseryKeeper(self.settings.root, self._reaper)
        self._made = False
        # Whether a Workflow is paused whose supervisor has not quite ended.
        self._leaving = False

    def _ready(self) -> Folder:
        """Return the folder, made at the first call."""
        self._reaper.reap()
        if not self._made:
            try:
                self.settings.make_root()
                self.folder.clean()
            except OSError as error:
                raise EngineUnavailable(
                    f"the engine's folder {self.settings.root} cannot be created: {error}"
                ) from error
            self._made = True
        return self.folder

    def submit(self, submission: Submission) -> WorkflowStatus:
        folder, name = self._ready(), submission.name
        if not _is_name(name):
            raise ManifestRejected(f"'{name}' is not a valid name of a Workflow", "/metadata/name")
        for kind, objects in (("configMaps", submission.config_maps), ("secrets", submission.secrets)):
            for object_name, values in objects.items():
                for problem in filter(None, (subdomain(object_name), *map(key, values))):
                    raise ManifestRejected(f"{kind}, '{object_name}': {problem}")
        manifest = runnable(submission.manifest, name)
        digest = submission.digest
        ttl = manifest["spec"].get("ttlStrategy") or {}
        order = {
            "manifest": manifest,
            "digest": digest,
            "uid": str(uuid.uuid4()),
            "created_at": time.time(),
            "config_maps": {key: dict(values) for key, values in submission.config_maps.items()},
            "options": self.settings.for_supervisor(),
            "ttl": {
                "completion": ttl.get("secondsAfterCompletion"),
                "success": ttl.get("secondsAfterSuccess"),
                "failure": ttl.get("secondsAfterFailure"),
            },
        }
        try:
            if not folder.path(name).exists():
                folder.add(name, order, {key: dict(values) for key, values in submission.secrets.items()})
            if folder.record(name)["digest"] != digest:
                raise WorkflowConflict(f"another Workflow already has the name {name}")
            self._start(name)
            self.nursery.keep()
            return status_of(folder.record(name))
        except OSError as error:
            raise EngineUnavailable(f"the Workflow could not be started: {error}") from error

    def _start(self, name: str) -> None:
        """Start a Workflow's supervisor unless it already had one."""
        path = self.folder.path(name)
        with liveness.taken(path) as lock:
            if lock is not None and not liveness.has_begun(path) and not (path / layout.STATUS).exists():
                self._supervise(name, lock)

    def _supervise(self, name: str, lock: int) -> None:
        if not self.nursery.fork(name, lock):
            arguments = [str(self.settings.root), name]
            self._reaper.add(spawn(_SUPERVISOR, arguments, self.folder.path(name) / "supervisor.log", lock))

    def _take_up(self) -> None:
        """Continue the Workflows that a shutdown of the service has interrupted."""
        self._leaving = False
        for name in self.folder.names():
            path = self.folder.path(name)
            if not self.folder.is_paused(name):
                continue
            with liveness.taken(path) as lock:
                order = layout.read_json(str(path / layout.ORDER))
                if order is None or not self.folder.is_paused(name):
                    continue
                if lock is None:
                    # Its supervisor is about to end.
                    self._leaving = True
                    continue
                # The addresses that the Workflow calls stay reachable, and lead to the present ones.
                fresh = self.settings.for_supervisor()
                ways = {way.partition("=")[0]: way for way in (*order["options"]["gateways"], *fresh["gateways"])}
                order["options"] = {**fresh, "gateways": [*ways.values()]}
                try:
                    layout.write_json(str(path / layout.ORDER), order)
                except OSError as error:
                    if layout.is_full(error):
                        continue
                    raise
                self._supervise(name, lock)

    def watch(self, since: str = "", timeout_seconds: float = 60.0) -> Iterator[WorkflowEvent]:
        folder = self._ready()
        # Only a watch continues Workflows: a read must start nothing.
        self._take_up()
        try:
            yield from Watch(folder, since, self._tend).events(timeout_seconds)
        except json.JSONDecodeError as error:
            raise ValueError("the cursor is not one of this engine") from error

    def _tend(self) -> None:
        """Do the periodic work of a watch."""
        self._reaper.reap()
        if self._leaving:
            self._take_up()
        # On a full disk Workflows are started without a nursery.
        with contextlib.suppress(OSError):
            self.nursery.keep()

    def list(self) -> Iterator[WorkflowStatus]:
        folder = self._ready()
        records = [*folder.records()]
        overdue = set(folder.remove_overdue(records))
        for record in records:
            if record["name"] not in overdue:
                yield status_of(record)

    def get(self, name: str) -> WorkflowStatus:
        folder = self._ready()
        record = folder.record(self._checked(name))
        if folder.remove_overdue([record]):
            raise WorkflowNotFound(f"no Workflow is named {name}")
        return status_of(record)

    def stop(self, name: str, strategy: StopStrategy = StopStrategy.STOP) -> None:
        folder = self._ready()
        if folder.record(self._checked(name))["phase"] in ("Succeeded", "Failed", "Error"):
            return
        folder.wish(name, "terminate" if strategy is StopStrategy.TERMINATE else "stop")
        if not liveness.is_alive(folder.path(name)) and not folder.is_paused(name):
            folder.end(name, "Failed", f"Stopped with strategy '{strategy}'")

    def end_pod(self, name: str, node: str) -> bool:
        folder = self._ready()
        nodes = folder.record(self._checked(name))["nodes"]
        # The node's id is part of a file's name; this engine made it.
        if node in nodes and nodes[node]["phase"] not in ENDED:
            folder.wish(name, f"{layout.END_POD}{node}")
        return True

    def resume(self, name: str, node: str = "") -> None:
        folder = self._ready()
        nodes = folder.record(self._checked(name))["nodes"]
        # The node's id is part of a file's name; this engine made it.
        if not node or waits_to_be_resumed(nodes.get(node, {})):
            folder.wish(name, f"{layout.RESUME}{time.time_ns()}{node.removeprefix(name)}")

    def delete(self, name: str) -> None:
        folder = self._ready()
        with contextlib.suppress(WorkflowNotFound):
            folder.remove(self._checked(name))
            folder.forget_logs(name)
            self._reaper.reap()

    def logs(
        self, name: str, node: str = "", follow: bool = False, wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[LogLine]:
        folder = self._ready()
        folder.log_path(self._checked(name))
        return read_logs(folder, name, node, follow, wanted)

    def image_digests(self, name: str, images: Collection[str]) -> Mapping[str, str]:
        found = {}
        for image in images:
            # An image stands for a command of this machine, so its digest is that of the command.
            with contextlib.suppress(ImageUnknown):
                entry = json.dumps(dict(self._images.find(image)), sort_keys=True)
                found[image] = f"sha256:{hashlib.sha256(entry.encode()).hexdigest()}"
        return found

    def tail(self, name: str, node: str = "") -> LogTail:
        folder = self._ready()
        folder.log_path(self._checked(name))
        return tail_logs(folder, name, node)

    def nodes(self) -> builtins.list[ClusterNode]:
        return [ClusterNode(node["name"], dict(node["labels"])) for node in self.settings.nodes]

    def check(self) -> builtins.list[str]:
        problems = [f"the engine has no option {name}" for name in self.settings.unknown]
        problems += surroundings()
        try:
            self._ready()
            probe = Path(self.settings.root, layout.INCOMING, f"check-{uuid.uuid4().hex[:12]}")
            probe.mkdir()
            probe.rmdir()
        except (OSError, EngineUnavailable) as error:
            problems.append(f"the engine's folder is not writable: {error}")
        problems += [
            f"{option}: {path} is not a directory"
            for option, paths in (
                ("hostpath_allow", self.settings.hostpath_allow),
                ("hostpath_writable", self.settings.hostpath_writable),
            )
            for path in paths
            if not os.path.isdir(path)  # noqa: PTH112
        ]
        return problems

    @staticmethod
    def _checked(name: str) -> str:
        if not _is_name(name):
            raise WorkflowNotFound(f"no Workflow is named {name}")
        return name


def _is_name(name: str) -> bool:
    return not subdomain(name) and len(name) <= _LONGEST_NAME
