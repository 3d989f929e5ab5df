"""A container's view of the file system: readable paths of the host, and its own directories."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from engines.local.processes import storage


class Place(NamedTuple):
    """A path inside (`target`) where a directory of the sandbox (`source`) is visible.

    `layered`: `source` is the upper directory of an overlay, so nothing in it may be deleted as long as that is there.
    """

    target: str
    source: str
    layered: bool = False


class Sight(NamedTuple):
    """The parameters of a view: `targets` are the (path, is directory) of its mounts."""

    working_dir: str
    private_paths: tuple[str, ...]
    hidden_paths: tuple[str, ...]
    targets: tuple[tuple[str, bool], ...] = ()


class View:
    """A built view: its mount namespace, its directory on the host, and its places.

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
        """Record the content of its directory before a container has run in it."""
        self.fresh = self._contents()

    def _is_untouched(self) -> bool:
        """Return whether it is unchanged since it was built."""
        if self._unchanged:
            return True
        contents = self._contents()
        if contents != self.fresh:
            return False
        self._unchanged.note(f"{self.directory}/{path}" for path, mode, *_ in contents if stat.S_ISDIR(mode))
        return True

    def renew(self) -> bool:
        """Restore it as it was built; return False if a change cannot be undone."""
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
        # The overlay's own work directory shows no changes of a container.
        return [*storage.contents(self.directory, "root"), *storage.contents(self.directory, "private")]

    def close(self) -> None:
        """Release the namespace and delete the written files."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        storage.wipe(self.directory)
