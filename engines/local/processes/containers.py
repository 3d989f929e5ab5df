"""Starting a container's program from inside its view."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from engines.local.processes import kernel
from engines.local.processes.building import make_node
from engines.local.processes.outlets import Output
from engines.local.processes.view import Place, View

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class StartFailed(Exception):
    """A program cannot be started, for a reason of its own."""


class Container:
    """A container: `pid` is its first process inside the sandbox, 0 before it starts and when that has ended.

    `identity` names its mount namespace, `places` is what it sees where.
    """

    def __init__(self, name: str, limit: int | None) -> None:
        self.name = name
        self.limit = limit
        self.view: View | None = None
        self.output: Output | None = None
        self.pid = 0
        self.over_limit = False
        self.identity = ""
        self.places: list[Place] = []
        self.namespace = -1

    def leave(self) -> None:
        """Let go of the mount namespace of its own, if it has one."""
        if self.namespace >= 0:
            os.close(self.namespace)
            self.namespace = -1

    def enter(self, trees: kernel.Trees, sources: Mapping[str, str]) -> None:
        """Move this process into the container's view, with its mounts placed. Raises OSError."""
        view = self.view
        if view is None:
            raise ValueError("a container without a view")
        kernel.enter(view.descriptor)
        self.identity, self.places = view.identity, list(view.places)
        if not sources:
            return
        kernel.unshare(kernel.NEW_MOUNTS)
        for tree, target in trees:
            path = os.path.realpath(target)
            if not os.path.lexists(path):
                # It lies inside another mount, made a moment ago: the directory is made there, as kubelets do.
                os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
                make_node(path, stat.S_ISDIR(os.fstat(tree).st_mode))
            kernel.place_tree(tree, path)
            self.places.append(Place(path, sources[target]))
        # Held open: the kernel gives the number of a namespace that is gone to the next one made.
        self.namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self.identity = os.readlink("/proc/self/ns/mnt")  # noqa: PTH115


def run_program(
    container: Container, argv: list[str], env: Mapping[str, str], working_dir: str, ignored: list[int]
) -> None:
    """Start a container's program in the current mount namespace, writing to the container's output.

    It leads a process group of its own, reads nothing, and has the signals that are `ignored` here at their defaults:
    Python ignores some, and it would too. Raises StartFailed.
    """
    output = container.output
    assert output is not None
    if not argv:
        raise StartFailed("no command is given")
    try:
        os.chdir(working_dir)
    except OSError as error:
        raise StartFailed(f'working directory "{working_dir}": {error.strerror}') from error
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output.stdout.writer, 1),
        (os.POSIX_SPAWN_DUP2, output.stderr.writer, 2),
    ]
    path = _found(container, argv[0], env.get("PATH") or _DEFAULT_PATH)
    try:
        container.pid = os.posix_spawn(
            path, argv, env, file_actions=actions, setpgroup=0, setsigmask=(), setsigdef=ignored
        )
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise StartFailed(f'exec: "{argv[0]}": {cause}') from error


def _found(container: Container, program: str, search: str) -> str:
    """Return where a program lies on a search path. Raises StartFailed."""
    if "/" in program or not program:
        return program
    # As long as nothing is mounted into a view, the same programs are found in it: it is untouched when it is used.
    known = container.view.programs if container.view is not None and container.namespace < 0 else {}
    path = known.get((program, search))
    if path is None:
        paths = (f"{directory or '.'}/{program}" for directory in search.split(":"))
        path = next((path for path in paths if os.access(path, os.X_OK) and os.path.isfile(path)), None)  # noqa: PTH113
        if path is None:
            raise StartFailed(f'exec: "{program}": executable file not found in $PATH')
        known[program, search] = path
    return path
