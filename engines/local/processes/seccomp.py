"""The seccomp filter of every process of a container: the allowed system calls and arguments.

A program of the kernel's packet filter machine
(https://www.kernel.org/doc/Documentation/userspace-api/seccomp_filter.rst, struct seccomp_data and struct
sock_filter): each check ends with an answer or falls through to the next.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence

from engines.local.processes.system_calls import ALLOWED, NEWEST, UNKNOWN

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_IF_EQUAL = 0x15
_JUMP_IF_GREATER = 0x25
_JUMP_IF_AT_LEAST = 0x35
_JUMP_IF_ANY_BIT = 0x45
_RETURN = 0x06

_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_NOT_THERE = 0x00050000 | errno.ENOSYS
_DONE_NOTHING = 0x00050000

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
# AF_UNIX, AF_INET, AF_INET6; AF_NETLINK only to ask for addresses and routes (NETLINK_ROUTE).
_FAMILIES = (1, 2, 10)
# IPPROTO_IP (the usual one), ICMP, TCP, UDP, ICMPV6: another one makes the kernel load a module.
_PROTOCOLS = (0, 1, 6, 17, 58)
_NETLINK, _ROUTES = 16, 0
# PER_LINUX, PER_LINUX32, and the query of the present value
_PERSONALITIES = (0, 8, 0xFFFFFFFF)
# TIOCSTI and TIOCLINUX type into a user's terminal; TIOCSETD makes the kernel load a module.
_TERMINAL_TRICKS = (0x5412, 0x541C, 0x5423)
# Descriptors, locks, owners of signals, pipes and seals. Not F_SETLEASE: a lease on a file keeps others from
# opening it, and files of the service appear as the container's own. Not F_NOTIFY, which reports others' accesses.
_FILE_COMMANDS = (*range(12), 15, 16, 36, 37, 38, 1025, 1027, 1028, *range(1030, 1039))
# The container's init process: its limits and its priority are inherited by the next program.
_INIT = 1
_ITS_PROCESS_ARGUMENT = ("sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler")
# PRIO_USER, IOPRIO_WHO_USER: all processes of the container
_CORE = 4  # RLIMIT_CORE
_OF_ALL = {"setpriority": 2, "ioprio_set": 3}
_SET_ID_BITS = stat.S_ISUID | stat.S_ISGID
_MAKES_A_FILE = os.O_CREAT | 0o20000000  # O_CREAT, __O_TMPFILE
# System call: which of its arguments is the mode that it gives to a file.
_MODE_ARGUMENTS = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "mknod": 1, "mknodat": 2, "creat": 1}
# System call: which arguments are the flags and the mode.
_OPEN_ARGUMENTS = {"open": (1, 2), "openat": (2, 3)}

_Instruction = bytes
_Check = Sequence[_Instruction]


def _instruction(code: int, value: int = 0, if_true: int = 0, if_false: int = 0) -> _Instruction:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _load(offset: int) -> _Instruction:
    return _instruction(_LOAD, offset)


def _answer(value: int) -> _Instruction:
    return _instruction(_RETURN, value)


def _argument(index: int) -> _Instruction:
    # The lower half: all checked arguments are ints. Both architectures are little-endian.
    return _load(_ARGUMENTS + 8 * index)


def _one_of_loaded(values: Iterable[int]) -> _Check:
    checks = [part for value in values for part in (_instruction(_JUMP_IF_EQUAL, value, 0, 1), _answer(_ALLOW))]
    return [*checks, _answer(_REFUSE)]


def _one_of(index: int, values: Iterable[int]) -> _Check:
    return [_argument(index), *_one_of_loaded(values)]


def _opens_known_sockets() -> _Check:
    asks_routes = [_argument(2), *_one_of_loaded((_ROUTES,))]
    is_netlink = [_argument(0), _instruction(_JUMP_IF_EQUAL, _NETLINK, 0, len(asks_routes)), *asks_routes]
    is_unix = [_instruction(_JUMP_IF_EQUAL, _FAMILIES[0], 0, 1), _answer(_ALLOW)]
    # Each jumps over the refusal to the check of the protocol.
    internet = [_instruction(_JUMP_IF_EQUAL, _FAMILIES[1], 2, 0), _instruction(_JUMP_IF_EQUAL, _FAMILIES[2], 1, 0)]
    return [*is_netlink, *is_unix, *internet, _answer(_REFUSE), *_one_of(2, _PROTOCOLS)]


def _none_of(index: int, values: Iterable[int]) -> _Check:
    checks = [part for value in values for part in (_instruction(_JUMP_IF_EQUAL, value, 0, 1), _answer(_REFUSE))]
    return [_argument(index), *checks, _answer(_ALLOW)]


def _keeps_core_limit(resource: int, new: int) -> _Check:
    """Answer calls that set the limit of core dumps with success, without effect; arguments, as in prlimit64."""
    half = _ARGUMENTS + 8 * new
    sets = [
        part
        for offset in (half, half + 4)
        for part in (_load(offset), _instruction(_JUMP_IF_EQUAL, 0, 1, 0), _answer(_DONE_NOTHING))
    ]
    return [_argument(resource), _instruction(_JUMP_IF_EQUAL, _CORE, 0, len(sets)), *sets, _answer(_ALLOW)]


def _not_for_all(scope: int) -> _Check:
    """Refuse a scope, and the init process; the arguments are the scope and whose priority it is."""
    return [_argument(0), _instruction(_JUMP_IF_EQUAL, scope, 0, 1), _answer(_REFUSE), *_none_of(1, (_INIT,))]


def _no_bit_of(index: int, bits: int) -> _Check:
    return [_argument(index), _instruction(_JUMP_IF_ANY_BIT, bits, 0, 1), _answer(_REFUSE), _answer(_ALLOW)]


def _opens_without_set_id(flags: int, mode: int) -> _Check:
    # Where no file is made, the mode is undefined.
    makes_none = [_argument(flags), _instruction(_JUMP_IF_ANY_BIT, _MAKES_A_FILE, 1, 0), _answer(_ALLOW)]
    return [*makes_none, *_no_bit_of(mode, _SET_ID_BITS)]


def _argument_checks() -> dict[str, _Check]:
    return {
        "clone": _no_bit_of(0, _NEW_NAMESPACES),
        "socket": _opens_known_sockets(),
        "socketpair": _one_of(0, _FAMILIES),
        "fcntl": _one_of(1, _FILE_COMMANDS),
        "personality": _one_of(0, _PERSONALITIES),
        "ioctl": _none_of(1, _TERMINAL_TRICKS),
        "setrlimit": _keeps_core_limit(0, 1),
        "prlimit64": [
            _argument(0),
            _instruction(_JUMP_IF_EQUAL, _INIT, 0, 1),
            _answer(_REFUSE),
            *_keeps_core_limit(1, 2),
        ],
        **{name: _none_of(0, (_INIT,)) for name in _ITS_PROCESS_ARGUMENT},
        **{name: _not_for_all(scope) for name, scope in _OF_ALL.items()},
        **{name: _no_bit_of(index, _SET_ID_BITS) for name, index in _MODE_ARGUMENTS.items()},
        **{name: _opens_without_set_id(*indices) for name, indices in _OPEN_ARGUMENTS.items()},
    }


def _ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of each run of consecutive numbers, in ascending order."""
    first = last = None
    for number in sorted(numbers):
        if last is None or number != last + 1:
            if first is not None and last is not None:
                yield first, last
            first = number
        last = number
    if first is not None and last is not None:
        yield first, last


@functools.cache
def container_filter(machine: str) -> bytes:
    """Return the filter for an architecture as `os.uname` names it. Raises ValueError for an unknown one."""
    if machine not in _ARCHITECTURES:
        raise ValueError(f"the architecture {machine} is not supported: pods run on {' and '.join(_ARCHITECTURES)}")
    column, architecture = _ARCHITECTURES[machine]
    numbers = {name: row[column] for name, row in {**ALLOWED, **UNKNOWN}.items()}
    checks = _argument_checks()
    program = [
        _load(_ARCHITECTURE),
        _instruction(_JUMP_IF_EQUAL, architecture, 1, 0),
        _answer(_NOT_THERE),
        _load(_NUMBER),
        # Calls of the x32 ABI too: their numbers are above all others.
        _instruction(_JUMP_IF_GREATER, NEWEST, 0, 1),
        _answer(_NOT_THERE),
    ]
    for name, check in [*checks.items(), *((name, [_answer(_NOT_THERE)]) for name in UNKNOWN)]:
        number = numbers[name]
        if number is not None:
            program += [_instruction(_JUMP_IF_EQUAL, number, 0, len(check)), *check]
    plain = {number for name, number in numbers.items() if number is not None and name not in {*checks, *UNKNOWN}}
    for first, last in _ranges(plain):
        program += [
            _instruction(_JUMP_IF_AT_LEAST, first, 1, 0),
            _answer(_REFUSE),
            _instruction(_JUMP_IF_GREATER, last, 1, 0),
            _answer(_ALLOW),
        ]
    program.append(_answer(_REFUSE))
    return b"".join(program)
