"""Process 1 of one container: starts its program, ends everything with it, and reads its outputs.

The process is forked by the sandbox's init process into a process namespace of its own. It enters the container's view,
mounts `/proc` there, becomes the container's user and gives up all rights: from then on it may do no more than the
program itself, which can neither signal nor inspect it. Messages, each a JSON array:

from the sandbox's init process                   to it
["start", {...}] with its stdout and stderr       ["failed", why] or, in the end,
["signal", number]                                ["exit", exit code]
["read", path] with a socket                      (see outputs.py)

Values that "start" omits are those of the last "start". When a program has ended, all its processes are gone before
the message says so.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
from typing import Any, NamedTuple, NoReturn

from engines.local.processes import identity, kernel, outputs
from engines.local.processes.building import place_mounts
from engines.local.processes.seccomp import container_filter
from engines.local.processes.wire import Channel, keep_only

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Files of /proc about more than the container: keys of the service's user, the kernel's command line, addresses
# of the kernel, hardware.
_MASKED = (
    "/proc/keys", "/proc/key-users", "/proc/cmdline", "/proc/config.gz", "/proc/interrupts", "/proc/iomem",
    "/proc/ioports", "/proc/kallsyms", "/proc/latency_stats", "/proc/locks", "/proc/sched_debug", "/proc/timer_list",
)  # fmt: skip
# Descriptors in messages are counted for all processes of a user, against the sender's limit. So a
# container may have half as many as this process, which must be able to send its own.
_MOST_DESCRIPTORS = 1 << 14
# struct signalfd_siginfo
_SIGNAL_BYTES = 128
# When memory runs out, the kernel kills programs of containers first, and this process, which reports them, later.
_PROGRAM_GOES_FIRST, _AS_ANY_OTHER = b"800", b"0"


class StartFailed(Exception):
    """A program cannot be started, for a reason of its own."""


class Confinement(NamedTuple):
    """The limits of a container.

    `user`: the id outside, None for the service's own; `most_processes` counts threads; `file_bytes` is the longest
    file it may write.
    """

    user: int | None
    most_processes: int
    file_bytes: int | None
    ignored_signals: list[int]


def enter(connection: socket.socket, view: int, trees: kernel.Trees, confinement: Confinement) -> NoReturn:
    """Turn this forked process, the first of its process namespace, into a container's init process."""
    channel, status = Channel(connection), 1
    try:
        kernel.enter(view)
        kernel.unshare(kernel.NEW_MOUNTS)
        _show_processes()
        place_mounts(trees, confinement.user)
        channel = keep_only(connection, quiet=True)
        proc = kernel.take_tree("/proc")
        # Otherwise a program could lower its own oom_score_adj.
        kernel.forbid_writing("/proc")
        identity.become(confinement.user, proc)
        score = os.open("self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
        os.close(proc)
        _confine(confinement)
        _Program(channel, confinement.ignored_signals, score).serve()
        status = 0
    except Exception as error:
        with contextlib.suppress(OSError):
            channel.send(["failed", f"{type(error).__name__}: {error}"])
    finally:
        os._exit(status)


def _show_processes() -> None:
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    for path in _MASKED:
        with contextlib.suppress(FileNotFoundError), kernel.Trees() as trees:
            kernel.place_tree(trees.take("/dev/null", path), path)


def _confine(confinement: Confinement) -> None:
    """Give up all rights that the container must not have."""
    # In its own user namespace only its own processes count.
    _limit(resource.RLIMIT_NPROC, confinement.most_processes)
    # With 0 the kernel still starts the host's core_pattern program, with 1 it does not: core(5).
    _limit(resource.RLIMIT_CORE, 1)
    own = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    half = _MOST_DESCRIPTORS if own == resource.RLIM_INFINITY else own // 2
    _limit(resource.RLIMIT_NOFILE, min(_MOST_DESCRIPTORS, half))
    if confinement.file_bytes is not None:
        _limit(resource.RLIMIT_FSIZE, confinement.file_bytes)
    kernel.drop_capabilities()
    kernel.stay_unprivileged()
    kernel.set_dumpable(False)
    kernel.filter_system_calls(container_filter(os.uname().machine))


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


class _Program:
    """The program of a container, one after another where several use the same container."""

    def __init__(self, channel: Channel, ignored: list[int], score: int) -> None:
        self._channel = channel
        self._score = score
        self._ignored = ignored
        self._order: dict[str, Any] = {}
        self._pid = 0
        # Paths of programs by name and search path: the programs of a view in use do not change.
        self._found: dict[tuple[str, str], str] = {}

    def serve(self) -> None:
        """Serve until the sandbox's init process is gone."""
        ends = kernel.signal_descriptor(signal.SIGCHLD)
        messages = self._channel.connection.fileno()
        poller = select.poll()
        poller.register(messages, select.POLLIN)
        poller.register(ends, select.POLLIN)
        while not self._channel.ended:
            for descriptor, _ in poller.poll():
                if descriptor == ends:
                    os.read(ends, _SIGNAL_BYTES)
                    self._reap()
                else:
                    self._channel.receive()
                    for message in self._channel.messages():
                        self._heed(message)

    def _heed(self, message: list[Any]) -> None:
        verb, *rest = message
        if verb == "start":
            self._order.update(rest[0])
            self._start()
        elif verb == "signal":
            with contextlib.suppress(ProcessLookupError):
                # All processes of the container but this one.
                os.kill(-1, rest[0])
        elif verb == "read":
            outputs.send(socket.socket(fileno=self._channel.take_descriptors(1)[0]), rest[0])

    def _start(self) -> None:
        streams = self._channel.take_descriptors(2)
        try:
            self._pid = self._spawn(*streams)
        except StartFailed as problem:
            self._channel.send(["failed", str(problem)])
        finally:
            for descriptor in streams:
                os.close(descriptor)

    def _spawn(self, stdout: int, stderr: int) -> int:
        """Start the program: it leads its own process group, has an empty stdin, and ignores no signal."""
        argv, env, working_dir = self._order["argv"], self._order["env"], self._order["cwd"]
        if not argv:
            raise StartFailed("no command")
        try:
            os.chdir(working_dir)
        except OSError as error:
            raise StartFailed(f'working directory "{working_dir}": {error.strerror}') from error
        except ValueError as error:
            raise StartFailed(f'working directory "{working_dir}": {error}') from error
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, stdout, 1),
            (os.POSIX_SPAWN_DUP2, stderr, 2),
        ]
        path = self._search(argv[0], env.get("PATH") or _DEFAULT_PATH)
        try:
            os.write(self._score, _PROGRAM_GOES_FIRST)
            return os.posix_spawn(
                path, argv, env, file_actions=actions, setpgroup=0, setsigmask=(), setsigdef=self._ignored
            )
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else str(error)
            raise StartFailed(f'exec: "{argv[0]}": {cause}') from error
        finally:
            os.write(self._score, _AS_ANY_OTHER)

    def _search(self, program: str, search: str) -> str:
        """Return where a program lies on a search path. Raises StartFailed."""
        if "/" in program or not program:
            return program
        path = self._found.get((program, search))
        if path is None:
            paths = (f"{directory or '.'}/{program}" for directory in search.split(":"))
            path = next((path for path in paths if os.access(path, os.X_OK) and os.path.isfile(path)), None)  # noqa: PTH113
            if path is None:
                raise StartFailed(f'exec: "{program}": executable file not found in $PATH')
            self._found[program, search] = path
        return path

    def _reap(self) -> None:
        """Reap processes; when the program has ended, end its remaining processes, then report it."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._pid:
                self._pid = 0
                _end_all()
                code = os.waitstatus_to_exitcode(status)
                self._channel.send(["exit", 128 - code if code < 0 else code])


def _end_all() -> None:
    """Kill every process of the container but this one; return when they are gone."""
    while True:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        try:
            # An orphan becomes a child of this process.
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


__all__ = ["Confinement", "enter"]
