"""How a view is built, inside the init process of a sandbox.

A view begins empty: readable paths of the host (`host_files.py`) are mounted into it read-only, one by one. A
read-only directory that needs a new entry is replaced by one whose entries are mounted one by one.

Every path is looked up after the root has changed, so no link inside leads to the host's files.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from engines.local import beneath
from engines.local.processes import host_files, kernel
from engines.local.processes.host_files import HostPath
from engines.local.processes.identity import OwnerMaps
from engines.local.processes.view import Place, Sight, View

# A container's init process reads facts about itself there, so they must be the kernel's. /dev/shm holds none.
_KERNELS_OWN, _FREE = ("/proc", "/dev"), "/dev/shm"  # noqa: S108 - a path inside pods
_PATH = os.O_PATH | os.O_CLOEXEC
_READ_ONLY_ERRORS = (errno.EROFS, errno.EACCES, errno.EPERM)


class ViewBuilder:
    """Builds views for one sandbox whose `proc`, `dev`, `hosts`, `passwd` and `group` lie in `directory`.

    Works in the init process, from the sandbox's first mount namespace.
    """

    def __init__(self, directory: str, readable: Sequence[HostPath], owners: OwnerMaps) -> None:
        self._directory = directory
        self._readable = readable
        self._owners = owners
        self._made = 0

    def build(self, sight: Sight) -> View:
        """Build a view and enter its mount namespace, also when it fails. Raises OSError."""
        self._made += 1
        view = View(sight, f"{self._directory}/view-{self._made}")
        for name in ("", "/root", "/private"):
            os.mkdir(view.directory + name, 0o755)  # noqa: PTH102
        self._owners.own(f"{view.directory}/root", 0o755)
        kernel.unshare(kernel.NEW_MOUNTS)
        with kernel.Trees() as trees:
            links = self._take_readable(trees)
            self._take_own(trees)
            self._fill(view, trees, links)
        view.descriptor = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        return view

    def _take_readable(self, trees: kernel.Trees) -> list[tuple[str, str]]:
        """Take the readable paths; return the links among them, with their targets."""
        links = []
        for path, own in self._readable:
            if os.path.islink(path):  # noqa: PTH114
                links.append((path, os.readlink(path)))  # noqa: PTH115
            elif (tree := trees.try_take(path, path)) >= 0 and own:
                self._owners.give(tree, path, read_only=True)
        return links

    def _take_own(self, trees: kernel.Trees) -> None:
        trees.take(f"{self._directory}/proc", "/proc")
        trees.take(f"{self._directory}/dev", "/dev")
        for name in ("hosts", *host_files.ACCOUNTS):
            if os.path.exists(f"{self._directory}/{name}"):  # noqa: PTH110
                trees.take(f"{self._directory}/{name}", f"/etc/{name}", read_only=True)

    def _fill(self, view: View, trees: kernel.Trees, links: Sequence[tuple[str, str]]) -> None:
        sight, root = view.sight, f"{view.directory}/root"
        with kernel.Trees() as own:
            kernel.place_tree(own.take(root, root), root)
        view.places.append(Place("/", root))
        private = os.open(f"{view.directory}/private", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        old_root = kernel.pivot_to(root)
        try:
            inside = _Inside(view, private, self._owners)
            for path, mode in host_files.EMPTY_DIRECTORIES:
                os.mkdir(path)  # noqa: PTH102
                self._owners.own(path, mode)
            for path, target in links:
                os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
                os.symlink(target, path)  # noqa: PTH211
            for tree, target in trees:
                inside.make(target, stat.S_ISDIR(os.fstat(tree).st_mode))
                kernel.place_tree(tree, target)
            for path in (*sight.hidden_paths, self._directory):
                inside.hide(path)
            for path in sight.private_paths:
                inside.make_writable(path)
            for path, directory in sorted(sight.targets):
                inside.make(path, directory)
            inside.make(sight.working_dir, directory=True)
        finally:
            os.close(private)
            kernel.let_go(old_root)


def place_mounts(trees: kernel.Trees, user: int | None) -> None:
    """Mount the taken trees in this process's view; new directories of a volume belong to `user`. Raises OSError."""
    # As long as no file of pods is visible, all links are the machine's.
    found = sorted((os.path.realpath(target), tree) for tree, target in trees)
    placed: list[str] = []
    for path, tree in found:
        if any(_lies_in(path, own) for own in _KERNELS_OWN) and not _lies_in(path, _FREE):
            raise OSError(errno.EPERM, "mounts over the kernel's own files are not allowed", path)
        outer = max((one for one in placed if _lies_in(path, one)), key=len, default="")
        place = _place_in(outer, path[len(outer) + 1 :], tree, user) if outer else os.open(path, _PATH)
        try:
            kernel.place_tree(tree, place)
        finally:
            os.close(place)
        placed.append(path)


def _place_in(outer: str, rest: str, tree: int, user: int | None) -> int:
    """Open a path inside another mount; it is made where it is missing, as kubelets do. Raises OSError for a link."""
    folder = os.open(outer, _PATH)
    try:
        try:
            return beneath.open_beneath(folder, rest)
        except FileNotFoundError:
            parts = rest.split("/")
            with kernel.files_as(user):
                if stat.S_ISDIR(os.fstat(tree).st_mode):
                    return beneath.make_directories(folder, parts, 0o755)
                beneath.make_file(folder, parts, b"", 0o644)
            return beneath.open_beneath(folder, rest)
    finally:
        os.close(folder)


def _lies_in(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory}/")


def make_node(path: str, directory: bool, parent: int | None = None) -> None:
    """Make an empty directory or file. Raises OSError."""
    if directory:
        os.mkdir(path, 0o755, dir_fd=parent)
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=parent))


class _Inside:
    """The inside of a view under construction; the process's root is the view's root already."""

    def __init__(self, view: View, private: int, owners: OwnerMaps) -> None:
        self._view = view
        self._private = private
        self._owners = owners
        self._count = 0

    def hide(self, path: str) -> None:
        """Mount an empty directory (or file) over a path, if it exists."""
        path = os.path.realpath(path)
        try:
            directory = stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116
        except OSError:
            return
        self._cover(path, directory)

    def make_writable(self, path: str) -> None:
        """Make a directory writable for this container only; its present content stays visible."""
        found = os.path.isdir(path)  # noqa: PTH112
        path = self.make(path, directory=True)
        if any(place.target == path for place in self._view.places):
            return
        if self._is_own(path):
            self._owners.own(path)
        elif found:
            try:
                self._layer(path)
            except OSError:
                self._owners.own(self._cover(path, True))
        else:
            self._owners.own(self._cover(path, True))

    @staticmethod
    def _is_own(path: str) -> bool:
        """Return whether a directory belongs to the view's root, not to a mount of the host."""
        return os.stat(path).st_dev == os.stat("/").st_dev and not os.statvfs(path).f_flag & os.ST_RDONLY  # noqa: PTH116

    def _new_private(self, directory: bool) -> str:
        self._count += 1
        name = str(self._count)
        make_node(name, directory, self._private)
        return name

    def _source(self, name: str) -> str:
        return f"{self._view.directory}/private/{name}"

    def _cover(self, path: str, directory: bool) -> str:
        """Mount an empty directory or file over a path; return the path."""
        name = self._new_private(directory)
        with kernel.Trees() as trees:
            kernel.place_tree(trees.take(name, path, directory=self._private), path)
        self._view.places.append(Place(path, self._source(name)))
        return path

    def _layer(self, path: str) -> None:
        """Mount an overlay over a directory; the present directory is its lower one."""
        name = self._new_private(True)
        for part in ("upper", "work"):
            make_node(f"{name}/{part}", True, self._private)
        lower = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        storage = f"/proc/self/fd/{self._private}/{name}"
        options = f"lowerdir=/proc/self/fd/{lower},upperdir={storage}/upper,workdir={storage}/work,volatile"
        try:
            try:
                kernel.mount("overlay", path, "overlay", kernel.MS_NOSUID, options + ",userxattr")
            except OSError:
                kernel.mount("overlay", path, "overlay", kernel.MS_NOSUID, options)
        finally:
            os.close(lower)
        self._owners.own(path)
        self._view.places.append(Place(path, f"{self._source(name)}/upper", layered=True))

    def make(self, path: str, directory: bool) -> str:
        """Make a path that is missing, with its parents; return it without links. Raises OSError."""
        path = os.path.realpath(path)
        current = ""
        names = [name for name in path.split("/") if name]
        for index, name in enumerate(names):
            parent, current = current or "/", f"{current}/{name}"
            last = index == len(names) - 1
            if os.path.exists(current):  # noqa: PTH110
                continue
            try:
                make_node(current, directory or not last)
            except OSError as error:
                if error.errno not in _READ_ONLY_ERRORS:
                    raise
                self._open_up(parent)
                make_node(current, directory or not last)
        if directory and not os.path.isdir(path):  # noqa: PTH112
            raise NotADirectoryError(errno.ENOTDIR, f"{path} is not a directory")
        return path

    def _open_up(self, path: str) -> None:
        """Replace a read-only directory by a writable one that holds the same entries, each mounted by itself."""
        before = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._cover(path, True)
            with os.scandir(before) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        os.symlink(os.readlink(entry.name, dir_fd=before), f"{path}/{entry.name}")  # noqa: PTH211
                        continue
                    make_node(f"{path}/{entry.name}", entry.is_dir(follow_symlinks=False))
                    target = f"{path}/{entry.name}"
                    with kernel.Trees() as trees:
                        kernel.place_tree(trees.take(entry.name, target, directory=before), target)
        finally:
            os.close(before)
