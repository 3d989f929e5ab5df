"""The init process of a sandbox: process 1 of its own process, network and mount namespaces.

It starts the containers of one pod after another and reaps whatever ends. All of the sandbox dies with it, and it dies
with the supervisor. Messages, each a JSON array:

from the supervisor                          to the supervisor
["go"]                                       ["pid", host process id] (from a process in between)
["start", {...}]                             ["ready"] with the listening sockets of the gateways
["signal", container, number]                ["exit", container, exit code, reason, message, whether nothing is left]
["where", container]                         ["places", container, [[target, source, see through], ...]]
["close", whether to answer at once]         ["killed"], then ["closed", whether another pod may follow]
                                             ["failed", message]

What "start" does not say is as in the "start" before it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import stat
from collections.abc import Iterator, Sequence
from typing import Any

from engines.local.priority import level_session
from engines.local.processes import kernel, network, storage
from engines.local.processes.building import ViewBuilder
from engines.local.processes.census import Census
from engines.local.processes.containers import Container, StartFailed, run_program
from engines.local.processes.outlets import Gathered, Output, Relay
from engines.local.processes.view import Sight, View
from engines.local.processes.wire import Channel

_CHANNEL = 3
_SPACES = kernel.NEW_MOUNTS | kernel.NEW_NETWORK | kernel.NEW_IPC
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1"}
_DEVICE_LINKS["stderr"] = "/proc/self/fd/2"
# Files through which root could change the whole machine without any capability.
_GUARDED = ("sys", "irq", "bus", "fs", "sysrq-trigger")
_MEMORY_PERIOD_MS = 50
# struct signalfd_siginfo
_SIGNAL_BYTES = 128
_FRESH_VIEWS_KEPT = 6
# EX_IOERR of sysexits.h: what a program did well, but what it said is lost.
_OUTPUT_LOST = 74


def enter(connection: socket.socket, directory: str, gateways: Sequence[str]) -> None:
    """Turn this forked process, the first of its process namespace, into the init process; does not return."""
    with _forked(connection) as channel:
        kernel.unshare(_SPACES)
        _run_init(channel, directory, gateways, layers=True)


def enter_between(connection: socket.socket, directory: str, gateways: Sequence[str]) -> None:
    """Turn this process, forked by an ordinary user's supervisor, into the init process's parent; does not return.

    It is the first of a user namespace, where such namespaces may be made; its own child is the init process.
    """
    with _forked(connection) as channel:
        _enter_user_namespace()
        child = os.fork()
        if child:
            channel.send(["pid", child])
        else:
            # A user namespace may not layer over the root: that would show what is mounted below other mounts.
            _run_init(channel, directory, gateways, layers=False)


@contextlib.contextmanager
def _forked(connection: socket.socket) -> Iterator[Channel]:
    """Hold on to the connection alone, end this process after what is done inside, and say what failed."""
    channel, status = Channel(connection), 1
    try:
        channel = _keep_only(connection)
        yield channel
        status = 0
    except Exception as error:
        with contextlib.suppress(OSError):
            channel.send(["failed", f"{type(error).__name__}: {error}"])
    finally:
        os._exit(status)


def _keep_only(connection: socket.socket) -> Channel:
    """Close every descriptor inherited from the supervisor but the connection and stderr."""
    os.dup2(connection.fileno(), _CHANNEL, inheritable=False)
    os.closerange(_CHANNEL + 1, max(map(int, os.listdir("/proc/self/fd"))) + 1)  # noqa: PTH208 - pathlib is slow to import
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return Channel(socket.socket(fileno=_CHANNEL))


def _enter_user_namespace() -> None:
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(_SPACES | kernel.NEW_PIDS | kernel.NEW_USER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def _run_init(channel: Channel, directory: str, gateways: Sequence[str], layers: bool) -> None:
    # Where there is a process in between, the supervisor is this one's parent only after that has ended.
    while not channel.ended and next(channel.messages(), None) is None:
        channel.receive()
    gc.freeze()
    kernel.die_with_parent(signal.SIGKILL)
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Where it is ignored, the ends of children leave nothing to read.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    level_session()
    os.umask(0o022)
    kernel.make_private()
    ways = network.parse_gateways(gateways)
    _furnish(directory, network.hosts_file(ways))
    network.raise_loopback()
    listeners = network.listen(ways)
    kernel.limit_privileges()
    channel.send(["ready"], [listener.fileno() for listener in listeners])
    for listener in listeners:
        listener.close()
    Init(channel, directory, len(listeners), layers).run()


def _show(source: str, target: str, read_only: bool = False) -> None:
    with kernel.Trees() as trees:
        kernel.place_tree(trees.take(source, target, read_only), target)


def _furnish(directory: str, hosts: str) -> None:
    """Make the parts that all views of this sandbox share: /proc, /dev and /etc/hosts."""
    for name in ("proc", "dev"):
        os.mkdir(f"{directory}/{name}")  # noqa: PTH102
    kernel.mount("proc", f"{directory}/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    for name in _GUARDED:
        with contextlib.suppress(FileNotFoundError):
            _show(f"{directory}/proc/{name}", f"{directory}/proc/{name}", read_only=True)
    dev = f"{directory}/dev"
    kernel.mount("tmpfs", dev, "tmpfs", kernel.MS_NOSUID | kernel.MS_NOEXEC, "mode=755,size=64k")
    for name in _DEVICES:
        os.close(os.open(f"{dev}/{name}", os.O_WRONLY | os.O_CREAT, 0o644))
        _show(f"/dev/{name}", f"{dev}/{name}")
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"{dev}/{name}")  # noqa: PTH211
    for name in ("shm", "pts"):
        os.mkdir(f"{dev}/{name}")  # noqa: PTH102
    kernel.mount("tmpfs", f"{dev}/shm", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=1777")
    with contextlib.suppress(OSError):
        kernel.mount("devpts", f"{dev}/pts", "devpts", kernel.MS_NOSUID, "newinstance,ptmxmode=0666,mode=620")
        os.symlink("pts/ptmx", f"{dev}/ptmx")  # noqa: PTH211
    flags = kernel.MS_REMOUNT | kernel.MS_READ_ONLY | kernel.MS_NOSUID | kernel.MS_NOEXEC
    kernel.mount("tmpfs", dev, "tmpfs", flags, "mode=755,size=64k")
    if hosts:
        descriptor = os.open(f"{directory}/hosts", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, hosts.encode())
        os.close(descriptor)


class Init:
    """Serves the supervisor's messages and its own children until the connection ends."""

    def __init__(self, channel: Channel, directory: str, listeners: int, layers: bool) -> None:
        self._channel = channel
        self._channel.takes_descriptors = False
        self._directory = directory
        self._home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        self._builder = ViewBuilder(directory, layers=layers)
        self._census = Census(f"{directory}/proc", listeners)
        self._order: dict[str, Any] = {}
        self._containers: dict[str, Container] = {}
        self._fresh: list[View] = []
        self._poller = select.poll()
        self._relay = Relay(self._poller)
        self._gathered: Gathered | None = None
        self._ignored = kernel.ignored_signals()
        self._shared_unchanged = storage.Unchanged()

    def run(self) -> None:
        """Serve until the supervisor is gone or says so."""
        ends = kernel.signal_descriptor(signal.SIGCHLD)
        messages = self._channel.connection.fileno()
        self._poller.register(messages, select.POLLIN)
        self._poller.register(ends, select.POLLIN)
        self._serve_all()
        while not self._channel.ended:
            for descriptor, _ in self._poller.poll(self._pause()):
                if descriptor == ends:
                    os.read(ends, _SIGNAL_BYTES)
                    self._reap()
                elif descriptor == messages:
                    self._channel.receive()
                    self._serve_all()
                else:
                    self._relay.serve(descriptor)
            self._relay.look()
            self._watch_memory()

    def _pause(self) -> float | None:
        pause = self._relay.pause()
        if any(one.limit is not None and one.pid for one in self._containers.values()):
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
        elif verb == "where":
            self._channel.send(["places", rest[0], self._places(rest[0])])
        elif verb == "close":
            self._close_pod(*rest)

    def _places(self, name: str) -> list[list[Any]]:
        container = self._containers.get(name)
        return [[place.target, place.source, place.see_through] for place in container.places] if container else []

    def _start(self, order: dict[str, Any]) -> None:
        if order["first"]:
            self._tidy()
        elif order["name"] in self._containers:
            self._give_back(self._containers[order["name"]])
        container = Container(order["name"], order["limit"])
        self._containers[container.name] = container
        try:
            gathered = self._gathered_in(order["gathered"])
            output = container.output = Output(order["stdout"], order["stderr"], gathered, order["log_limit"])
            self._enter_view(container, order)
            env = {"HOSTNAME": order["hostname"], **order["env"]} if order["hostname"] else order["env"]
            run_program(container, order["argv"], env, order["cwd"], self._ignored)
            for outlet in output.outlets:
                outlet.leave_writing()
            self._relay.add(output)
        except StartFailed as error:
            self._fail_start(container, str(error))
        except OSError as error:
            self._fail_start(container, f"its file system: {error}")
        finally:
            kernel.enter(self._home)

    def _gathered_in(self, path: str) -> Gathered | None:
        if path and (self._gathered is None or self._gathered.path != path):
            self._gathered = Gathered(path)
        return self._gathered if path else None

    def _enter_view(self, container: Container, order: dict[str, Any]) -> None:
        with kernel.Trees() as trees:
            targets = [
                (target, stat.S_ISDIR(os.fstat(trees.take(source, target, read_only)).st_mode))
                for source, target, read_only in order["mounts"]
            ]
            sight = Sight(order["cwd"], tuple(order["private"]), tuple(order["hidden"]), tuple(targets))
            container.view = self._view_for(sight)
            container.enter(trees, {target: source for source, target, _ in order["mounts"]})

    def _fail_start(self, container: Container, cause: str) -> None:
        for outlet in container.output.outlets if container.output else ():
            outlet.close()
        self._channel.send(["exit", container.name, 128, "StartError", cause, False])

    def _view_for(self, sight: Sight) -> View:
        for view in self._fresh:
            if view.sight == sight:
                self._fresh.remove(view)
                return view
        try:
            view = self._builder.build(sight)
        finally:
            kernel.enter(self._home)
        view.remember()
        return view

    def _reap(self) -> None:
        ended: list[tuple[Container, int]] = []
        alone = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                alone = True
                break
            if not pid:
                break
            ended.extend((one, status) for one in self._containers.values() if one.pid == pid)
        for container, status in ended:
            self._ended(container, status, alone)

    def _ended(self, container: Container, status: int, alone: bool) -> None:
        container.pid = 0
        code = os.waitstatus_to_exitcode(status)
        code = 128 - code if code < 0 else code
        reason = "Completed" if code == 0 else "Error"
        if container.over_limit:
            code, reason = 137, "OOMKilled"
        clean = alone and self._census.leaves_nothing()
        if not clean:
            self._census.kill(container.identity)
        problem = self._finish_output(container)
        if problem and not code:
            code, reason = _OUTPUT_LOST, "Error"
        self._channel.send(["exit", container.name, code, reason, problem, clean])

    def _finish_output(self, container: Container) -> str:
        output, container.output = container.output, None
        return self._relay.finish(output) if output else ""

    def _signal(self, name: str, number: int) -> None:
        container = self._containers.get(name)
        if container is None or not container.pid:
            return
        if number == signal.SIGKILL:
            self._census.kill(container.identity)
        else:
            self._census.signal(container.identity, number)

    def _watch_memory(self) -> None:
        for container in self._containers.values():
            if container.limit is None or not container.pid or container.over_limit:
                continue
            if self._census.memory(container.identity, container.limit) > container.limit:
                container.over_limit = True
                self._census.kill(container.identity)

    def _close_pod(self, answer: bool) -> None:
        self._kill_all()
        for container in self._containers.values():
            self._finish_output(container)
        if answer:
            self._channel.send(["killed"])
        self._tidy()
        self._channel.send(["closed", self._census.leaves_nothing()])

    def _tidy(self) -> None:
        """Take away what the containers of the last pod wrote."""
        for container in self._containers.values():
            self._give_back(container)
        self._containers = {}
        shared = f"{self._directory}/dev/shm"  # noqa: S108
        if not self._shared_unchanged:
            storage.clear(shared)
            self._shared_unchanged.note([shared])

    def _give_back(self, container: Container) -> None:
        """Keep a container's view for another one, or delete it."""
        view, container.view = container.view, None
        container.leave()
        # What cannot be deleted stays until the sandbox goes; the next container gets another view.
        with contextlib.suppress(OSError):
            if view is not None and view.renew():
                self._fresh.append(view)
            elif view is not None:
                view.close()
            if len(self._fresh) > _FRESH_VIEWS_KEPT:
                self._fresh.pop(0).close()

    @staticmethod
    def _kill_all() -> None:
        while True:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return
