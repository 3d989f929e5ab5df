"""The engine's side of its folder: Workflows written, read, ended and removed. See `layout.py`."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engines.base import WorkflowNotFound, WorkflowPhase, WorkflowStatus
from engines.local import layout, liveness, trees
from engines.local.interpreter.nodes import rfc3339

Record = dict[str, Any]

_ENDED = ("Succeeded", "Failed", "Error")
_LOST = "the process that ran this Workflow was killed, or the machine restarted; its pods ended with it"
_KEEP_GONE_SECONDS = 600.0
_STALE_INCOMING_SECONDS = 3600.0
_END_SECONDS = 5.0
_REMOVE_ATTEMPTS = 20


class Folder:
    """All Workflows below one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workflows = root / layout.WORKFLOWS
        self.gone = root / layout.GONE
        self.kept_logs = root / layout.KEPT_LOGS
        self._read: dict[str, tuple[tuple[int, int, int], Record]] = {}

    def path(self, name: str) -> Path:
        """Return a Workflow's folder."""
        return self.workflows / name

    def log_path(self, name: str) -> Path:
        """Return the folder with a Workflow's logs: its own, or the one that keeps logs after it.

        Raises `WorkflowNotFound` where neither exists.
        """
        places = (self.path(name), self.kept_logs / name)
        for part in (layout.LOGS, ""):
            for path in places:
                if (path / part).is_dir():
                    return path
        raise WorkflowNotFound(f"no Workflow is named {name}")

    def names(self) -> list[str]:
        """Return the names of all Workflows."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(path.name for path in self.workflows.iterdir())
        return []

    # Writing

    def add(self, name: str, order: Record, secrets: dict[str, Any]) -> bool:
        """Put a Workflow into place as a whole; False when one of that name exists."""
        incoming = self.root / layout.INCOMING / uuid.uuid4().hex
        incoming.mkdir(mode=0o755)
        try:
            (incoming / layout.WISHES).mkdir()
            layout.write_json(str(incoming / layout.ORDER), order)
            if secrets:
                layout.write_json(str(incoming / layout.SECRETS), secrets, 0o600)
            incoming.rename(self.path(name))
        except OSError:
            trees.remove_quietly(str(incoming))
            if self.path(name).exists():
                return False
            raise
        return True

    def wish(self, name: str, wish: str) -> None:
        """Send a wish to a Workflow's supervisor, also on a full disk. Raises `WorkflowNotFound`."""
        try:
            layout.mark(str(self.path(name) / layout.WISHES), wish, f"../{layout.ORDER}")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise WorkflowNotFound(f"no Workflow is named {name}") from error
        except OSError as error:
            # The supervisor gets the message all the same.
            if not layout.is_full(error):
                raise
        layout.poke(str(self.path(name)), layout.CONTROL, wish.encode())

    # Reading

    def record(self, name: str) -> Record:
        """Return the record of a Workflow; one whose supervisor has died is ended. Raises `WorkflowNotFound`."""
        record, path = self._stored(name), self.path(name)
        if record["phase"] in _ENDED or liveness.is_alive(path) or not liveness.has_begun(path):
            return record
        # It may have written its last status and ended between the two reads.
        record = self._stored(name)
        if record["phase"] in _ENDED or self.is_paused(name):
            return record
        return self.end(name, "Error", _LOST)

    def is_paused(self, name: str) -> bool:
        """Return whether a Workflow's supervisor left it to be continued by another."""
        return (self.path(name) / layout.PAUSED).exists()

    def _stored(self, name: str) -> Record:
        path = self.path(name) / layout.STATUS
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return self._unstarted(name)
        mark = (found.st_mtime_ns, found.st_ino, found.st_size)
        known = self._read.get(name)
        if known is not None and known[0] == mark:
            return known[1]
        record = layout.read_json(str(path))
        if record is None:
            return self._unstarted(name)
        self._read[name] = (mark, record)
        return dict(record)

    def _unstarted(self, name: str) -> Record:
        order = layout.read_json(str(self.path(name) / layout.ORDER))
        if order is None:
            raise WorkflowNotFound(f"no Workflow is named {name}")
        return {
            "name": name,
            "digest": order["digest"],
            "uid": order["uid"],
            "ttl": order["ttl"],
            "phase": "Pending",
            "message": "",
            "progress": "",
            "nodes": {},
            "started_at": None,
            "finished_at": None,
            "version": 0,
            "stamp": int(order["created_at"] * 1e9),
        }

    def records(self) -> Iterator[Record]:
        """Yield the record of every Workflow."""
        for name in self.names():
            with contextlib.suppress(WorkflowNotFound):
                yield self.record(name)

    def end(self, name: str, phase: str, message: str) -> Record:
        """End a Workflow that has no supervisor; on a full disk the end is not stored, but reported."""
        with liveness.taken(self.path(name)) as lock:
            record = self._stored(name)
            if lock is None or record["phase"] in _ENDED:
                return record
            now = rfc3339(time.time())
            nodes = {key: dict(node) for key, node in record["nodes"].items()}
            for node in nodes.values():
                if node.get("finishedAt") is None:
                    node.update(phase=phase, message=message, finishedAt=now)
            record = {
                **record,
                "phase": phase,
                "message": message,
                "nodes": nodes,
                "started_at": record["started_at"] or now,
                "finished_at": now,
                "version": record["version"] + 1,
                "stamp": time.time_ns(),
            }
            (self.path(name) / layout.SECRETS).unlink(missing_ok=True)
            if not self._write_last(record):
                self._drop_remains(name)
                self._write_last(record)
            self._drop_remains(name)
        layout.wake_watchers(str(self.root), name)
        return record

    def _write_last(self, record: Record) -> bool:
        """Write a Workflow's last status; return whether there was room."""
        try:
            layout.write_last_json(str(self.path(record["name"]) / layout.STATUS), record)
        except FileNotFoundError:
            # The spare file does not exist, or is being deleted.
            return False
        except OSError as error:
            if not layout.is_full(error):
                raise
            return False
        return True

    def _drop_remains(self, name: str) -> None:
        """Remove the files of pods whose supervisor died."""
        for part in (layout.SANDBOXES, layout.PODS):
            trees.remove_quietly(str(self.path(name) / part))

    # Removing

    def remove(self, name: str) -> None:
        """Remove a Workflow with everything that runs for it; nothing happens when it does not exist.

        It needs no free disk space; on a full disk only present watches learn of it.
        """
        path = self.path(name)
        try:
            record = self._stored(name)
        except WorkflowNotFound:
            record = None
        if path.exists() and liveness.is_alive(path):
            with contextlib.suppress(WorkflowNotFound):
                self.wish(name, "delete")
            if not liveness.wait_for_end(path, _END_SECONDS):
                liveness.kill(path)
                liveness.wait_for_end(path, _END_SECONDS)
            with contextlib.suppress(WorkflowNotFound):
                record = self._stored(name)
        said = record is None or self._say_gone(record)
        _remove_tree(path)
        if record is not None and not said:
            self._say_gone(record)
        self._read.pop(name, None)
        layout.wake_watchers(str(self.root), name)

    def _say_gone(self, record: Record) -> bool:
        """Store the last status of a Workflow for watches; return whether there was space for it."""
        self.gone.mkdir(exist_ok=True)
        try:
            layout.write_json(str(self.gone / f"{record['name']}.json"), {**record, "stamp": time.time_ns()})
        except OSError as error:
            if not layout.is_full(error):
                raise
            return False
        return True

    def remove_overdue(self, records: list[Record]) -> list[str]:
        """Remove the Workflows whose ttlStrategy says so, except their logs; return their names."""
        overdue = [record["name"] for record in records if _due(record) <= time.time()]
        for name in overdue:
            self._keep_logs(name)
            self.remove(name)
        return overdue

    def _keep_logs(self, name: str) -> None:
        """Move a Workflow's logs to the folder that keeps them until the Workflow is deleted.

        After an interruption the next check does the rest.
        """
        kept, own = self.kept_logs / name, self.path(name)
        if kept.exists() and (own / layout.LOGS).exists():
            # Of an earlier Workflow of this name.
            self.forget_logs(name)
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        for part in (layout.LOG_INDEX, layout.LOGS):
            with contextlib.suppress(FileNotFoundError):
                (own / part).rename(kept / part)

    def forget_logs(self, name: str) -> None:
        """Remove the logs of a Workflow that its ttlStrategy has removed."""
        trees.remove_quietly(str(self.kept_logs / name))

    def next_due(self, records: list[Record]) -> float:
        """Return when the next Workflow is to be removed, in seconds since 1970."""
        return min((_due(record) for record in records), default=float("inf"))

    def gone_records(self) -> list[Record]:
        """Return the last status of Workflows removed lately."""
        found = []
        for path in self.gone.glob("*.json"):
            record = layout.read_json(str(path))
            if record is None:
                continue
            if record["stamp"] < time.time_ns() - _KEEP_GONE_SECONDS * 1e9:
                path.unlink(missing_ok=True)
            elif not self.path(record["name"]).exists():
                found.append(record)
        return found

    def clean(self) -> None:
        """Remove the files of an interrupted submission."""
        for path in (self.root / layout.INCOMING).glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - _STALE_INCOMING_SECONDS:
                    trees.remove_quietly(str(path))


def _due(record: Record) -> float:
    ttl, phase = record.get("ttl") or {}, record["phase"]
    if not ttl or phase not in _ENDED:
        return float("inf")
    specific = ttl.get("success" if phase == "Succeeded" else "failure")
    seconds = ttl.get("completion") if specific is None else specific
    return float("inf") if seconds is None else _epoch(record) + float(seconds)


def _epoch(record: Record) -> float:
    return float(record["stamp"]) / 1e9


def _remove_tree(path: Path) -> None:
    """Remove a folder into which a dying process may still write."""
    for _ in range(_REMOVE_ATTEMPTS):
        trees.remove_quietly(str(path))
        if not path.exists():
            return
        time.sleep(0.05)
    trees.remove(str(path))


def status_of(record: Record) -> WorkflowStatus:
    """Return a record as the port's status."""
    return WorkflowStatus(
        name=record["name"],
        phase=WorkflowPhase(record["phase"]),
        message=record["message"],
        progress=record["progress"],
        nodes=record["nodes"],
        started_at=record["started_at"],
        finished_at=record["finished_at"],
        digest=record["digest"],
        uid=record["uid"],
        version=str(record["version"]),
    )
