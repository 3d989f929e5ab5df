"""Where the local engine keeps what: one folder, and in it one folder per Workflow.

::

    <root>/workflows/<name>/order.json     what was submitted, and the options it runs with
                            secrets.json   (0600) until the Workflow has ended
                            lock           held by the supervisor as long as it lives
                            status.json    what is known of it, replaced as a whole
                            journal        what happened to it, for a supervisor that takes it up again
                            paused         there while its supervisor was told to leave it for another
                            control        a datagram socket: the supervisor looks at the wishes
                            wishes/        stop, terminate, resume-…, pause
                            pods/<node>/   each pod's own files, where it has any
                            logs/<node>.<container>.<stream>   what a container wrote; outlives its pod
                            logs/gathered-…  what those wrote that ended soon and wrote little (processes/outlets.py)
                            artifacts/     by the hash of their location
    <root>/incoming/        Workflows being written; moved to workflows/ as a whole
    <root>/watchers/        a datagram socket per watch
    <root>/gone/            the last status of Workflows that were deleted lately
    <root>/slots/           places for running pods, shared by all supervisors
    <root>/mutexes/         likewise, one folder per mutex

Imported by the supervisor: it must load fast, so no pathlib here.
"""

# ruff: noqa: PTH105, PTH108, PTH118, PTH123, PTH208

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any

ORDER, SECRETS, LOCK, STATUS, CONTROL, WISHES = "order.json", "secrets.json", "lock", "status.json", "control", "wishes"
JOURNAL, PAUSED = "journal", "paused"
PODS, LOGS, ARTIFACTS = "pods", "logs", "artifacts"
GATHERED = "gathered-"
WORKFLOWS, INCOMING, WATCHERS, GONE, SLOTS, MUTEXES = "workflows", "incoming", "watchers", "gone", "slots", "mutexes"


def write_json(path: str, value: Any, mode: int = 0o644) -> None:
    """Replace a file as a whole."""
    temporary = f"{path}.{os.getpid()}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    os.replace(temporary, path)


def read_json(path: str) -> Any:
    """Return what a file holds, None when it is missing or was never finished."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def poke(directory: str, name: str, message: bytes) -> bool:
    """Send a datagram to a socket in a directory; return whether somebody listens."""
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            sender.sendto(message, f"/proc/self/fd/{folder}/{name}")
    except BlockingIOError:
        return True
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    finally:
        os.close(folder)
    return True


def listen(directory: str, name: str) -> socket.socket:
    """Return a datagram socket bound in a directory, whatever was there before."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        listener.bind(f"/proc/self/fd/{folder}/{name}")
    finally:
        os.close(folder)
    return listener


def wake_watchers(root: str, workflow: str) -> None:
    """Tell every watch that a Workflow has changed; sockets that nobody holds any more are removed."""
    directory = os.path.join(root, WATCHERS)
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        if not poke(directory, name, workflow.encode()):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, name))
