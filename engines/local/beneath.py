"""Open and make files below a directory without leaving it, also while others move entries.

The kernel looks paths up (`openat2`, Linux 5.6) and refuses links, so a link of a pod's leads
nowhere. Imported by the supervisor: it must load fast.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct

_OPENAT2 = 437
# RESOLVE_… of linux/openat2.h
_NO_MAGIC_LINKS, _NO_LINKS, _BENEATH, _IN_ROOT = 0x02, 0x04, 0x08, 0x10
_PATH = os.O_PATH | os.O_CLOEXEC
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _openat2(directory: int, path: str, flags: int, mode: int, resolve: int) -> int:
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, mode, resolve)
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("a path must not hold a NUL character")
    found = int(
        _libc.syscall(
            ctypes.c_long(_OPENAT2),
            ctypes.c_int(directory),
            ctypes.c_char_p(name),
            ctypes.c_char_p(how),
            ctypes.c_size_t(len(how)),
        )
    )
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return found


def open_beneath(directory: int, path: str, flags: int = _PATH, mode: int = 0) -> int:
    """Open a path below a directory's descriptor; no link is followed. `''` is the directory itself.

    Raises OSError: ELOOP where a link is on the way, EXDEV where the path would lead out.
    """
    return _openat2(directory, path or ".", flags, mode, _BENEATH | _NO_LINKS | _NO_MAGIC_LINKS)


def open_mount(source: str | os.PathLike[str], below: str) -> int:
    """Open the source of a `Mount`, by path only (O_PATH): `below` is looked up in `source` as if that were the root.

    Raises OSError: ELOOP where a link is on the way, EINVAL for what is neither a directory nor a regular file.
    """
    if not below:
        return os.open(source, _PATH)
    root = os.open(source, _PATH | os.O_DIRECTORY)
    try:
        found = _openat2(root, below, _PATH, 0, _IN_ROOT | _NO_LINKS | _NO_MAGIC_LINKS)
    finally:
        os.close(root)
    kind = os.fstat(found).st_mode
    if not stat.S_ISDIR(kind) and not stat.S_ISREG(kind):
        os.close(found)
        raise OSError(22, "neither a directory nor a regular file", below)
    return found


def make_directories(directory: int, parts: list[str], mode: int) -> int:
    """Make the directories that are missing below a descriptor; return the last one's descriptor (O_PATH).

    Those made have `mode` whatever the umask. Raises OSError where a link or a file is on the way.
    """
    current = os.open(".", _FOLDER, dir_fd=directory)
    try:
        for part in parts:
            if part in ("", ".", "..") or "/" in part:
                raise ValueError(f"{part!r} is not the name of a directory")
            made = False
            try:
                os.mkdir(part, 0o700, dir_fd=current)
                made = True
            except FileExistsError:
                pass
            following = os.open(part, _FOLDER, dir_fd=current)
            os.close(current)
            current = following
            if made:
                set_mode(current, mode)
    except BaseException:
        os.close(current)
        raise
    return current


def make_file(directory: int, parts: list[str], content: bytes, mode: int) -> None:
    """Write a new file below a descriptor, with the directories that it lies in. Raises OSError if it exists."""
    parent = make_directories(directory, parts[:-1], 0o755)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(parts[-1], flags, 0o600, dir_fd=parent)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(file, left) :]
            os.fchmod(file, mode)
        finally:
            os.close(file)
    finally:
        os.close(parent)


def set_mode(descriptor: int, mode: int) -> None:
    """Set the mode of a file by its O_PATH descriptor."""
    os.chmod(f"/proc/self/fd/{descriptor}", mode)  # noqa: PTH101
