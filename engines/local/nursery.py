"""A process that has loaded a supervisor's modules and forks a supervisor for each Workflow.

Starting Python and loading modules takes ten times longer than everything else that a short Workflow needs. The
engine starts a nursery when there is none, and works without it when it does not answer; it ends when idle, or
when its socket is gone.
"""

# ruff: noqa: PTH116, PTH118

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import select
import signal
import socket
import sys
import traceback

from engines.local.images import compile_ahead
from engines.local.interpreter.grammar import load
from engines.local.options import default_images
from engines.local.priority import level_session

IDLE_SECONDS = 60.0
_LOOK_SECONDS = 2.0
_ANSWER_SECONDS = 2.0
# New objects that are not garbage, as gc.set_threshold counts them; 700 is what Python begins with.
_GARBAGE_LOOKED_FOR_AFTER = 50_000
_RUNNER = "engines.local.processes.runner"


def ask(directory: str, name: str, workflow: str, lock: int) -> int | None:
    """Ask a nursery to fork the supervisor of a Workflow; return its pid, None when no nursery answers."""
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.connect(f"/proc/self/fd/{folder}/{name}")
            socket.send_fds(connection, [workflow.encode()], [lock])
            try:
                answer = connection.recv(32)
            except TimeoutError:
                # The nursery has the lock now and will fork later; a second supervisor must not start.
                return 0
        return int(answer) if answer else None
    except (ConnectionError, FileNotFoundError, TimeoutError):
        return None
    except OSError as error:
        if error.errno != errno.ETOOMANYREFS:
            raise
        # Other processes of this user have too many descriptors in flight.
        return None
    finally:
        os.close(folder)


def is_there(directory: str, name: str) -> bool:
    """Return whether a nursery listens, and reset its idle time."""
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return ask(directory, name, "", nothing) is not None
    finally:
        os.close(nothing)


class Nursery:
    """Forks supervisors for one engine folder."""

    def __init__(self, root: str, name: str) -> None:
        self.root = root
        self.path = os.path.join(root, name)
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        self.listener.bind(f"/proc/self/fd/{folder}/{name}")
        os.close(folder)
        self.inode = os.stat(self.path).st_ino
        self.listener.listen(128)

    def serve(self) -> None:
        """Answer until idle, or until the socket's name is gone or another nursery's."""
        poller = select.poll()
        poller.register(self.listener.fileno(), select.POLLIN)
        idle = 0.0
        while idle < IDLE_SECONDS and self._owns_name():
            if poller.poll(_LOOK_SECONDS * 1000):
                idle = 0.0
                self._answer()
            else:
                idle += _LOOK_SECONDS

    def _owns_name(self) -> bool:
        try:
            return os.stat(self.path).st_ino == self.inode
        except FileNotFoundError:
            return False

    def _answer(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(_ANSWER_SECONDS)
            try:
                message, descriptors, _, _ = socket.recv_fds(connection, 1024, 4)
            except OSError:
                return
            workflow, pid = message.decode(), os.getpid()
            if workflow and descriptors:
                pid = os.fork()
                if pid == 0:
                    self._become_supervisor(workflow, descriptors[0])
            for descriptor in descriptors:
                os.close(descriptor)
            with contextlib.suppress(OSError):
                connection.send(str(pid).encode())

    def _become_supervisor(self, workflow: str, lock: int) -> None:
        """Run a Workflow in the forked process; does not return."""
        code = 1
        try:
            os.write(lock, b"%d\n" % os.getpid())
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.listener.close()
            log = os.path.join(self.root, "workflows", workflow, "supervisor.log")
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            os.dup2(output, 1)
            os.dup2(output, 2)
            code = importlib.import_module("engines.local.supervisor").main([self.root, workflow])
        except Exception:
            with contextlib.suppress(OSError):
                traceback.print_exc()
        finally:
            # Whatever fails, this process must not go on as a nursery: writing its message may fail on a full disk.
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)


def main(arguments: list[str]) -> int:
    """Serve the engine folder and the name in the arguments."""
    root, name = arguments
    for module in ("engines.local.supervisor", _RUNNER):
        importlib.import_module(module)
    compile_ahead(default_images())
    for language in ("when", "depends", "expression"):
        load(language)
    level_session()
    # Nothing waits for the children of this process.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    # The nodes of a Workflow stay until its end: collecting garbage with every few pods takes a tenth of
    # its supervisor's time.
    gc.set_threshold(_GARBAGE_LOOKED_FOR_AFTER)
    Nursery(root, name).serve()
    return 0
