"""The user of containers, and how they get access to files of other users.

Inside, every process is the user `INSIDE` without capabilities. Outside that is the service's user, if it is an
ordinary one; where the service is root, it is a high id that no user of the machine has, different for each Workflow.
"""

from __future__ import annotations

import contextlib
import hashlib
import os

from engines.local.processes import kernel

INSIDE = 1000
# These ids are unassigned: https://systemd.io/UIDS-GIDS/ leaves everything above 1879048191 unused.
_LOWEST = 0x70000000
_COUNT = 0x0FFFFFFF


def high_id(name: str) -> int:
    """Return the user and group id of a Workflow's containers on a machine where the service is root."""
    return _LOWEST + int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % _COUNT


def become(user: int | None, proc: int) -> None:
    """Become the user of a container, in a user namespace of its own: `user` outside, or, if None, the present user.

    This process keeps its capabilities inside that namespace, and has none anywhere else. `proc` is a
    descriptor of the /proc of its own process namespace, one that may be written.
    """
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        # A process that changes its ids loses access to its own files below /proc.
        kernel.set_dumpable(True)
    outside = os.geteuid(), os.getegid()
    kernel.unshare(kernel.NEW_USER)
    _write("self/setgroups", "deny", proc)
    _write("self/uid_map", f"{INSIDE} {outside[0]} 1", proc)
    _write("self/gid_map", f"{INSIDE} {outside[1]} 1", proc)


def _write(path: str, text: str, directory: int | None = None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


class OwnerMaps:
    """Makes mounts whose files belong to a container's user; runs in a sandbox's init process, as root.

    `proc` is the sandbox's own; `run` the folder of the run, where the engine sets modes. Where `user` is None
    containers have the ids of the service, and nothing is mapped.
    """

    def __init__(self, proc: str, user: int | None, run: str) -> None:
        self._proc = proc
        self._user = user
        self._run = run
        self._namespaces: dict[tuple[int, int], int] = {}

    def own(self, path: str, mode: int | None = None) -> None:
        """Give a directory of the sandbox to the container's user. Raises OSError."""
        if mode is not None:
            os.chmod(path, mode)  # noqa: PTH101
        if self._user is not None:
            os.chown(path, self._user, self._user)

    def own_descriptor(self, descriptor: int) -> None:
        """Give the file of a descriptor to the container's user. Raises OSError."""
        if self._user is not None:
            os.fchown(descriptor, self._user, self._user)

    def give(self, tree: int, source: str, read_only: bool) -> None:
        """Map the files of an unattached mount to the container's user, if they have the mount's owner.

        A file system without ID mapping keeps its owners; a writable volume of the run, by its `source`, is
        then opened to all users.
        """
        if self._user is None:
            return
        status = os.fstat(tree)
        if status.st_uid == self._user:
            return
        try:
            kernel.map_owners(tree, self._namespace(status.st_uid, status.st_gid))
        except OSError:
            if not read_only and source.startswith(f"{self._run}/"):
                # O_PATH descriptors take no fchmod.
                with contextlib.suppress(OSError):
                    os.chmod(f"/proc/self/fd/{tree}", status.st_mode | 0o777)  # noqa: PTH101, S103

    def _namespace(self, user: int, group: int) -> int:
        """Return a user namespace that maps a file's owner to the container's user."""
        known = self._namespaces.get((user, group))
        if known is not None:
            return known
        told, tells = os.pipe2(os.O_CLOEXEC)
        waits, ends = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if not pid:
            try:
                os.close(ends)
                kernel.unshare(kernel.NEW_USER)
                os.write(tells, b"!")
                os.read(waits, 1)
            finally:
                os._exit(0)
        os.close(tells)
        os.close(waits)
        try:
            os.read(told, 1)
            _write(f"{self._proc}/{pid}/uid_map", f"{user} {self._user} 1")
            _write(f"{self._proc}/{pid}/gid_map", f"{group} {self._user} 1")
            made = os.open(f"{self._proc}/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(told)
            os.close(ends)
            os.waitpid(pid, 0)
        self._namespaces[user, group] = made
        return made
