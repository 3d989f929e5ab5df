"""System calls for sandboxes that Python does not have (Linux 5.12 or newer).

Mounts are made with the calls that work on descriptors (open_tree, move_mount, mount_setattr): a source is opened in
the host's view before the root changes, and attached at a path that is looked up only inside the new root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from typing import Self

NEW_MOUNTS = 0x00020000
NEW_IPC = 0x08000000
NEW_USER = 0x10000000
NEW_PIDS = 0x20000000
NEW_NETWORK = 0x40000000

MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_READ_ONLY = 1
MS_RECURSIVE = 0x4000
MS_PRIVATE = 1 << 18

_DETACH = 2
_AT_CWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_FROM_EMPTY_PATH = 4
_MOVE_MOUNT_TO_EMPTY_PATH = 0x40
_ATTRIBUTE_READ_ONLY = 1
_ATTRIBUTE_NO_SUID = 2
_ATTRIBUTE_NO_DEVICES = 4
_ATTRIBUTE_ID_MAP = 0x00100000

# Since Linux 5.1 new calls have one number on every architecture.
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_MOUNT_SETATTR = 442

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITIES_VERSION = 0x20080522

_CAP_SYS_ADMIN = 21

# PyDLL keeps the interpreter's lock: these calls are short, and some are made between fork and exit.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


# sigset_t of the C libraries: 1024 bits.
_SignalSet = ctypes.c_ulong * (128 // ctypes.sizeof(ctypes.c_ulong))


class _MountAttributes(ctypes.Structure):
    _fields_ = [
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    ]


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Move this process into new namespaces."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def enter(descriptor: int, kind: int = NEW_MOUNTS) -> None:
    """Move this process into the namespace of `descriptor`."""
    _checked(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)), "setns")


@contextlib.contextmanager
def apart_from_now() -> Iterator[None]:
    """Make the process that is forked inside the block the first one of a new process namespace."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(NEW_PIDS)
        try:
            yield
        finally:
            enter(own, NEW_PIDS)
    finally:
        os.close(own)


@contextlib.contextmanager
def files_as(user: int | None) -> Iterator[None]:
    """Make files inside the block as another user, with that user's rights; nothing changes for None."""
    if user is None:
        yield
        return
    before = _libc.setfsgid(ctypes.c_uint(user)), _libc.setfsuid(ctypes.c_uint(user))
    try:
        yield
    finally:
        _libc.setfsuid(ctypes.c_uint(before[1]))
        _libc.setfsgid(ctypes.c_uint(before[0]))


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Mount a file system."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), os.fsencode(kind), ctypes.c_ulong(flags), os.fsencode(options)
    )
    _checked(result, f"mount {kind} at {target}")


def make_private() -> None:
    """Make mounts private, so that they do not reach the parent namespace."""
    result = _libc.mount(None, b"/", None, ctypes.c_ulong(MS_RECURSIVE | MS_PRIVATE), None)
    _checked(result, "make mounts private")


def pivot_to(root: str) -> int:
    """Make the mount at `root` the root of this mount namespace; return a descriptor of the old one for `let_go`."""
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chdir(root)
    _checked(_libc.pivot_root(b".", b"."), "pivot_root")
    os.chdir("/")
    return old


def let_go(old_root: int) -> None:
    """Unmount the root that was there before `pivot_to`, with all below it."""
    os.fchdir(old_root)
    os.close(old_root)
    _checked(_libc.umount2(b".", ctypes.c_int(_DETACH)), "unmount the old root")
    os.chdir("/")


class _Filter(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


class _CapabilitiesOf(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Capabilities(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def take_tree(source: str, read_only: bool = False, directory: int = _AT_CWD) -> int:
    """Return a descriptor of a copy of the mounts at and below `source`, not attached yet.

    A relative `source` is looked up below the descriptor `directory`; an empty one is the descriptor itself.
    Set-user-ID bits and device files have no effect in the copy.
    """
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC
    if not source:
        flags |= _AT_EMPTY_PATH
    tree = _checked(
        _libc.syscall(
            ctypes.c_long(_SYS_OPEN_TREE), ctypes.c_int(directory), os.fsencode(source), ctypes.c_uint(flags)
        ),
        f"open_tree {source}",
    )
    try:
        _set_attributes(tree, _ATTRIBUTE_NO_SUID | (_ATTRIBUTE_READ_ONLY if read_only else 0))
    except OSError:
        os.close(tree)
        raise
    return tree


def forbid_devices(tree: int) -> None:
    """Disable device files in a tree of `take_tree`."""
    _set_attributes(tree, _ATTRIBUTE_NO_DEVICES)


def map_owners(tree: int, user_namespace: int) -> None:
    """Map the owners of files in a tree of `take_tree`: ids inside a user namespace become those outside.

    See mount_setattr(2), "ID-mapped mounts". Raises OSError where the file system does not support them.
    """
    _set_attributes(tree, _ATTRIBUTE_ID_MAP, user_namespace)


def _set_attributes(tree: int, attributes_set: int, user_namespace: int = 0) -> None:
    attributes = _MountAttributes(set=attributes_set, user_namespace=user_namespace)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(tree),
        b"",
        ctypes.c_uint(_AT_EMPTY_PATH | _AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    _checked(result, "mount_setattr")


def forbid_writing(path: str) -> None:
    """Make the mounts at and below `path` read-only in this namespace."""
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _set_attributes(found, _ATTRIBUTE_READ_ONLY)
    finally:
        os.close(found)


def place_tree(tree: int, target: str | int) -> None:
    """Attach a tree of `take_tree` at `target`, a path or a descriptor; the caller closes descriptors."""
    place, path = (_AT_CWD, target) if isinstance(target, str) else (target, "")
    flags = _MOVE_MOUNT_FROM_EMPTY_PATH | (0 if path else _MOVE_MOUNT_TO_EMPTY_PATH)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOVE_MOUNT),
        ctypes.c_int(tree),
        b"",
        ctypes.c_int(place),
        os.fsencode(path),
        ctypes.c_uint(flags),
    )
    _checked(result, f"mount at {target}")


class Trees:
    """Trees of mounts to be attached elsewhere; a context manager that closes their descriptors."""

    def __init__(self) -> None:
        self._taken: list[tuple[int, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for tree, _target in self._taken:
            os.close(tree)
        self._taken = []

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Yield each descriptor and its target, parents before what lies below them."""
        return iter(sorted(self._taken, key=lambda pair: pair[1]))

    def take(self, source: str, target: str, read_only: bool = False, directory: int = _AT_CWD) -> int:
        """Take the tree at `source` for `target`; return its descriptor."""
        tree = take_tree(source, read_only, directory)
        self._taken.append((tree, target))
        return tree

    def try_take(self, source: str, target: str) -> int:
        """Take a tree read-only if it exists; return its descriptor, or -1."""
        try:
            return self.take(source, target, read_only=True)
        except OSError:
            return -1


def _control(option: int, value: int) -> None:
    unused = ctypes.c_ulong(0)
    _checked(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), unused, unused, unused), "prctl")


def signal_descriptor(number: signal.Signals) -> int:
    """Block a signal; return a descriptor that becomes readable when it arrives."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (number,))
    mask = _SignalSet(1 << number - 1)
    flags = ctypes.c_int(os.O_CLOEXEC | os.O_NONBLOCK)
    return _checked(_libc.signalfd(ctypes.c_int(-1), ctypes.byref(mask), flags), "signalfd")


def die_with_parent(number: int) -> None:
    """Make the kernel send signal `number` to this process as soon as its parent dies."""
    _control(_PR_SET_PDEATHSIG, number)


def adopt_orphans(wanted: bool) -> bool:
    """Become (or stop being) the parent of orphaned descendants; return the former setting."""
    before = ctypes.c_int(0)
    unused = ctypes.c_ulong(0)
    _checked(_libc.prctl(ctypes.c_int(_PR_GET_CHILD_SUBREAPER), ctypes.byref(before), unused, unused, unused), "prctl")
    _control(_PR_SET_CHILD_SUBREAPER, int(wanted))
    return bool(before.value)


def is_privileged() -> bool:
    """Return whether this process may make namespaces without a user namespace."""
    return bool(_bits_of("CapEff") >> _CAP_SYS_ADMIN & 1)


def ignored_signals() -> list[int]:
    """Return the signals that this process ignores, except those that the C library reserves."""
    ignored = _bits_of("SigIgn")
    return [number for number in signal.valid_signals() if ignored >> number - 1 & 1]


def _bits_of(field: str) -> int:
    with open("/proc/self/status") as file:  # noqa: PTH123 - pathlib is slow to import
        return next(int(line.split()[1], 16) for line in file if line.startswith(f"{field}:"))


def stay_unprivileged() -> None:
    """Set no_new_privs: programs started later cannot gain rights."""
    _control(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up all capabilities, for this process and for whatever it starts."""
    with open("/proc/sys/kernel/cap_last_cap") as file:  # noqa: PTH123 - pathlib is slow to import
        last = int(file.read())
    for capability in range(last + 1):
        _control(_PR_CAPBSET_DROP, capability)
    whose, nothing = _CapabilitiesOf(_CAPABILITIES_VERSION, 0), (_Capabilities * 2)()
    _checked(_libc.capset(ctypes.byref(whose), nothing), "capset")


def set_dumpable(wanted: bool) -> None:
    """Allow or forbid other processes of this user to read this one's memory, environment and descriptors."""
    _control(_PR_SET_DUMPABLE, int(wanted))


def filter_system_calls(instructions: bytes) -> None:
    """Apply a seccomp filter to this process and its children (struct sock_filter, one after the other)."""
    program = _Filter(len(instructions) // 8, instructions)
    unused = ctypes.c_ulong(0)
    result = _libc.prctl(
        ctypes.c_int(_PR_SET_SECCOMP), ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(program), unused, unused
    )
    _checked(result, "seccomp")
