"""Artifacts on one machine: they lie in the Workflow's own folder, whatever store a manifest names."""

# ruff: noqa: PTH102, PTH103, PTH104, PTH110, PTH112, PTH118, PTH123, PTH208, PTH211

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from engines.local import layout, names, trees
from engines.local.disk import DiskBudget
from engines.local.interpreter.calls import Artifact, location_of
from engines.local.names import parts_of
from engines.local.pods import OutputEntry, OutputUnreadable

_PIECE_BYTES = 8 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Beside an artifact that is stored as it is (`archive: none`): its location, so that its files are found by their keys.
_AS_IT_IS = ".key"
_KEYS = {"s3": "key", "gcs": "key", "oss": "key", "azure": "blob", "hdfs": "path", "artifactory": "url"}
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ArtifactMissing(Exception):
    """An artifact that nothing has written."""


class _NoFile(Exception):
    """The stored entry cannot be copied."""


class _EndOfData(Exception):
    """Only holes follow in the file."""


_At = tuple[str, int | None]


class ArtifactStore:
    """Files and directories by the location in a manifest; copies count against the run's disk budget."""

    def __init__(self, directory: str, budget: DiskBudget) -> None:
        self.directory = directory
        self.budget = budget

    def fetch(self, artifact: Artifact, target: str) -> bool:
        """Copy an artifact to a path; return whether it is there.

        Raises `ArtifactMissing` if it should be, and is not or is neither a file nor a directory; `DiskExceeded`.
        """
        raw = artifact.get("raw")
        if raw is not None:
            self._write(str(raw.get("data") or "").encode(), target)
            return True
        if artifact.get("subPath"):
            return self._fetch_part(artifact, str(artifact["subPath"]), target)
        location = location_of(artifact)
        try:
            found = location is not None and self._copy_from(location, target)
        except _NoFile as error:
            raise ArtifactMissing(f"artifact {artifact['name']}: {error}") from error
        if not found and not artifact.get("optional"):
            raise ArtifactMissing(f"artifact {artifact['name']}: there is nothing at {json.dumps(location)}")
        return found

    def _copy_from(self, location: dict[str, Any], target: str) -> bool:
        """Copy the content of a location: an artifact, a part of one that is stored unpacked, or all below a key."""
        source = self._path(location)
        if os.path.lexists(source):
            self._copy_out((source, None), (target, None), 0)
            return True
        key = _key_of(location)
        return bool(key) and (self._copy_part(location, key, target) or self._copy_all_below(location, key, target))

    def _copy_part(self, location: dict[str, Any], key: str, target: str) -> bool:
        """Copy what lies in a directory that is stored under the beginning of a key."""
        parts = key.split("/")
        for end in range(len(parts) - 1, 0, -1):
            whole = self._path(_with_key(location, "/".join(parts[:end])))
            if not os.path.exists(f"{whole}{_AS_IT_IS}") or any(part in ("", ".", "..") for part in parts[end:]):
                continue
            with contextlib.ExitStack() as opened:
                try:
                    folder = trees.opened(whole)
                    opened.callback(os.close, folder)
                    for part in parts[end:-1]:
                        folder = trees.opened(part, folder)
                        opened.callback(os.close, folder)
                    os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                self._copy_out((parts[-1], folder), (target, None), 0)
                return True
        return False

    def _copy_all_below(self, location: dict[str, Any], key: str, target: str) -> bool:
        """Copy everything that is stored unpacked below a key, as one directory."""
        found = False
        for name in sorted(os.listdir(self.directory)) if os.path.isdir(self.directory) else ():
            if not name.endswith(_AS_IT_IS):
                continue
            path = os.path.join(self.directory, name)
            with open(path, encoding="utf-8") as file:
                stored = json.load(file)
            parts = _key_of(stored).removeprefix(f"{key}/").split("/")
            if stored != _with_key(location, f"{key}/{'/'.join(parts)}") or any(p in ("", ".", "..") for p in parts):
                continue
            with _folders_made(target, parts[:-1]) as folder, contextlib.suppress(FileExistsError):
                self._copy_out((path.removesuffix(_AS_IT_IS), None), (parts[-1], folder), 0)
            found = True
        return found

    def _fetch_part(self, artifact: Artifact, inner: str, target: str) -> bool:
        """Copy the content of a path within an artifact, as `fetch` copies the whole; links are not followed."""
        *folders, last = parts_of(inner) or [""]
        if names.relative(inner) or not last:
            raise ArtifactMissing(f"artifact {artifact['name']}: {inner!r} is not a path within it")
        with contextlib.ExitStack() as opened:
            try:
                parent = trees.opened(self._path(location_of(artifact) or {}))
                opened.callback(os.close, parent)
                for folder in folders:
                    parent = trees.opened(folder, parent)
                    opened.callback(os.close, parent)
                self._copy_out((last, parent), (target, None), 0)
            except (_NoFile, FileNotFoundError, NotADirectoryError) as error:
                if artifact.get("optional"):
                    return False
                raise ArtifactMissing(f"artifact {artifact['name']}: there is nothing at {inner} within it") from error
        return True

    def _write(self, content: bytes, target: str) -> None:
        self.budget.spend(len(content))
        file = os.open(target, _WRITE, 0o644)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(file, left) :]
            os.fchmod(file, 0o644)
        finally:
            os.close(file)

    def _copy_out(self, source: _At, target: _At, depth: int) -> None:
        """Copy an entry of the store; a link inside a directory stays a link, which only pods follow."""
        (name, parent), (new, folder) = source, target
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            self._copy_file(source, target)
        elif stat.S_ISDIR(found.st_mode) and depth < trees.DEEPEST:
            self.budget.spend(trees.ENTRY_BYTES)
            os.mkdir(new, 0o700, dir_fd=folder)
            reader = trees.opened(name, parent)
            writer = trees.opened(new, folder)
            try:
                for inner in os.listdir(reader):
                    self._copy_out((inner, reader), (inner, writer), depth + 1)
                os.fchmod(writer, stat.S_IMODE(found.st_mode))
            finally:
                os.close(reader)
                os.close(writer)
        elif stat.S_ISLNK(found.st_mode) and depth:
            self.budget.spend(trees.ENTRY_BYTES)
            os.symlink(os.readlink(name, dir_fd=parent), new, dir_fd=folder)
        else:
            raise _NoFile("the entry is neither a file nor a directory")

    def _copy_file(self, source: _At, target: _At) -> None:
        reader = os.open(source[0], _READ, dir_fd=source[1])
        try:
            mode = os.fstat(reader).st_mode
            if not stat.S_ISREG(mode):
                raise _NoFile("the file changed while it was copied")
            writer = os.open(target[0], _WRITE, 0o600, dir_fd=target[1])
            try:
                self.budget.spend(trees.ENTRY_BYTES)
                self._copy_content(reader, writer)
                os.fchmod(writer, stat.S_IMODE(mode) & 0o777)
            finally:
                os.close(writer)
        finally:
            os.close(reader)

    def _copy_content(self, reader: int, writer: int) -> None:
        """Copy a regular file; what is a hole in it stays one."""
        data = 0
        with contextlib.suppress(_EndOfData):
            while True:
                data = _next_data(reader, data)
                end = os.lseek(reader, data, os.SEEK_HOLE)
                os.lseek(writer, data, os.SEEK_SET)
                while data < end:
                    piece = os.sendfile(writer, reader, data, min(_PIECE_BYTES, end - data))
                    if not piece:
                        break
                    self.budget.spend(piece)
                    data += piece
                data = end
        os.ftruncate(writer, os.fstat(reader).st_size)

    def keep(self, artifact: Artifact, entries: Iterable[OutputEntry], default_key: str) -> Artifact | None:
        """Store what a container left and return the artifact as a node shows it, None where the container left
        nothing.

        Raises OutputUnreadable, OSError, `DiskExceeded`; then the earlier content of its name is unchanged.
        """
        location = location_of(artifact) or {"s3": {"key": default_key}}
        path = self._path(location)
        os.makedirs(self.directory, exist_ok=True)
        temporary = f"{path}.new"
        trees.remove(temporary)
        try:
            for entry in entries:
                self._lay_down(entry, f"{temporary}/{entry.name}" if entry.name else temporary)
            if not os.path.lexists(temporary):
                return None
        except BaseException:
            trees.remove_quietly(temporary)
            raise
        trees.remove(path)
        trees.remove(f"{path}{_AS_IT_IS}")
        os.rename(temporary, path)
        if (artifact.get("archive") or {}).get("none") is not None and _key_of(location):
            self.budget.spend(trees.ENTRY_BYTES)
            layout.write_json(f"{path}{_AS_IT_IS}", _with_key(location, _key_of(location)))
        shown: Artifact = {key: artifact[key] for key in ("name", "path", "globalName") if key in artifact}
        return shown | location

    def _lay_down(self, entry: OutputEntry, path: str) -> None:
        """Write one entry of a container's output to a path at which nothing is. Raises OutputUnreadable."""
        if entry.name and any(part in ("", ".", "..") for part in entry.name.split("/")):
            raise OutputUnreadable(f"{entry.name!r} is not the name of an output")
        self.budget.spend(trees.ENTRY_BYTES)
        if entry.kind == "directory":
            os.mkdir(path)
        elif entry.kind == "link":
            os.symlink(entry.target, path)
        else:
            if not stat.S_ISREG(os.fstat(entry.descriptor).st_mode):
                raise OutputUnreadable(f"{entry.name!r} is not a regular file")
            writer = os.open(path, _WRITE, 0o600)
            try:
                self._copy_content(entry.descriptor, writer)
                # The owner reads it again; the container may have removed its own right to read it.
                os.fchmod(writer, entry.mode | 0o600)
            finally:
                os.close(writer)

    def _path(self, location: dict[str, Any]) -> str:
        text = json.dumps(_with_key(location, _key_of(location)), sort_keys=True)
        return os.path.join(self.directory, hashlib.sha256(text.encode()).hexdigest())


@contextlib.contextmanager
def _folders_made(target: str, parts: Sequence[str]) -> Iterator[int]:
    """Make missing directories below a path, without following links of an artifact.

    Raises `_NoFile` where another entry is in the way.
    """
    with contextlib.ExitStack() as opened:
        folder: int | None = None
        for part in (target, *parts):
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=folder)
                folder = trees.opened(part, folder)
            except OSError as error:
                raise _NoFile(f"{part} is not a directory") from error
            opened.callback(os.close, folder)
            os.fchmod(folder, 0o755)
        assert folder is not None
        yield folder


def _key_of(location: dict[str, Any]) -> str:
    """Return the key of an artifact in its store, without a last `/`; '' where it has none."""
    for store, field in _KEYS.items():
        key = (location.get(store) or {}).get(field)
        if key:
            return str(key).strip("/")
    return ""


def _with_key(location: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a location of the same store under another key."""
    return {
        store: {**place, _KEYS[store]: key} if key and store in _KEYS else place for store, place in location.items()
    }


def _next_data(file: int, start: int) -> int:
    try:
        return os.lseek(file, start, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _EndOfData from error
        raise
