"""The port between the local engine's interpreter and the runner of pods.

The interpreter decides which container of which pod starts when; a `PodRunner` gives each container its processes,
its view of the file system and, shared by the pod, its loopback network. `engines.local.processes` does so with Linux
namespaces; a container runtime could replace it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Mount:
    """A file or directory of the host, mounted at `target` inside a container; it exists before the start.

    `source` is a path that the engine or the operator chooses. `below`, if given, is a path within it that pods may
    have changed: it is looked up without following a link and without leaving `source` (`beneath.open_mount`).
    With `as_owner` a container has the rights of the mount's owner; else those of others.
    """

    source: Path
    target: str
    read_only: bool = False
    below: str = ""
    as_owner: bool = True


@dataclass(frozen=True)
class PodSpec:
    """A pod's world: `directory` is its own folder on the host, `gateways` the addresses it may reach."""

    id: str
    directory: str | Path
    gateways: Sequence[str] = ()
    hidden_paths: Sequence[Path] = ()


@dataclass(frozen=True)
class ContainerSpec:
    """One process tree of a pod.

    `argv[0]` is looked up on `env["PATH"]`; `hostname`, if given, is the variable HOSTNAME unless `env` has it. Its
    output is appended to `stdout` and `stderr`: files that are made, with their directory, when there is
    something to write. `private_paths` are directories (the working directory, `/tmp`, parents of output paths) that
    only this container sees what it writes there. `memory_limit_bytes` counts what the whole process tree
    holds. `file_size_limit_bytes` bounds every file that it writes (RLIMIT_FSIZE). Of each stream the first
    `log_limit_bytes` are kept; the rest is dropped, and the log says so. With `gathered` little output may lie
    together with that of other containers, in one file beside `stdout` (layout.GATHERED).
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    working_dir: str
    stdout: str | Path
    stderr: str | Path
    mounts: Sequence[Mount] = ()
    private_paths: Sequence[str] = ("/tmp",)  # noqa: S108 - a path inside the pod
    memory_limit_bytes: int | None = None
    gathered: bool = False
    hostname: str = ""
    file_size_limit_bytes: int | None = None
    log_limit_bytes: int | None = None


@dataclass(frozen=True)
class ContainerExit:
    """A container ended: `exit_code` as a shell reports it (128 + signal), `reason` as a kubelet does.

    `reason` is `Completed`, `Error`, `OOMKilled` or, when it never ran, `StartError` with the cause in `message`.
    """

    pod: str
    container: str
    exit_code: int
    reason: str
    message: str = field(default="")


class OutputEntry(NamedTuple):
    """An entry that a container left: `kind` is "file", "directory" or "link".

    `name` is relative to the path that was asked for, "" for that itself; parents come first. `descriptor` is open for
    reading a file until the next entry is asked for. `mode` are the permission bits, `target` is where a link leads.
    """

    kind: str
    name: str
    mode: int
    target: str
    descriptor: int


class OutputUnreadable(Exception):
    """The content of a container's path cannot be read; the message names the path inside the container."""


class PodRunner(ABC):
    """Runs pods for one supervisor; used from one thread. `fileno()` becomes readable when `poll` has something."""

    @abstractmethod
    def fileno(self) -> int:
        """Return a descriptor to wait on with select or epoll."""

    @abstractmethod
    def open(self, pod: PodSpec) -> None:
        """Make a pod's world; no container runs yet."""

    @abstractmethod
    def start(self, pod_id: str, container: ContainerSpec) -> None:
        """Start a container. A program that cannot be started is reported by `poll` as `StartError`."""

    @abstractmethod
    def signal(self, pod_id: str, container: str, number: int) -> None:
        """Send a signal to a container's process tree; nothing happens when it has ended."""

    @abstractmethod
    def read(self, pod_id: str, container: str, path: str) -> Iterator[OutputEntry]:
        """Yield the entries at `path` of an ended container, in its own view and with its own rights.

        Nothing is yielded where the path does not exist, or where the container never ran. Raises OutputUnreadable.
        """

    def storage(self, pod_id: str) -> Sequence[str]:
        """Return the directories of the host with a pod's files outside of its mounts, as far as known."""
        return ()

    @abstractmethod
    def poll(self) -> list[ContainerExit]:
        """Return the containers that ended since the last call, without waiting."""

    def forget(self, pod_id: str, container: str) -> None:
        """Release an ended container of a pod that goes on: nothing of it is read any more."""

    @abstractmethod
    def close(self, pod_id: str) -> None:
        """Kill all processes of the pod and release its world; its directory stays."""

    @abstractmethod
    def close_all(self) -> None:
        """Close every pod."""
