"""Whether this machine allows sandboxes, as messages for an operator."""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

from engines.local.pods import ContainerExit, ContainerSpec, PodSpec
from engines.local.processes import kernel, storage
from engines.local.processes.runner import ProcessPodRunner

_OLDEST_KERNEL = (5, 12)
_TRIAL_SECONDS = 20.0
_PROCESSES = 16
# (file, the value that forbids, what to do)
_SWITCHES = (
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)
_CONTAINER_ADVICE = (
    "inside a container it needs the capability CAP_SYS_ADMIN, or user namespaces and an unmasked /proc"
    " (Docker: --security-opt seccomp=unconfined --security-opt systempaths=unconfined;"
    " Kubernetes: procMount: Unmasked)"
)


def surroundings(directory: Path | None = None) -> list[str]:
    """Return why pods cannot run on this machine; empty when a trial pod ran.

    `directory` is the engine's folder, so that the trial uses the same file system.
    """
    if sys.platform != "linux":
        return ["the local engine needs Linux: its pods are made of Linux namespaces"]
    release = os.uname().release
    numbers = [int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit()]
    if tuple(numbers) < _OLDEST_KERNEL:
        return [f"the local engine needs Linux 5.12 or newer; this is {release}"]
    try:
        ended = _run_trial(Path(directory or os.environ.get("TMPDIR", "/tmp"), f"trial-{os.urandom(8).hex()}"))  # noqa: S108
    except OSError as error:
        return _explain(str(error))
    if ended is None:
        return _explain("a trial pod did not end in time")
    return [] if ended.exit_code == 0 else _explain(ended.message or f"a trial pod ended with {ended.exit_code}")


def _run_trial(directory: Path) -> ContainerExit | None:
    directory.mkdir(mode=0o700)
    runner = ProcessPodRunner(directory / "sandboxes", (), (), _PROCESSES)
    try:
        runner.open(PodSpec("trial", directory))
        log = directory / "log"
        runner.start("trial", ContainerSpec("trial", ["true"], {}, "/", log, log))
        until = time.monotonic() + _TRIAL_SECONDS
        while (left := until - time.monotonic()) > 0:
            select.select([runner], [], [], left)
            for ended in runner.poll():
                return ended
        return None
    finally:
        runner.close_all()
        storage.wipe(str(directory))


def _explain(cause: str) -> list[str]:
    problem = f"the local engine cannot run pods here: {cause}"
    if kernel.is_privileged():
        return [problem]
    remedies = [f"{remedy}" for file, value, remedy in _SWITCHES if _holds(file, value)]
    if remedies:
        return [f"{problem}; as an ordinary user it needs user namespaces: {remedy}" for remedy in remedies]
    return [f"{problem}; {_CONTAINER_ADVICE}"]


def _holds(file: str, value: str) -> bool:
    try:
        return Path(file).read_text().strip() == value
    except OSError:
        return False
