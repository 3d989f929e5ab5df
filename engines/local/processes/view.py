"""A container's view of the file system: what it may read of the host, and directories of its own."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from engines.local.processes import storage


class Place(NamedTuple):
    """A path inside (`target`) where directories of the sandbox are seen (`source`).

    `layered`: `source` is the upper directory of an overlay, so nothing in it may be deleted as long as that is there.
    """

    target: str
    source: str
    layered: bool = False


class Sight(NamedTuple):
    """What a container wants to see, but for what is mounted: `targets` are the (path, is directory) of its mounts."""

    working_dir: str
    private_paths: tuple[str, ...]
    hidden_paths: tuple[str, ...]
    targets: tuple[tuple[str, bool], ...] = ()


class View:
    """A built view: its mount namespace, its directory on the host, and what lies where.

    One container uses it at a time; its own mounts are made in a copy of the namespace.
    """

    def __init__(self, sight: Sight, directory: str) -> None:
        self.sight = sight
        self.directory = directory
        self.places: list[Place] = []
        self.descriptor = -1
        self.fresh: list[storage.Entry] = []
        self._unchanged = storage.Unchanged()

    def remember(self) -> None:
        """Note what lies in its directory before a container has run in it."""
        self.fresh = self._contents()

    def _is_untouched(self) -> bool:
        """Tell whether all is as it was built."""
        if self._unchanged:
            return True
        contents = self._contents()
        if contents != self.fresh:
            return False
        self._unchanged.note(f"{self.directory}/{path}" for path, mode, *_ in contents if stat.S_ISDIR(mode))
        return True

    def renew(self) -> bool:
        """Make it as it was built; return False if something was written that cannot be taken back."""
        try:
            return self._renew()
        except (OSError, storage.TooMuch):
            return False

    def _renew(self) -> bool:
        if self._is_untouched():
            return True
        for place in self.places:
            if not place.layered and os.path.isdir(place.source):  # noqa: PTH112
                inside = place.source.removeprefix(f"{self.directory}/")
                fresh = (path for path, *_ in self.fresh if path.startswith(f"{inside}/"))
                storage.clear(place.source, frozenset(path.removeprefix(inside) for path in fresh))
        return self._is_untouched()

    def _contents(self) -> list[storage.Entry]:
        # The overlay's own work directory says nothing about what a container did.
        return [*storage.contents(self.directory, "root"), *storage.contents(self.directory, "private")]

    def close(self) -> None:
        """Let the namespace go and delete what was written."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        storage.wipe(self.directory)
