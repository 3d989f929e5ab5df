"""Helpers of these tests: real pods of real processes."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from engines.local.options import OWN_PROGRAMS
from engines.local.pods import ContainerExit, ContainerSpec, Mount, PodSpec
from engines.local.processes import ProcessPodRunner
from engines.local.processes.host_files import readable_paths

PATIENCE_SECONDS = 60.0


class World:
    """A runner, its directory, and words for what the tests do with it."""

    def __init__(self, directory: Path, most_processes: int = 1024, readable: Sequence[str] = ()) -> None:
        self.directory = directory
        self.runner = ProcessPodRunner(directory / "sandboxes", OWN_PROGRAMS, readable, most_processes)
        self.ended: dict[tuple[str, str], ContainerExit] = {}

    def open(self, pod: str = "pod", gateways: Sequence[str] = (), hidden: Sequence[Path] = ()) -> None:
        (self.directory / pod).mkdir(exist_ok=True)
        self.runner.open(PodSpec(pod, self.directory / pod, gateways, hidden))

    def start(
        self,
        *argv: str,
        pod: str = "pod",
        name: str = "main",
        env: dict[str, str] | None = None,
        working_dir: str = "/",
        mounts: Sequence[Mount] = (),
        private_paths: Sequence[str] = ("/tmp",),
        memory_limit_bytes: int | None = None,
        gathered: bool = False,
    ) -> None:
        self.ended.pop((pod, name), None)
        self.runner.start(
            pod,
            ContainerSpec(
                name,
                argv,
                {"PATH": "/usr/local/bin:/usr/bin:/bin", **(env or {})},
                working_dir,
                self.directory / pod / f"{name}.stdout",
                self.directory / pod / f"{name}.stderr",
                tuple(mounts),
                tuple(private_paths),
                memory_limit_bytes,
                gathered,
            ),
        )

    def wait(self, pod: str = "pod", name: str = "main") -> ContainerExit:
        self.until(lambda: (pod, name) in self.ended)
        return self.ended[pod, name]

    def until(self, condition: Callable[[], bool]) -> None:
        """Serve the runner until something holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("what a test waits for did not happen")
            select.select([self.runner], [], [], 0.02)
            for one in self.runner.poll():
                self.ended[one.pod, one.container] = one

    def run(self, *argv: str, pod: str = "pod", name: str = "main", **options) -> str:
        """Run a container to its end; return what it wrote to stdout."""
        before = len(self.output(pod, name))
        self.start(*argv, pod=pod, name=name, **options)
        ended = self.wait(pod, name)
        assert ended.exit_code == 0, (ended, self.output(pod, name, "stderr"))
        return self.output(pod, name)[before:]

    def shell(self, script: str, **options) -> str:
        return self.run("sh", "-c", script, **options)

    def output(self, pod: str = "pod", name: str = "main", stream: str = "stdout") -> str:
        path = self.directory / pod / f"{name}.{stream}"
        return path.read_text() if path.exists() else ""

    def left(self, path: str, pod: str = "pod", name: str = "main") -> dict[str, str]:
        """Return what a container that has ended left at a path: each entry's name and text, kind or target."""
        found = {}
        for entry in self.runner.read(pod, name, path):
            found[entry.name] = {"directory": "a directory", "link": f"-> {entry.target}"}.get(entry.kind, "")
            if entry.kind == "file":
                found[entry.name] = os.read(entry.descriptor, 1 << 20).decode()
        return found

    def text(self, path: str, pod: str = "pod", name: str = "main") -> str:
        """Return the text of a file that a container left."""
        return self.left(path, pod, name)[""]


def place_outside_tmp() -> Path:
    """Return a directory that this user may write in, not below the /tmp that each pod has for itself."""
    return next(path for path in (Path("/var/lib"), Path.home(), Path("/var/tmp")) if os.access(path, os.W_OK))


def leading_to_programs(directory: str) -> list[str]:
    """Return the entries of a directory that lead to this Python and the programs of pods, where those lie below it."""
    paths = [Path(one.path) for one in readable_paths(OWN_PROGRAMS, ())]
    return sorted({path.relative_to(directory).parts[0] for path in paths if path.is_relative_to(directory)})


def python(script: str) -> tuple[str, ...]:
    """Return the command of a small Python program."""
    return (sys.executable, "-I", "-S", "-c", script)


def processes_with(mark: str) -> list[int]:
    """Return the processes whose command line has `mark` in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
