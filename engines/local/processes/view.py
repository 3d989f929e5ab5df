"""A container's view of the file system: the host's programs below, what it writes in a directory of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from engines.local.processes import storage


@dataclass(frozen=True)
class Place:
    """A path inside (`target`) and the path on the host that it shows (`source`).

    `see_through`: what is missing in `source` is the host's own file at that path.
    """

    target: str
    source: str
    see_through: bool = False


@dataclass(frozen=True)
class Sight:
    """What a container wants to see, but for what is mounted: `targets` are the (path, is directory) of its mounts."""

    working_dir: str
    private_paths: tuple[str, ...]
    hidden_paths: tuple[str, ...]
    targets: tuple[tuple[str, bool], ...] = ()


@dataclass
class View:
    """A built view: its mount namespace, its directory on the host, and what lies where.

    One container uses it at a time; its own mounts are made in a copy of the namespace.
    """

    sight: Sight
    directory: str
    places: list[Place] = field(default_factory=list)
    descriptor: int = -1
    identity: str = ""
    fresh: list[storage.Entry] = field(default_factory=list)

    def remember(self) -> None:
        """Note what lies in its directory before a container has run in it."""
        self.fresh = self._contents()

    def renew(self) -> bool:
        """Make it as it was built; return False if something was written that cannot be taken back.

        What lies in an overlay's upper directory must not be deleted under the overlay.
        """
        if self._contents() == self.fresh:
            return True
        for place in self.places:
            if not place.see_through and os.path.isdir(place.source):  # noqa: PTH112
                inside = place.source.removeprefix(f"{self.directory}/private")
                fresh = (path for path, *_ in self.fresh if path.startswith(f"{inside}/"))
                storage.clear(place.source, frozenset(path.removeprefix(inside) for path in fresh))
        return self._contents() == self.fresh

    def _contents(self) -> list[storage.Entry]:
        # The overlay's own work directory says nothing about what a container did.
        return [*storage.contents(f"{self.directory}/root"), *storage.contents(f"{self.directory}/private")]

    def close(self) -> None:
        """Let the namespace go and delete what was written."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        storage.wipe(self.directory)
