"""Artifacts on one machine: whatever store a manifest names, they lie in the Workflow's own folder."""

# ruff: noqa: PTH103, PTH104, PTH108, PTH112, PTH114, PTH118, PTH123

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import Any

from engines.local.interpreter.calls import Artifact, location_of


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

    def keep(self, artifact: Artifact, source: str, default_key: str) -> Artifact:
        """Copy a path into the store and return the artifact as a node shows it."""
        location = location_of(artifact) or {"s3": {"key": default_key}}
        path = self._path(location)
        os.makedirs(self.directory, exist_ok=True)
        temporary = f"{path}.new"
        _remove(temporary)
        _copy(source, temporary)
        _remove(path)
        os.rename(temporary, path)
        shown: Artifact = {key: artifact[key] for key in ("name", "path", "globalName") if key in artifact}
        return shown | location

    def _path(self, location: dict[str, Any]) -> str:
        text = json.dumps(location, sort_keys=True)
        return os.path.join(self.directory, hashlib.sha256(text.encode()).hexdigest())


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
