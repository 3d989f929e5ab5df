"""Which containers of a pod have ended, told to the others of the pod as Argo's executor tells it.

Below `/var/run/argo/ctr` each container of a pod with several has a folder of its name, and in it `exitcode` once it
has ended (cmd/argoexec/commands/emissary.go). Here it is a read-only mount: no container ends another by a file.
"""

# ruff: noqa: PTH118

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from engines.local import beneath
from engines.local.pods import Mount

PATH = "/var/run/argo"
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class ContainerEnds:
    """The ends of one pod's containers, below its `directory`; their names were checked to be labels."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._told: set[str] = set()

    def prepare(self, names: Sequence[str]) -> None:
        """Make the folders of a pod's containers. Raises OSError."""
        folder = os.open(self._directory, _FOLDER)
        try:
            for name in names:
                os.close(beneath.make_directories(folder, ["argo", "ctr", name], 0o755))
        finally:
            os.close(folder)

    @property
    def mount(self) -> Mount:
        return Mount(Path(self._directory, "argo"), PATH, read_only=True, as_owner=False)

    def tell(self, name: str, code: int) -> None:
        """Write down how a container ended; on a disk that is full nobody learns of it here."""
        if name in self._told:
            return
        self._told.add(name)
        with contextlib.suppress(OSError):
            folder = os.open(os.path.join(self._directory, "argo"), _FOLDER)
            try:
                beneath.make_file(folder, ["ctr", name, "exitcode"], str(code).encode(), 0o644)
            finally:
                os.close(folder)
