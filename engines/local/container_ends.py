"""Tell the containers of a pod which of them have ended, and how.

Argo's executor uses folders that are named after the containers (/var/run/argo/ctr); here no file of this
machine is named by a manifest. So each container of a pod with several finds one file, `containers.json`, in a
read-only mount: the name of each container with its exit code, null for one that has not ended.
"""

# ruff: noqa: PTH118

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from engines.local import beneath
from engines.local.pods import Mount

PATH = "/var/run/orchestrator"
_ENDS, _FILE, _NEW = "ends", "containers.json", "new"
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class ContainerEnds:
    """The ends of one pod's containers, below its `directory`."""

    def __init__(self, directory: str, names: Sequence[str]) -> None:
        self._directory = directory
        self._codes: dict[str, int | None] = dict.fromkeys(names)

    def prepare(self) -> None:
        """Write down that all containers have yet to end. Raises OSError."""
        folder = os.open(self._directory, _FOLDER)
        try:
            os.close(beneath.make_directories(folder, [_ENDS], 0o755))
        finally:
            os.close(folder)
        self._write()

    @property
    def mount(self) -> Mount:
        return Mount(Path(self._directory, _ENDS), PATH, read_only=True, as_owner=False)

    def tell(self, name: str, code: int) -> None:
        """Write down how a container ended; on a full disk this is skipped."""
        if self._codes.get(name, 0) is None:
            self._codes[name] = code
            with contextlib.suppress(OSError):
                self._write()

    def _write(self) -> None:
        folder = os.open(os.path.join(self._directory, _ENDS), _FOLDER)
        try:
            with contextlib.suppress(FileNotFoundError):
                # Left by an interrupted try.
                os.unlink(_NEW, dir_fd=folder)
            beneath.make_file(folder, [_NEW], json.dumps(self._codes).encode(), 0o644)
            os.rename(_NEW, _FILE, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.close(folder)
