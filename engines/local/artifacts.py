"""Artifacts on one machine: whatever store a manifest names, they lie in the Workflow's own folder."""

# ruff: noqa: PTH103, PTH104, PTH108, PTH112, PTH114, PTH118, PTH123, PTH102, PTH211

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from typing import Any

from engines.local.interpreter.calls import Artifact, location_of
from engines.local.pods import OutputEntry

_CHUNK_BYTES = 1 << 20


class ArtifactMissing(Exception):
    """An artifact that nothing has written."""


class ArtifactStore:
    """Files and directories by the location that a manifest gives them."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def fetch(self, artifact: Artifact, target: str) -> bool:
        """Copy an artifact to a path; return whether it is there. Raises `ArtifactMissing` if it should be."""
        raw = artifact.get("raw")
        if raw is not None:
            with open(target, "w", encoding="utf-8") as file:
                file.write(raw.get("data") or "")
            return True
        location = location_of(artifact)
        source = self._path(location or {})
        if location is None or not os.path.lexists(source):
            if artifact.get("optional"):
                return False
            raise ArtifactMissing(f"artifact {artifact['name']}: nothing lies at {json.dumps(location)}")
        _copy(source, target)
        return True

    def keep(self, artifact: Artifact, entries: Iterable[OutputEntry], default_key: str) -> Artifact | None:
        """Store what a container left and return the artifact as a node shows it, None where nothing was left.

        Raises OutputUnreadable, OSError; then what was stored under its name before is still there.
        """
        location = location_of(artifact) or {"s3": {"key": default_key}}
        path = self._path(location)
        os.makedirs(self.directory, exist_ok=True)
        temporary = f"{path}.new"
        _remove(temporary)
        try:
            for entry in entries:
                _lay_down(entry, f"{temporary}/{entry.name}" if entry.name else temporary)
            if not os.path.lexists(temporary):
                return None
        except BaseException:
            _remove(temporary)
            raise
        _remove(path)
        os.rename(temporary, path)
        shown: Artifact = {key: artifact[key] for key in ("name", "path", "globalName") if key in artifact}
        return shown | location

    def _path(self, location: dict[str, Any]) -> str:
        text = json.dumps(location, sort_keys=True)
        return os.path.join(self.directory, hashlib.sha256(text.encode()).hexdigest())


def _lay_down(entry: OutputEntry, path: str) -> None:
    """Write one entry of a container's output to a path at which nothing is; set-user-ID bits are gone already."""
    if entry.kind == "directory":
        os.mkdir(path)
    elif entry.kind == "link":
        os.symlink(entry.target, path)
    else:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags, 0o600), "wb") as target, open(entry.descriptor, "rb", closefd=False) as source:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)
            # Who takes it up again is the owner; whoever wrote it may have denied that to himself.
            os.fchmod(target.fileno(), entry.mode | 0o600)


def _copy(source: str, target: str) -> None:
    """Copy a file or a directory; links inside stay links, for they mean something only to their container."""
    if os.path.isdir(source) and not os.path.islink(source):
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copyfile(source, target, follow_symlinks=False)
        if not os.path.islink(target):
            shutil.copymode(source, target)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
