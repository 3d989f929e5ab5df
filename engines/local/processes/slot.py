"""The init process of a sandbox: process 1 of its own process, network and mount namespaces.

It makes the containers of one pod after another, each with an init process of its own (`container_init.py`), and gets
reports of their ends. All of the sandbox dies with it, and it dies with the supervisor. Messages, each a JSON array:

from the supervisor                          to the supervisor
["go"]                                       ["pid", host process id] (from a process in between)
["start", {...}]                             ["ready"] with the listening sockets of the gateways
["signal", container, number]                ["exit", container, exit code, reason, message, whether nothing is left]
["read", container, path] with a socket      (see outputs.py)
["forget", container]
["close", whether to answer at once]         ["killed"], then ["closed", whether another pod may follow]
                                             ["failed", message]

Values that "start" omits are those of the last "start".
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import stat
from collections.abc import Iterator
from typing import Any

from engines.local import beneath
from engines.local.priority import level_session
from engines.local.processes import host_files, kernel, network, outputs, storage
from engines.local.processes.building import ViewBuilder
from engines.local.processes.census import Census
from engines.local.processes.cgroups import Group, Groups
from engines.local.processes.container_init import Confinement
from engines.local.processes.containers import Cage, Container
from engines.local.processes.identity import OwnerMaps
from engines.local.processes.outlets import Gathered, Output, Relay
from engines.local.processes.sandbox_plan import SandboxPlan
from engines.local.processes.view import Sight, View
from engines.local.processes.wire import Channel, keep_only

_SPACES = kernel.NEW_MOUNTS | kernel.NEW_NETWORK | kernel.NEW_IPC
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1"}
_DEVICE_LINKS["stderr"] = "/proc/self/fd/2"
# The defaults of container runtimes.
_SHARED_MEMORY_BYTES, _SHARED_MEMORY_MODE = 64 << 20, 0o1777
_MEMORY_PERIOD_MS = 50
# struct signalfd_siginfo
_SIGNAL_BYTES = 128
_FRESH_KEPT = 6
# EX_IOERR of sysexits.h: the program succeeded, but its output is lost.
_OUTPUT_LOST = 74
_KILLED = 128 + signal.SIGKILL


def enter(connection: socket.socket, plan: SandboxPlan) -> None:
    """Turn this forked process, the first of its process namespace, into the init process; does not return."""
    with _forked(connection) as channel:
        kernel.unshare(_SPACES)
        _run_init(channel, plan)


def enter_between(connection: socket.socket, plan: SandboxPlan) -> None:
    """Turn this process, forked by an ordinary user's supervisor, into the init process's parent; does not return.

    It is the first process of a user namespace, where such namespaces may be made; its child is the init process.
    """
    with _forked(connection) as channel:
        _enter_user_namespace()
        child = os.fork()
        if child:
            channel.send(["pid", child])
        else:
            _run_init(channel, plan)


@contextlib.contextmanager
def _forked(connection: socket.socket) -> Iterator[Channel]:
    """Keep only the connection open, end this process after the block, and report errors."""
    channel, status = Channel(connection), 1
    try:
        channel = keep_only(connection)
        yield channel
        status = 0
    except Exception as error:
        with contextlib.suppress(OSError):
            channel.send(["failed", f"{type(error).__name__}: {error}"])
    finally:
        os._exit(status)


def _enter_user_namespace() -> None:
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(_SPACES | kernel.NEW_PIDS | kernel.NEW_USER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def _run_init(channel: Channel, plan: SandboxPlan) -> None:
    # Where there is a process in between, the supervisor is this one's parent only after that has ended.
    while not channel.ended and next(channel.messages(), None) is None:
        channel.receive()
    gc.freeze()
    kernel.die_with_parent(signal.SIGKILL)
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # If SIGCHLD is ignored, ends of children cannot be read.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    level_session()
    os.umask(0o022)
    kernel.make_private()
    ways = network.parse_gateways(plan.gateways)
    _furnish(plan.directory, network.hosts_file(ways))
    network.raise_loopback()
    listeners = network.listen(ways)
    kernel.stay_unprivileged()
    channel.send(["ready"], [listener.fileno() for listener in listeners])
    for listener in listeners:
        listener.close()
    Init(channel, plan, len(listeners)).run()


def _show(source: str, target: str, read_only: bool = False) -> None:
    with kernel.Trees() as trees:
        kernel.place_tree(trees.take(source, target, read_only), target)


def _furnish(directory: str, hosts: str) -> None:
    """Make the parts that all views of this sandbox share: /proc, /dev and /etc/hosts."""
    for name in ("proc", "dev"):
        os.mkdir(f"{directory}/{name}")  # noqa: PTH102
    kernel.mount("proc", f"{directory}/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    dev = f"{directory}/dev"
    kernel.mount("tmpfs", dev, "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, "mode=755,size=64k")
    for name in _DEVICES:
        os.close(os.open(f"{dev}/{name}", os.O_WRONLY | os.O_CREAT, 0o644))
        _show(f"/dev/{name}", f"{dev}/{name}")
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"{dev}/{name}")  # noqa: PTH211
    for name in ("shm", "pts"):
        os.mkdir(f"{dev}/{name}")  # noqa: PTH102
    kernel.mount(
        "tmpfs",
        f"{dev}/shm",
        "tmpfs",
        kernel.MS_NOSUID | kernel.MS_NODEV,
        f"mode={_SHARED_MEMORY_MODE:o},size={_SHARED_MEMORY_BYTES}",
    )
    with contextlib.suppress(OSError):
        kernel.mount("devpts", f"{dev}/pts", "devpts", kernel.MS_NOSUID, "newinstance,ptmxmode=0666,mode=620")
        os.symlink("pts/ptmx", f"{dev}/ptmx")  # noqa: PTH211
    flags = kernel.MS_REMOUNT | kernel.MS_READ_ONLY | kernel.MS_NOSUID | kernel.MS_NOEXEC
    kernel.mount("tmpfs", dev, "tmpfs", flags, "mode=755,size=64k")
    for name, text in (("hosts", hosts), *host_files.ACCOUNTS.items()):
        descriptor = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


class Init:
    """Serves the supervisor's messages and its containers until the connection ends."""

    def __init__(self, channel: Channel, plan: SandboxPlan, listeners: int) -> None:
        directory = plan.directory
        self._channel = channel
        self._plan = plan
        self._proc = f"{directory}/proc"
        self._shared = f"{directory}/dev/shm"  # noqa: S108
        self._home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self._owners = OwnerMaps(self._proc, plan.user, plan.run)
        self._builder = ViewBuilder(directory, plan.readable, self._owners)
        self._census = Census(self._proc, self._shared, listeners)
        self._groups = Groups.here(plan.owner)
        self._order: dict[str, Any] = {}
        self._containers: dict[str, Container] = {}
        # Views that an earlier container left clean.
        self._fresh: list[Cage] = []
        self._views: list[View] = []
        self._poller = select.poll()
        self._talkers: dict[int, Cage] = {}
        self._relay = Relay(self._poller)
        self._gathered: Gathered | None = None
        self._ignored = kernel.ignored_signals()
        self._shared_unchanged = storage.Unchanged()

    def run(self) -> None:
        """Serve until the supervisor is gone or closes."""
        messages = self._channel.connection.fileno()
        self._poller.register(messages, select.POLLIN)
        self._serve_all()
        while not self._channel.ended:
            for descriptor, _ in self._poller.poll(self._pause()):
                if descriptor in self._talkers:
                    self._hear(self._talkers[descriptor])
                elif descriptor == messages:
                    self._channel.receive()
                    self._serve_all()
                else:
                    self._relay.serve(descriptor)
            self._relay.look()
            self._watch_memory()

    def _pause(self) -> float | None:
        pause = self._relay.pause()
        if any(one.limit is not None and one.running for one in self._containers.values()):
            return _MEMORY_PERIOD_MS if pause is None else min(pause, _MEMORY_PERIOD_MS)
        return pause

    def _serve_all(self) -> None:
        for message in self._channel.messages():
            self._serve(message)

    def _serve(self, message: list[Any]) -> None:
        verb, *rest = message
        if verb == "start":
            self._order.update(rest[0])
            self._start(self._order)
        elif verb == "signal":
            self._signal(*rest)
        elif verb == "read":
            self._read(*rest)
        elif verb == "forget":
            self._forget(*rest)
        elif verb == "close":
            self._close_pod(*rest)

    def _start(self, order: dict[str, Any]) -> None:
        if order["first"]:
            self._tidy()
        elif order["name"] in self._containers:
            self._give_back(self._containers[order["name"]])
        container = Container(order["name"], order["limit"])
        self._containers[container.name] = container
        try:
            gathered = self._gathered_in(order["gathered"])
            container.output = Output(order["stdout"], order["stderr"], gathered, order["log_limit"])
            for outlet in container.output.outlets:
                # Programs open /dev/stdout again.
                self._owners.own_descriptor(outlet.writer)
            cage = container.cage = self._cage_for(order)
            env = {"HOSTNAME": order["hostname"], **order["env"]} if order["hostname"] else order["env"]
            cage.start({"argv": order["argv"], "env": env, "cwd": order["cwd"]}, container.output)
            container.running = True
            for outlet in container.output.outlets:
                outlet.leave_writing()
            self._relay.add(container.output)
        except OSError as error:
            self._fail_start(container, f"its file system: {error}")

    def _gathered_in(self, path: str) -> Gathered | None:
        if path and (self._gathered is None or self._gathered.path != path):
            self._gathered = Gathered(path)
        return self._gathered if path else None

    def _cage_for(self, order: dict[str, Any]) -> Cage:
        """Return namespaces for a container: those of an earlier one that left nothing, or new ones."""
        limit = order["limit"]
        confinement = Confinement(self._plan.user, self._plan.most_processes, order["file_bytes"], self._ignored)
        with kernel.Trees() as trees:
            sight = Sight(order["cwd"], tuple(order["private"]), tuple(order["hidden"]), self._take(order, trees))
            cage = self._fresh_cage(sight, confinement, limit)
            if cage is None:
                group = self._group() if limit is not None else None
                cage = Cage(self._view_for(sight), trees, confinement, group)
                self._talkers[cage.channel.connection.fileno()] = cage
                self._poller.register(cage.channel.connection, select.POLLIN)
        if cage.group is not None:
            cage.group.limit(limit)
        return cage

    def _take(self, order: dict[str, Any], trees: kernel.Trees) -> tuple[tuple[str, bool], ...]:
        """Take a container's mounts from the host; return where each is to be, and whether it is a directory."""
        targets = []
        for source, target, read_only, below, as_owner in order["mounts"]:
            found = beneath.open_mount(source, below)
            try:
                tree = trees.take("", target, read_only, found)
            finally:
                os.close(found)
            kernel.forbid_devices(tree)
            if as_owner:
                self._owners.give(tree, source, read_only)
            targets.append((target, stat.S_ISDIR(os.fstat(tree).st_mode)))
        return tuple(targets)

    def _fresh_cage(self, sight: Sight, confinement: Confinement, limit: int | None) -> Cage | None:
        grouped = limit is not None and self._groups is not None
        for cage in self._fresh:
            if cage.view.sight == sight and cage.confinement == confinement and (cage.group is not None) == grouped:
                self._fresh.remove(cage)
                return cage
        return None

    def _group(self) -> Group | None:
        if self._groups is None:
            return None
        try:
            return self._groups.make()
        except OSError:
            # The control group is gone or full; then memory is counted here.
            self._groups = None
            return None

    def _view_for(self, sight: Sight) -> View:
        for view in self._views:
            if view.sight == sight:
                self._views.remove(view)
                return view
        try:
            view = self._builder.build(sight)
        finally:
            kernel.enter(self._home)
        view.remember()
        return view

    def _fail_start(self, container: Container, cause: str) -> None:
        container.running = False
        output, container.output = container.output, None
        for outlet in output.outlets if output else ():
            outlet.close()
        self._channel.send(["exit", container.name, 128, "StartError", cause, False])

    def _hear(self, cage: Cage) -> None:
        """Handle messages of a container's init process."""
        container = next((one for one in self._containers.values() if one.cage is cage), None)
        cage.channel.receive()
        for verb, value in cage.channel.messages():
            if container is None or not container.running:
                continue
            if verb == "failed":
                self._finish_relay(container)
                self._fail_start(container, value)
            else:
                self._ended(container, value)
        if cage.channel.ended:
            if container is not None and container.running:
                cage.end()
                self._ended(container, _KILLED)
            self._drop(cage)

    def _finish_relay(self, container: Container) -> None:
        if container.output is not None:
            self._relay.finish(container.output)

    def _drop(self, cage: Cage) -> None:
        """Release a container's namespaces and kill all processes in them."""
        descriptor = cage.channel.connection.fileno()
        if self._talkers.pop(descriptor, None) is not None:
            self._poller.unregister(descriptor)
        cage.end()
        cage.close()

    def _ended(self, container: Container, code: int) -> None:
        container.running = False
        reason = "Completed" if code == 0 else "Error"
        if container.over_limit or (code and self._was_exceeded(container)):
            code, reason = _KILLED, "OOMKilled"
        output, container.output = container.output, None
        problem = self._relay.finish(output) if output else ""
        if problem and not code:
            code, reason = _OUTPUT_LOST, "Error"
        self._channel.send(["exit", container.name, code, reason, problem, self._census.leaves_nothing()])

    @staticmethod
    def _was_exceeded(container: Container) -> bool:
        return container.cage is not None and container.cage.group is not None and container.cage.group.was_exceeded()

    def _signal(self, name: str, number: int) -> None:
        container = self._containers.get(name)
        if container is not None and container.running and container.cage is not None:
            container.cage.send(["signal", number])

    def _read(self, name: str, path: str) -> None:
        """Make a container's init process send the content of a path to a socket."""
        descriptor = self._channel.take_descriptors(1)[0]
        container = self._containers.get(name)
        if container is not None and container.cage is not None and not container.running:
            container.cage.send(["read", path], [descriptor])
            os.close(descriptor)
        else:
            # It never ran, so it left no output.
            outputs.send_nothing(socket.socket(fileno=descriptor))

    def _forget(self, name: str) -> None:
        container = self._containers.get(name)
        if container is not None and not container.running:
            del self._containers[name]
            self._give_back(container)

    def _watch_memory(self) -> None:
        for container in self._containers.values():
            if container.limit is None or not container.running or container.over_limit or container.cage is None:
                continue
            if container.cage.group is not None:
                exceeded = container.cage.group.was_exceeded()
            else:
                exceeded = self._census.memory(container.cage.pid, container.limit) > container.limit
            if exceeded:
                container.over_limit = True
                container.cage.send(["signal", int(signal.SIGKILL)])

    def _close_pod(self, answer: bool) -> None:
        for container in self._containers.values():
            if container.cage is not None:
                self._drop(container.cage)
        for container in self._containers.values():
            container.running = False
            self._finish_relay(container)
            container.output = None
        if answer:
            self._channel.send(["killed"])
        self._tidy()
        self._channel.send(["closed", self._census.leaves_nothing()])

    def _tidy(self) -> None:
        """Remove the files of the last pod's containers."""
        for container in self._containers.values():
            self._give_back(container)
        self._containers = {}
        if not self._shared_unchanged:
            storage.reset(self._shared, _SHARED_MEMORY_MODE)
            self._shared_unchanged.note([self._shared])

    def _give_back(self, container: Container) -> None:
        """Keep a container's namespaces for another one, or release them."""
        cage, container.cage = container.cage, None
        if cage is None:
            return
        if any(one.running for one in self._containers.values()):
            # Another container may have got a descriptor of a directory in it.
            self._drop(cage)
            with contextlib.suppress(OSError):
                cage.view.close()
            return
        stays = cage.pid and not cage.has_mounts
        if not stays:
            self._drop(cage)
        # Undeletable files stay until the sandbox ends; the next container gets another view.
        with contextlib.suppress(OSError):
            if not cage.view.renew():
                self._drop(cage)
                cage.view.close()
            elif stays:
                self._fresh.append(cage)
            else:
                self._views.append(cage.view)
            if len(self._fresh) > _FRESH_KEPT:
                oldest = self._fresh.pop(0)
                self._drop(oldest)
                self._views.append(oldest.view)
            if len(self._views) > _FRESH_KEPT:
                self._views.pop(0).close()
