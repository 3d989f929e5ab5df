"""The local engine's pods as containers of real images, so that the suite is the cluster of the service's images.

A `PodRunner` as the engine takes one: the image's name is the first word of what a container runs (conftest.py).
Nothing but the standard library is imported: the engine's supervisors have no packages.
"""

from __future__ import annotations

import io
import json
import os
import select
import socket
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from engines.local.pods import ContainerExit, ContainerSpec, Mount, OutputEntry, PodRunner, PodSpec

# In the engine's folder: how podman is called, the network of the service, and further options of its `run`.
ORDER = "podman.json"
# The engine's own words for its processes; images have theirs.
_OF_THE_ENGINE = frozenset({"PATH", "HOME", "LANG"})


class PodmanRunner(PodRunner):
    """Runs a Workflow's pods as pods of podman."""

    def __init__(self, directory: Path, own: Sequence[str], readable: Sequence[str], most_processes: int) -> None:
        order = next(folder / ORDER for folder in directory.parents if (folder / ORDER).exists())
        given = json.loads(order.read_text())
        self._command: list[str] = given["command"]
        self._network: str = given["network"]
        self._options: list[str] = given["options"]
        self._environment: dict[str, str] = {**os.environ, **given["environment"]}
        self._names: dict[tuple[str, str], str] = {}
        self._pods: dict[str, str] = {}
        self._prefix = f"suite-{os.getpid()}-"
        self._ends: list[ContainerExit] = []
        self._bell, self._ringer = socket.socketpair()

    def fileno(self) -> int:
        return self._bell.fileno()

    def open(self, pod: PodSpec) -> None:
        name = f"{self._prefix}{len(self._pods)}"
        self._call("pod", "create", "--name", name, "--network", self._network)
        self._pods[pod.id] = name

    def start(self, pod_id: str, container: ContainerSpec) -> None:
        image, *arguments = container.argv
        name = f"{self._pods[pod_id]}-{len(self._names)}"
        self._names[pod_id, container.name] = name
        variables = {key: value for key, value in container.env.items() if key not in _OF_THE_ENGINE}
        options = [part for item in variables.items() for part in ("--env", "=".join(item))]
        for mount in container.mounts:
            _opened_to_all(Path(mount.source, mount.below))
            options += ["--mount", _mount(mount)]
        # As the restricted pods of a cluster: no capability, nothing gained; manifests write below /tmp and here.
        options += ["--cap-drop", "all", "--security-opt", "no-new-privileges", *self._options]
        for stream in (container.stdout, container.stderr):
            Path(stream).parent.mkdir(parents=True, exist_ok=True)
        with Path(container.stdout).open("ab") as stdout, Path(container.stderr).open("ab") as stderr:
            process = subprocess.Popen(
                [*self._command, "run", "--name", name, "--pod", self._pods[pod_id], *options, image, *arguments],
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=self._environment,
            )  # fmt: skip
        threading.Thread(target=self._await, args=(process, pod_id, container.name), daemon=True).start()

    def _await(self, process: subprocess.Popen[bytes], pod: str, container: str) -> None:
        code = process.wait()
        self._ends.append(ContainerExit(pod, container, code, "Error" if code else "Completed"))
        self._ringer.send(b"!")

    def signal(self, pod_id: str, container: str, number: int) -> None:
        self._call("kill", "--signal", str(int(number)), self._names[pod_id, container], check=False)

    def read(self, pod_id: str, container: str, path: str) -> Iterator[OutputEntry]:
        asked = path.rstrip("/") or "/"
        copied = self._call("cp", f"{self._names[pod_id, container]}:{asked}", "-", check=False)
        if copied.returncode:
            return
        with tarfile.open(fileobj=io.BytesIO(copied.stdout)) as archive:
            for member in archive:
                # The first part of a name is that of what was asked for; there is none where it is the root.
                name = "/".join(PurePosixPath(member.name).parts[0 if asked == "/" else 1 :])
                with _content(archive, member) as content:
                    kind = "directory" if member.isdir() else "link" if member.issym() else "file"
                    yield OutputEntry(kind, name, member.mode & 0o777, member.linkname, content.fileno())

    def poll(self) -> list[ContainerExit]:
        while select.select([self._bell], [], [], 0)[0]:
            self._bell.recv(4096)
        ends, self._ends = self._ends, []
        return ends

    def close(self, pod_id: str) -> None:
        if name := self._pods.get(pod_id):
            self._call("pod", "rm", "--force", "--ignore", "--time", "0", name, check=False)

    def close_all(self) -> None:
        for pod in self._pods:
            self.close(pod)

    def _call(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self._command, *arguments], capture_output=True, check=check, env=self._environment, timeout=300
        )


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    if (found := archive.extractfile(member)) is not None:
        spool.write(found.read())
        spool.seek(0)
    return spool


def _opened_to_all(place: Path) -> None:
    """Let any user read and write below a volume or an artifact of the engine, as a cluster's engine sees to it."""
    for path in [place, *place.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o777 if path.is_dir() else 0o666))


def _mount(mount: Mount) -> str:
    source = Path(mount.source, mount.below)
    return f"type=bind,source={source},destination={mount.target}{',readonly=true' if mount.read_only else ''}"
