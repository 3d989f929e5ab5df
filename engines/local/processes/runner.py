"""Pods as sandboxes of Linux namespaces.

A sandbox (`slot.py`) outlives its pod: making and ending a network namespace costs milliseconds of the kernel's time,
so a sandbox whose last pod left nothing behind is given to the next one. Its init process does all work inside;
the supervisor only sends messages, relays gateways and listens.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from engines.local import layout
from engines.local.pods import ContainerExit, ContainerSpec, OutputEntry, PodRunner, PodSpec
from engines.local.processes import host_files, identity, kernel, outputs, storage
from engines.local.processes.network import Gateway, parse_gateways
from engines.local.processes.relay import Exchange, Switchboard
from engines.local.processes.sandbox_plan import SandboxPlan
from engines.local.processes.sandboxes import Pod, Sandbox, SandboxFailed

_GONE = "the pod's first process was killed"
_CLEANING_SECONDS = 0.02
_IDLE_KEPT = 8
_SPARE_DESCRIPTORS = 128


class ProcessPodRunner(PodRunner):
    """Runs pods as processes of this machine.

    `directory` is where sandboxes keep the files of containers; it is made when missing and removed by `close_all`.
    Containers see the machine's programs, the service's `own` paths, and `readable`. One container may have
    `most_processes`, threads included.
    """

    def __init__(self, directory: Path, own: Sequence[str], readable: Sequence[str], most_processes: int) -> None:
        self._directory = str(directory.absolute())
        self._readable = tuple(host_files.readable_paths(own, readable))
        self._most_processes = most_processes
        self._user = identity.high_id(self._directory) if kernel.is_privileged() else None
        os.makedirs(self._directory, mode=0o755, exist_ok=True)  # noqa: PTH103
        self._board = Switchboard()
        self._made = 0
        self._sandboxes: dict[Sandbox, tuple[str, ...]] = {}
        self._idle: dict[tuple[str, ...], list[Sandbox]] = {}
        self._pods: dict[str, Sandbox] = {}
        self._hidden: dict[str, list[str]] = {}
        self._ends: list[ContainerExit] = []
        self._resolved: dict[Gateway, tuple[str, int] | None] = {}
        # Readable as long as there are ends without a message.
        self._bell, self._ringer = socket.socketpair()
        self._board.watch(self._bell.fileno(), select.EPOLLIN, lambda _: None)

    def fileno(self) -> int:
        return self._board.epoll.fileno()

    def open(self, pod: PodSpec) -> None:
        """Make a pod's world. Raises SandboxFailed, ValueError for a gateway that is not host:port."""
        if pod.id in self._pods:
            raise ValueError(f"pod {pod.id!r} is already open")
        gateways = tuple(pod.gateways)
        idle = self._idle.get(gateways)
        if not idle:
            self._await_closing(gateways)
            idle = self._idle.get(gateways)
        sandbox = idle.pop() if idle else self._new_sandbox(gateways)
        sandbox.pod = Pod(pod.id)
        self._pods[pod.id] = sandbox
        self._hidden[pod.id] = [*(str(path) for path in pod.hidden_paths), self._directory]

    def _await_closing(self, texts: tuple[str, ...]) -> None:
        """Wait a moment for sandboxes that are being cleaned: that is cheaper than making another."""
        until = time.monotonic() + _CLEANING_SECONDS
        while not self._idle.get(texts):
            closing = [one for one, others in self._sandboxes.items() if one.closing and others == texts]
            left = until - time.monotonic()
            if not closing or left <= 0:
                return
            poller = select.poll()
            for sandbox in closing:
                poller.register(sandbox.channel.connection, select.POLLIN)
            poller.poll(left * 1000)
            for sandbox in closing:
                self._hear(sandbox)

    def _new_sandbox(self, texts: tuple[str, ...]) -> Sandbox:
        gateways = parse_gateways(texts)
        most = max(16, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_DESCRIPTORS) // 2)
        self._made += 1
        owner = f"{os.getpid()}-{self._made}"
        directory = f"{self._directory}/sandbox-{owner}"
        run = self._directory.rpartition("/")[0]
        plan = SandboxPlan(directory, run, texts, self._readable, self._user, self._most_processes, owner)
        sandbox = Sandbox(plan, gateways, Exchange(self._board, most))
        sandbox.connect_gateways([self._address(gateway) for gateway in gateways])
        self._sandboxes[sandbox] = texts
        self._board.watch(sandbox.channel.connection.fileno(), select.EPOLLIN, lambda _: self._hear(sandbox))
        return sandbox

    def _address(self, gateway: Gateway) -> tuple[str, int] | None:
        if gateway not in self._resolved:
            try:
                host, port = gateway.target
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                self._resolved[gateway] = (str(found[0][4][0]), port)
            except OSError:
                # The name may resolve later; until then connections are refused.
                return None
        return self._resolved[gateway]

    def start(self, pod_id: str, container: ContainerSpec) -> None:
        """Start a container. Raises KeyError for a pod that is not open; all else is reported by `poll`."""
        sandbox = self._pods[pod_id]
        pod = sandbox.pod
        if pod is None or container.name in pod.running:
            raise ValueError(f"container {container.name!r} is already running")
        pod.running.add(container.name)
        order = {
            "first": not pod.started,
            "name": container.name,
            "argv": container.argv,
            "env": container.env,
            "hostname": container.hostname,
            "cwd": container.working_dir,
            "private": container.private_paths,
            "hidden": self._hidden[pod_id],
            "mounts": [
                (str(one.source), one.target, one.read_only, one.below, one.as_owner) for one in container.mounts
            ],
            "limit": container.memory_limit_bytes,
            "file_bytes": container.file_size_limit_bytes,
            "log_limit": container.log_limit_bytes,
            "stdout": str(container.stdout),
            "stderr": str(container.stderr),
            "gathered": self._gathered(sandbox, container) if container.gathered else "",
        }
        pod.started, pod.clean = True, False
        try:
            if sandbox not in self._sandboxes:
                raise SandboxFailed(sandbox.failure or _GONE)
            sandbox.start(order)
        except OSError as error:
            self._end(sandbox, container.name, 128, "StartError", str(error))
            self._ring()

    @staticmethod
    def _gathered(sandbox: Sandbox, container: ContainerSpec) -> str:
        # One file for each sandbox: no other process writes to it.
        folder, name = str(container.stdout).rpartition("/")[0], sandbox.directory.rpartition("/")[2]
        return f"{folder}/{layout.GATHERED}{name}"

    def signal(self, pod_id: str, container: str, number: int) -> None:
        sandbox = self._pods[pod_id]
        if sandbox.pod is not None and container in sandbox.pod.running:
            sandbox.send(["signal", container, int(number)])

    def read(self, pod_id: str, container: str, path: str) -> Iterator[OutputEntry]:
        """Yield what a container left at a path. Raises KeyError for a pod that is not open, OutputUnreadable."""
        sandbox = self._pods[pod_id]
        ours, theirs = socket.socketpair()
        with theirs:
            sandbox.send(["read", container, path], [theirs.fileno()])
        return outputs.receive(ours)

    def forget(self, pod_id: str, container: str) -> None:
        sandbox = self._pods.get(pod_id)
        if sandbox is not None:
            sandbox.send(["forget", container])

    def storage(self, pod_id: str) -> Sequence[str]:
        sandbox = self._pods.get(pod_id)
        return (sandbox.directory,) if sandbox is not None else ()

    def poll(self) -> list[ContainerExit]:
        self._board.dispatch()
        for sandbox in list(self._sandboxes):
            if sandbox.inbox:
                self._take(sandbox)
        with contextlib.suppress(BlockingIOError):
            self._bell.recv(4096, socket.MSG_DONTWAIT)
        ends, self._ends = self._ends, []
        return ends

    def idle(self) -> int:
        """Return how many sandboxes wait for their next pod."""
        return sum(len(sandboxes) for sandboxes in self._idle.values())

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._ringer.send(b"!", socket.MSG_DONTWAIT)

    def _hear(self, sandbox: Sandbox) -> None:
        sandbox.receive()
        self._take(sandbox)
        if sandbox.channel.ended and sandbox in self._sandboxes:
            self._lose(sandbox)

    def _take(self, sandbox: Sandbox) -> None:
        messages, sandbox.inbox = sandbox.inbox, []
        for message in messages:
            if message[0] == "exit":
                self._end(sandbox, *message[1:5])
                if sandbox.pod is not None:
                    sandbox.pod.clean = message[5]
            elif message[0] == "closed" and sandbox.closing:
                self._closed(sandbox, message[1])

    def _end(self, sandbox: Sandbox, container: str, code: int, reason: str, message: str) -> None:
        pod = sandbox.pod
        if pod is not None and container in pod.running:
            pod.running.discard(container)
            self._ends.append(ContainerExit(pod.id, container, code, reason, message))

    def _lose(self, sandbox: Sandbox) -> None:
        """Report the containers of a sandbox that ended by itself, and discard the sandbox."""
        cause = sandbox.failure or _GONE
        for container in sorted(sandbox.pod.running) if sandbox.pod else ():
            reason, code = ("StartError", 128) if sandbox.failure else ("Error", 137)
            self._end(sandbox, container, code, reason, cause)
        self._destroy(sandbox)

    def close(self, pod_id: str) -> None:
        sandbox = self._pods.pop(pod_id, None)
        if sandbox is None:
            return
        self._hidden.pop(pod_id)
        pod, sandbox.pod = sandbox.pod, None
        self._ends = [end for end in self._ends if end.pod != pod_id]
        if sandbox not in self._sandboxes:
            return
        sandbox.break_connections()
        if pod is not None and not pod.running and pod.clean:
            # Its files are removed when the next pod comes.
            self._closed(sandbox, True)
            return
        sandbox.closing = True
        answer = sandbox.ask(["close", True], "killed")
        sandbox.inbox = [message for message in sandbox.inbox if message[0] == "closed"]
        if answer is None:
            self._destroy(sandbox)
        elif sandbox.inbox:
            self._ring()

    def _closed(self, sandbox: Sandbox, reusable: bool) -> None:
        sandbox.closing = False
        idle = self._idle.setdefault(self._sandboxes[sandbox], [])
        if reusable and len(idle) < _IDLE_KEPT:
            sandbox.break_connections()
            idle.append(sandbox)
        else:
            self._destroy(sandbox)

    def _destroy(self, sandbox: Sandbox) -> None:
        texts = self._sandboxes.pop(sandbox, ())
        with contextlib.suppress(ValueError):
            self._idle.get(texts, []).remove(sandbox)
        self._board.watch(sandbox.channel.connection.fileno(), 0, lambda _: None)
        sandbox.destroy()

    def close_all(self) -> None:
        """Close every pod and all sandboxes; the runner cannot be used afterwards."""
        if self._board.closed:
            return
        busy = [sandbox for sandbox in self._sandboxes if sandbox.pod is not None and sandbox.pod.running]
        for sandbox in busy:
            sandbox.send(["close", True])
        for sandbox in busy:
            # The earlier output of its containers is kept.
            sandbox.answer("killed")
        for sandbox in self._sandboxes:
            sandbox.kill()
        for sandbox in list(self._sandboxes):
            self._destroy(sandbox)
        self._pods, self._hidden, self._idle, self._ends = {}, {}, {}, []
        self._bell.close()
        self._ringer.close()
        self._board.close()
        storage.wipe(self._directory)
