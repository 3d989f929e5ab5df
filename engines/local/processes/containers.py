"""Starting a container's program from inside its view."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Mapping, Sequence

from engines.local.processes import kernel
from engines.local.processes.building import make_node
from engines.local.processes.outlets import Output
from engines.local.processes.view import Place, View

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Python and the supervisor ignore or handle some; a program expects them at their defaults.
_DEFAULT_SIGNALS = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


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


def run_program(argv: Sequence[str], env: Mapping[str, str], working_dir: str, output: Output) -> int:
    """Start a program in the current mount namespace, writing to `output`; return its process id.

    It leads a process group of its own and reads nothing. Raises StartFailed.
    """
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
    try:
        # The program is looked up on the path of whoever starts it.
        os.environ["PATH"] = env.get("PATH") or _DEFAULT_PATH
        return os.posix_spawnp(
            argv[0], list(argv), env, file_actions=actions, setpgroup=0, setsigmask=(), setsigdef=_DEFAULT_SIGNALS
        )
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, FileNotFoundError) and argv[0] and "/" not in argv[0]:
            cause = "executable file not found in $PATH"
        raise StartFailed(f'exec: "{argv[0]}": {cause}') from error
