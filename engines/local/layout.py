"""The folder of the local engine, with one folder per Workflow.

::

    <root>/workflows/<name>/order.json     the submission, and the options it runs with
                            secrets.json   (0600) until the Workflow has ended
                            lock           held by the supervisor as long as it lives
                            status.json    its record, replaced as a whole
                            journal        its events, for a supervisor that continues it
                            paused         exists while it waits for another supervisor
                            control        a datagram socket: a message makes the supervisor read the wishes
                            wishes/        stop, terminate, resume-<time>[-<hash of a node>], pause, end-pod-<node id>
                            pods/<number>/ each pod's own files, where it has any
                            logs/<number>.<stream>   the output of a container; outlives its pod
                            logs/<number>.<stream>.times   the times of that output (log_times.py)
                            logs.index     the container of each number (log_index.py)
                            logs/gathered-…  small outputs of short containers (processes/outlets.py)
                            sandboxes/     files of its containers outside of their mounts, in numbered folders
                            artifacts/     by the hash of their location
                            claims/        folders for its volumeClaimTemplates, in numbered folders
                            usage          the disk space that it uses, of a fixed length (disk.py)
                            status.json.spare   space for its last status on a full disk
    <root>/incoming/        Workflows being written; moved to workflows/ as a whole
    <root>/watchers/        a datagram socket per watch
    <root>/gone/            the last status of Workflows that were deleted lately
    <root>/kept-logs/<name>/   logs and logs.index of Workflows that went by their ttlStrategy
    <root>/slots/           places for running pods, shared by all supervisors
    <root>/mutexes/         the same, one folder per mutex or semaphore
    <root>/memos/           the caches of `memoize` (memo_store.py)
    <root>/ending           held by the run that ends because the disk is short

A manifest never names a file or folder here.

Imported by the supervisor: it must load fast, so no pathlib here.
"""

# ruff: noqa: PTH105, PTH108, PTH118, PTH123, PTH208

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from typing import Any

ORDER, SECRETS, LOCK, STATUS, CONTROL, WISHES = "order.json", "secrets.json", "lock", "status.json", "control", "wishes"
JOURNAL, PAUSED = "journal", "paused"
PODS, SANDBOXES, LOGS, ARTIFACTS, LOG_INDEX, USAGE = "pods", "sandboxes", "logs", "artifacts", "logs.index", "usage"
GATHERED, TIMES, KEPT_LOGS = "gathered-", ".times", "kept-logs"
WORKFLOWS, INCOMING, WATCHERS, GONE, SLOTS, MUTEXES = "workflows", "incoming", "watchers", "gone", "slots", "mutexes"
ENDING, END_POD, RESUME, MEMOS, CLAIMS = "ending", "end-pod-", "resume-", "memos", "claims"
SPARE_BYTES = 64 << 10
_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_json(path: str, value: Any, mode: int = 0o644, *, lenient: bool = False) -> int:
    """Replace a file as a whole; return its length. Raises OSError, and keeps the old file.

    Raises UnicodeEncodeError for unpaired surrogates, unless `lenient`: then they become question marks.
    """
    return _replace(path, _encoded(value, lenient), mode)


def write_last_json(path: str, value: Any) -> None:
    """Replace a file as a whole, on a full disk by using its spare file. Raises OSError."""
    content = _encoded(value, lenient=True)
    try:
        _replace(path, content, 0o644)
    except OSError as error:
        if not is_full(error):
            raise
        spare = os.open(f"{path}.spare", os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with open(spare, "wb") as file:
            file.write(content)
            file.truncate()
        os.replace(f"{path}.spare", path)


def keep_spare(path: str, size: int = SPARE_BYTES) -> None:
    """Reserve disk space for a last version of a file, if possible."""
    with contextlib.suppress(OSError):
        spare = os.open(f"{path}.spare", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            os.posix_fallocate(spare, 0, size)
        finally:
            os.close(spare)


def is_full(error: OSError) -> bool:
    """Return whether an error says that the disk is full."""
    return error.errno in _FULL


def mark(directory: str, name: str, existing: str = ORDER) -> None:
    """Make an empty file in a directory; on a full disk make a hard link to an existing file. Raises OSError."""
    path = os.path.join(directory, name)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644))
    except OSError as error:
        if not is_full(error):
            raise
        with contextlib.suppress(FileExistsError):
            os.link(os.path.join(directory, existing), path)


def _encoded(value: Any, lenient: bool) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace" if lenient else "strict")


def _replace(path: str, content: bytes, mode: int) -> int:
    temporary = f"{path}.{os.getpid()}.new"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    return len(content)


def read_json(path: str) -> Any:
    """Return the JSON content of a file, None when it is missing or incomplete."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def poke(directory: str, name: str, message: bytes) -> bool:
    """Send a datagram to a socket in a directory; return whether a process listens."""
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
    """Return a datagram socket bound in a directory, replacing an old one."""
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
    """Tell every watch that a Workflow has changed; sockets without a process are removed."""
    directory = os.path.join(root, WATCHERS)
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        if not poke(directory, name, workflow.encode()):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, name))
