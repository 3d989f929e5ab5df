"""How a view is built, inside the init process of a sandbox.

Where the kernel allows it the root is one overlay over the host's root. Elsewhere (inside a user namespace, or when the
file system that holds the upper directory refuses) it is a skeleton: a directory of the sandbox in which the host's
top-level directories are mounted read-only. A read-only directory that must grow an entry is replaced by one whose
entries are mounted one by one.

Every path is looked up after the root has changed, so no link inside leads to the host's files.
"""

from __future__ import annotations

import errno
import os
import stat

from engines.local.processes import kernel
from engines.local.processes.view import Place, Sight, View

# Never seen from inside: places where the host's own programs talk to each other or leave files for each other.
_EMPTY = {"/tmp": 0o1777, "/var/tmp": 0o1777, "/run": 0o755}  # noqa: S108
_OWN = ("/proc", "/sys", "/dev")
_READ_ONLY_ERRORS = (errno.EROFS, errno.EACCES, errno.EPERM)


def host_mounts(apart: str) -> list[str]:
    """Return the mount points that an overlay over the root doesn't show, without those every sandbox has itself."""
    with open("/proc/self/mountinfo") as file:  # noqa: PTH123 - pathlib is slow to import
        points = {_unescaped(line.split(" ", 5)[4]) for line in file}
    found: list[str] = []
    for point in sorted(points - {"/"}):
        if not any(point == path or point.startswith(path + "/") for path in (*_OWN, *_EMPTY, apart, *found)):
            found.append(point)
    return found


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return os.fsdecode(os.fsencode(text).decode("unicode_escape").encode("latin-1"))


class ViewBuilder:
    """Builds views for one sandbox whose `proc`, `dev` and `hosts` lie in `directory`.

    Works in the init process, from the mount namespace the sandbox was given at first.
    """

    def __init__(self, directory: str, layers: bool) -> None:
        self._directory = directory
        self._layers = layers
        self._host_mounts = host_mounts(directory)
        self._made = 0

    def build(self, sight: Sight) -> View:
        """Build a view and stay inside its mount namespace, also when it fails. Raises OSError."""
        self._made += 1
        view = View(sight, f"{self._directory}/view-{self._made}")
        for name in ("", "/root", "/work", "/private"):
            os.mkdir(view.directory + name, 0o755)  # noqa: PTH102
        kernel.unshare(kernel.NEW_MOUNTS)
        with kernel.Trees() as trees:
            root = self._prepare(view, trees)
            self._fill(view, root, trees)
        view.descriptor = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        view.identity = os.readlink("/proc/self/ns/mnt")  # noqa: PTH115
        return view

    def _prepare(self, view: View, trees: kernel.Trees) -> str:
        """Take from the host's view what the new one shows; return where the new root is mounted."""
        trees.take(f"{self._directory}/proc", "/proc")
        trees.take(f"{self._directory}/dev", "/dev")
        trees.try_take("/sys", "/sys")
        if self._layers:
            try:
                return self._layer_root(view, trees)
            except OSError:
                # The file system below the upper directory refuses; that doesn't change.
                self._layers = False
        return self._skeleton_root(view, trees)

    def _layer_root(self, view: View, trees: kernel.Trees) -> str:
        os.chdir(view.directory)
        try:
            kernel.mount("overlay", "root", "overlay", 0, "lowerdir=/,upperdir=root,workdir=work,volatile")
        finally:
            os.chdir("/")
        view.places.append(Place("/", f"{view.directory}/root", see_through=True))
        for path in self._host_mounts:
            trees.try_take(path, path)
        return f"{view.directory}/root"

    def _skeleton_root(self, view: View, trees: kernel.Trees) -> str:
        root = f"{view.directory}/root"
        with kernel.Trees() as own:
            kernel.place_tree(own.take(root, root), root)
        view.places.append(Place("/", root, see_through=True))
        with os.scandir("/") as entries:
            for entry in entries:
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.path), f"{root}/{entry.name}")  # noqa: PTH115, PTH211
                    continue
                make_node(f"{root}/{entry.name}", entry.is_dir(follow_symlinks=False))
                if entry.path not in (*_OWN, *_EMPTY):
                    trees.try_take(entry.path, entry.path)
        return root

    def _fill(self, view: View, root: str, trees: kernel.Trees) -> None:
        sight = view.sight
        private = os.open(f"{view.directory}/private", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        hosts = f"{self._directory}/hosts"
        if os.path.exists(hosts):  # noqa: PTH110
            trees.take(hosts, "/etc/hosts", read_only=True)
        old_root = kernel.pivot_to(root)
        try:
            inside = _Inside(view, private)
            inside.place_all(trees)
            for path, mode in _EMPTY.items():
                inside.hide(path, mode)
            for path in (*sight.hidden_paths, self._directory):
                inside.hide(path, 0o755)
            for path in sight.private_paths:
                inside.make_writable(path)
            for path, directory in sorted(sight.targets):
                inside.make(path, directory)
            inside.make(sight.working_dir, directory=True)
        finally:
            os.close(private)
            kernel.let_go(old_root)


def make_node(path: str, directory: bool, parent: int | None = None) -> None:
    """Make an empty directory or file. Raises OSError."""
    if directory:
        os.mkdir(path, 0o755, dir_fd=parent)
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=parent))


class _Inside:
    """The inside of a view under construction; the process's root is the view's root already."""

    def __init__(self, view: View, private: int) -> None:
        self._view = view
        self._private = private
        self._count = 0

    def place_all(self, trees: kernel.Trees) -> None:
        for tree, target in trees:
            try:
                kernel.place_tree(tree, target)
            except OSError as error:
                # A mount of the host below a directory that is shown empty.
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise

    def hide(self, path: str, mode: int) -> None:
        """Put an empty directory (or file) over a path, if it is there."""
        path = os.path.realpath(path)
        try:
            directory = stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116
        except OSError:
            return
        self._cover(path, directory, mode)

    def make_writable(self, path: str) -> None:
        """Let the container write into a directory that nobody else sees; what is in it stays to be seen."""
        found = os.path.isdir(path)  # noqa: PTH112
        path = self.make(path, directory=True)
        if path == "/" or any(place.target == path and not place.see_through for place in self._view.places):
            return
        if not found:
            self._cover(path, True, 0o777)
        elif os.statvfs(path).f_flag & os.ST_RDONLY or not os.access(path, os.W_OK):
            try:
                self._layer(path)
            except OSError:
                self._cover(path, True, 0o777)

    def _new_private(self, directory: bool, mode: int) -> str:
        self._count += 1
        name = str(self._count)
        make_node(name, directory, self._private)
        os.chmod(name, mode, dir_fd=self._private)
        return name

    def _source(self, name: str) -> str:
        return f"{self._view.directory}/private/{name}"

    def _cover(self, path: str, directory: bool, mode: int) -> None:
        name = self._new_private(directory, mode)
        with kernel.Trees() as trees:
            kernel.place_tree(trees.take(name, path, directory=self._private), path)
        self._view.places.append(Place(path, self._source(name)))

    def _layer(self, path: str) -> None:
        """Mount an overlay over a directory; its lower directory is what is there now."""
        name = self._new_private(True, 0o755)
        for part in ("upper", "work"):
            make_node(f"{name}/{part}", True, self._private)
        lower = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        storage = f"/proc/self/fd/{self._private}/{name}"
        options = f"lowerdir=/proc/self/fd/{lower},upperdir={storage}/upper,workdir={storage}/work,volatile"
        try:
            try:
                kernel.mount("overlay", path, "overlay", 0, options + ",userxattr")
            except OSError:
                kernel.mount("overlay", path, "overlay", 0, options)
        finally:
            os.close(lower)
        self._view.places.append(Place(path, f"{self._source(name)}/upper", see_through=True))

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
            self._cover(path, True, 0o755)
            self._view.places[-1] = Place(path, self._view.places[-1].source, see_through=True)
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
