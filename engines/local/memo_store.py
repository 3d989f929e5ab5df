"""The caches of `memoize`, for all Workflows of an engine: one folder per cache, one file per key.

A cache holds no more than a ConfigMap would; the oldest entries are dropped first. Artifacts lie in the folder of the
Workflow that made them, so outputs with artifacts are remembered within that Workflow only. The entries that a
supervisor has read are in its journal, so that the machine comes to the same nodes again.

Imported by the supervisor: it must load fast.
"""

# ruff: noqa: PTH103, PTH108, PTH116, PTH118, PTH120, PTH208

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import deque
from typing import Any

from engines.local import layout
from engines.local.interpreter.memos import Memo, Memos
from engines.local.journal import MEMO, Journal

MAX_CACHE_BYTES = 1 << 20


class MemoStore(Memos):
    """The caches below an engine's folder, as one Workflow sees them; `uid` is its own."""

    def __init__(self, root: str, namespace: str, uid: str, journal: Journal) -> None:
        super().__init__()
        self._root = os.path.join(root, layout.MEMOS)
        self._namespace = namespace
        self._uid = uid
        self._journal = journal
        # The entries that were found before, from the journal.
        self._told = deque(entry[2] for entry in journal.past if entry[1] == MEMO)

    def load(self, memo: Memo, now: float) -> dict[str, Any] | None:
        if self._told:
            told: dict[str, Any] | None = self._told.popleft()
            return told
        entry = layout.read_json(self._path(memo)) or {}
        found: dict[str, Any] | None = entry.get("outputs")
        if found is not None and memo.max_age is not None and now - entry["at"] > memo.max_age:
            found = None
        if found is not None and found.get("artifacts") and entry["uid"] != self._uid:
            found = None
        self._journal.write(now, MEMO, found)
        return found

    def save(self, memo: Memo, outputs: dict[str, Any], now: float) -> None:
        if self._told:
            return
        path = self._path(memo)
        entry = {"at": now, "uid": self._uid, "outputs": outputs}
        if len(json.dumps(entry)) > MAX_CACHE_BYTES:
            return
        # On a full disk nothing is cached.
        with contextlib.suppress(OSError, UnicodeEncodeError):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            layout.write_json(path, entry, 0o600)
            self._forget_the_oldest(os.path.dirname(path))

    def _path(self, memo: Memo) -> str:
        return os.path.join(self._root, _name_of(f"{self._namespace}/{memo.cache}"), _name_of(memo.key))

    @staticmethod
    def _forget_the_oldest(folder: str) -> None:
        files = []
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(os.path.join(folder, name))
                files.append((found.st_mtime_ns, found.st_size, name))
        left = sum(size for _, size, _ in files)
        for _, size, name in sorted(files):
            if left <= MAX_CACHE_BYTES:
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))
            left -= size


def _name_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
