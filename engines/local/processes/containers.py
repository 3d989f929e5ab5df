"""The containers of a sandbox, as its init process sees them: each in namespaces of its own, with a process 1."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Sequence
from typing import Any

from engines.local.processes import container_init, kernel
from engines.local.processes.cgroups import Group
from engines.local.processes.container_init import Confinement
from engines.local.processes.outlets import Output
from engines.local.processes.view import View
from engines.local.processes.wire import Channel


class Cage:
    """The process, user and mount namespaces of a container, held by its init process.

    It is reused for a later container with the same view: nothing of the first is left by then.
    """

    def __init__(self, view: View, trees: kernel.Trees, confinement: Confinement, group: Group | None) -> None:
        self.view = view
        self.confinement = confinement
        self.group = group
        self.has_mounts = any(True for _ in trees)
        self._order: dict[str, Any] = {}
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        self.channel.takes_descriptors = False
        try:
            with kernel.apart_from_now():
                self.pid = os.fork()
                if not self.pid:
                    container_init.enter(theirs, view.descriptor, trees, confinement)
        finally:
            theirs.close()
        if group is not None:
            group.add(self.pid)

    def start(self, order: dict[str, Any], output: Output) -> None:
        """Order the program started. Raises OSError. Only what differs from the last order is sent."""
        last, self._order = self._order, order
        changes = {key: value for key, value in order.items() if key not in last or last[key] != value}
        self.channel.send(["start", changes], [output.stdout.writer, output.stderr.writer])

    def send(self, message: Sequence[Any], descriptors: Sequence[int] = ()) -> None:
        """Send a message; the end of a gone process is noticed elsewhere."""
        if self.pid:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.channel.send(message, descriptors)

    def end(self) -> None:
        """Kill all that is in it, and wait until it is gone."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                # The kernel ends the first process of a namespace last.
                os.waitpid(self.pid, 0)
            self.pid = 0

    def close(self) -> None:
        """Release the resources of a cage whose processes are gone."""
        self.channel.close()
        if self.group is not None:
            self.group.remove()


class Container:
    """A container: `running` from its start until its program's end is reported."""

    def __init__(self, name: str, limit: int | None) -> None:
        self.name = name
        self.limit = limit
        self.cage: Cage | None = None
        self.output: Output | None = None
        self.running = False
        self.over_limit = False
