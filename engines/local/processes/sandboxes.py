"""One sandbox as the supervisor sees it: its init process, its connection and its gateways."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

from engines.local.processes import kernel, slot, storage
from engines.local.processes.cgroups import Groups
from engines.local.processes.network import Gateway
from engines.local.processes.relay import Exchange
from engines.local.processes.sandbox_plan import SandboxPlan
from engines.local.processes.wire import Channel

_ANSWER_SECONDS = 20.0


class SandboxFailed(OSError):
    """The init process of a sandbox could not be started or is gone."""


class Pod:
    """The state of an open pod.

    `running` are its containers that have not been reported as ended; `clean`: no process or socket of it is left.
    """

    def __init__(self, pod_id: str) -> None:
        self.id = pod_id
        self.running: set[str] = set()
        self.started = False
        self.clean = True


class Sandbox:
    """A set of namespaces with its init process; serves one pod at a time, one after another."""

    def __init__(self, plan: SandboxPlan, gateways: Sequence[Gateway], exchange: Exchange) -> None:
        self.directory = directory = plan.directory
        self.pod: Pod | None = None
        self.closing = False
        self.failure = ""
        self.reusable = True
        self.inbox: list[list[Any]] = []
        self._gateways = gateways
        self._addresses: list[tuple[str, int] | None] = []
        self._exchange = exchange
        self._order: dict[str, Any] = {}
        self._groups = Groups.here(plan.owner)
        self._pid = 0
        os.mkdir(directory, 0o755)  # noqa: PTH102
        ours, theirs = socket.socketpair()
        # Not settimeout: that would also wait in a non-blocking read.
        limit = struct.pack("ll", int(_ANSWER_SECONDS), 0)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self.channel = Channel(ours)
        try:
            if kernel.is_privileged():
                self._fork(theirs, plan)
            else:
                self._fork_between(theirs, plan)
        finally:
            theirs.close()
        self.channel.send(["go"])

    def _fork(self, connection: socket.socket, plan: SandboxPlan) -> None:
        with kernel.apart_from_now():
            self._pid = os.fork()
            if not self._pid:
                slot.enter(connection, plan)

    def _fork_between(self, connection: socket.socket, plan: SandboxPlan) -> None:
        before = kernel.adopt_orphans(True)
        try:
            between = os.fork()
            if not between:
                slot.enter_between(connection, plan)
            connection.close()
            os.waitpid(between, 0)
        finally:
            kernel.adopt_orphans(before)
        self._pid = self._first_answer()

    def _first_answer(self) -> int:
        while not self.channel.ended:
            self.channel.receive()
            for verb, value in self.channel.messages():
                if verb == "pid":
                    return int(value)
                self.failure = str(value)
        self.destroy()
        raise SandboxFailed(self.failure or "the sandbox's process ended at once")

    def connect_gateways(self, addresses: Sequence[tuple[str, int] | None]) -> None:
        """Set the target of each gateway; connections are relayed once the sandbox listens."""
        self._addresses = list(addresses)

    def send(self, message: Sequence[Any], descriptors: Sequence[int] = ()) -> None:
        """Send a message; the end of a sandbox is noticed when its connection is read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.channel.send(message, descriptors)

    def start(self, order: dict[str, Any]) -> None:
        """Order a container started. Most orders are alike: only what differs from the last one is sent."""
        last, self._order = self._order, order
        self.send(["start", {key: value for key, value in order.items() if key not in last or last[key] != value}])

    def receive(self) -> None:
        """Read what has arrived into `inbox`, without waiting."""
        self.channel.receive(wait=False)
        for message in self.channel.messages():
            if message[0] == "ready":
                self._open_gateways()
            elif message[0] == "failed":
                self.failure = str(message[1])
            else:
                self.inbox.append(message)

    def _open_gateways(self) -> None:
        descriptors = self.channel.take_descriptors(len(self._gateways))
        self.channel.takes_descriptors = False
        for descriptor, address in zip(descriptors, self._addresses, strict=True):
            self._exchange.add(socket.socket(fileno=descriptor), address)

    def ask(self, message: Sequence[Any], answer: str) -> list[Any] | None:
        """Send a message and wait for its answer; None when the sandbox is gone. Other messages stay in `inbox`."""
        self.send(message)
        return self.answer(answer)

    def answer(self, answer: str) -> list[Any] | None:
        """Wait for the answer to a message that was sent, like `ask`."""
        until = time.monotonic() + _ANSWER_SECONDS
        while True:
            for received in self.inbox:
                if received[0] == answer:
                    self.inbox.remove(received)
                    return received
            left = until - time.monotonic()
            if self.channel.ended or left <= 0:
                return None
            poller = select.poll()
            poller.register(self.channel.connection, select.POLLIN)
            poller.poll(left * 1000)
            self.receive()

    def break_connections(self) -> None:
        """Reset every connection through the gateways."""
        self._exchange.reset()

    def kill(self) -> None:
        """Kill the init process, and so everything inside."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    def destroy(self) -> None:
        """Kill everything inside and delete the sandbox's directory."""
        self._exchange.close()
        if self._pid:
            self.kill()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._pid = 0
        self.channel.close()
        if self._groups is not None:
            self._groups.clear()
        storage.wipe(self.directory)
