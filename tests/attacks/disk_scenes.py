"""What happens on a small disk, played in a process of its own by `test_pod_disk`; says as JSON what it saw."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engines.base import StopStrategy, Submission, WorkflowNotFound
from engines.local import LocalEngine, layout, liveness
from tests.engines.local.harness import shell, wait, workflow

MEBI = 1 << 20
SECONDS = 90.0
Seen = dict[str, Any]


def submit(engine: LocalEngine, name: str, script: str) -> None:
    engine.submit(Submission(name, workflow({"name": "main", "container": shell(script)})))


def said(engine: LocalEngine, name: str) -> list[str]:
    status = engine.get(name)
    return [str(status.phase), status.message]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what a scene waits for did not happen")
        time.sleep(0.05)


def running(engine: LocalEngine, *names: str) -> None:
    until(lambda: all([n["phase"] for n in engine.get(name).nodes.values()] == ["Running"] for name in names))


def room(directory: Path) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def fill(path: Path) -> None:
    """Write until nothing more goes."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65536)
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0")


def reserve(disk: Path) -> Seen:
    """One run fills the disk bit by bit, beside another that has taken less, and one that begins meanwhile."""
    engine = LocalEngine("local", {"root": disk / "engine", "disk_reserve_bytes": "16Mi", "grace_seconds": 1})
    submit(engine, "modest", "head -c 6000000 /dev/zero > /tmp/x; sleep 8; test $(wc -c < /tmp/x) = 6000000")
    running(engine, "modest")
    submit(engine, "greedy", "while head -c 300000 /dev/zero >> /tmp/x; do sleep 0.02; done; sleep 60")
    running(engine, "greedy")
    until(lambda: room(disk) < 16 * MEBI)
    submit(engine, "waiting", "true")
    for name in ("greedy", "modest", "waiting"):
        wait(engine, name)
    return {name: said(engine, name) for name in ("greedy", "modest", "waiting")}


def full(disk: Path) -> Seen:
    """The disk is full to the last byte."""
    engine = LocalEngine("local", {"root": disk / "engine", "disk_reserve_bytes": 0, "grace_seconds": 1})
    names = ("stopped", "terminated", "other", "lost", "deleted")
    for name in names:
        submit(engine, name, "while ! test -e /tmp/go; do sleep 0.1; echo x > /dev/shm/x; done")
    running(engine, *names)
    fill(disk / "filler")
    seen: Seen = {"room": room(disk)}
    engine.stop("stopped")
    engine.stop("terminated", StopStrategy.TERMINATE)
    until(lambda: engine.get("stopped").phase.is_terminal and engine.get("terminated").phase.is_terminal)
    fill(disk / "filler2")
    liveness.kill(engine.folder.path("lost"))
    until(lambda: engine.get("lost").phase.is_terminal)
    fill(disk / "filler3")
    engine.delete("deleted")
    seen["deleted"] = [name for name in engine.folder.names() if name == "deleted"]
    for name in ("stopped", "terminated", "lost", "other"):
        seen[name] = said(engine, name)
    for filler in disk.glob("filler*"):
        filler.unlink()
    submit(engine, "after", "true")
    wait(engine, "after")
    seen["after"] = said(engine, "after")
    return seen


def inodes(disk: Path) -> Seen:
    """There is room, but not for one file more."""
    engine = LocalEngine("local", {"root": disk / "engine", "disk_reserve_bytes": 0, "grace_seconds": 1})
    for name in ("stopped", "deleted", "other"):
        submit(engine, name, "sleep 60")
    running(engine, "stopped", "deleted", "other")
    (disk / "filler").mkdir()
    made = 0
    with contextlib.suppress(OSError):
        while True:
            (disk / f"filler/{made}").touch()
            made += 1
    engine.stop("stopped")
    until(lambda: engine.get("stopped").phase.is_terminal)
    engine.delete("deleted")
    return {
        "made": made,
        "stopped": said(engine, "stopped"),
        "deleted": [name for name in engine.folder.names() if name == "deleted"],
        "other": said(engine, "other"),
    }


def paused(disk: Path) -> Seen:
    """The service is shut down while the disk is full: its runs go on when there is room."""
    engine = LocalEngine("local", {"root": disk / "engine", "disk_reserve_bytes": 0, "grace_seconds": 1})
    submit(engine, "paused", "sleep 2")
    running(engine, "paused")
    fill(disk / "filler")
    path = engine.folder.path("paused")
    os.kill(int((path / layout.LOCK).read_text().split()[-1]), signal.SIGTERM)
    until(lambda: not liveness.is_alive(path))
    seen: Seen = {"paused": engine.folder.is_paused("paused"), "before": said(engine, "paused")}
    (disk / "filler").unlink()
    wait(engine, "paused")
    seen["after"] = said(engine, "paused")
    return seen


def short(disk: Path) -> Seen:
    """The reserve is not there."""
    engine = LocalEngine("local", {"root": disk / "engine", "disk_reserve_bytes": "16Mi", "grace_seconds": 1})
    main = {"name": "main", "container": shell("sleep 60")}
    handled = workflow(main, {"name": "handler", "container": shell("true")}, onExit="handler")
    engine.submit(Submission("handled", handled))
    running(engine, "handled")
    (disk / "filler").write_bytes(b"\0" * 12 * MEBI)
    submit(engine, "waiting", "true")
    submit(engine, "stopped", "true")
    until(lambda: bool(engine.get("waiting").message))
    time.sleep(1.5)
    seen: Seen = {"before": said(engine, "waiting")}
    engine.stop("stopped")
    engine.stop("handled")
    seen["stopped"] = [str(wait(engine, "stopped").phase)]
    nodes = wait(engine, "handled").nodes
    seen["handler"] = [node["phase"] for node in nodes.values() if node["displayName"].endswith(".onExit")]
    (disk / "filler").unlink()
    wait(engine, "waiting")
    seen["after"] = said(engine, "waiting")
    return seen


SCENES = {scene.__name__: scene for scene in (reserve, full, inodes, paused, short)}


def play(name: str, disk: Path) -> Seen:
    """Play a scene, and leave nothing running."""
    try:
        return SCENES[name](disk)
    finally:
        engine = LocalEngine("local", {"root": disk / "engine"})
        shutil.rmtree(disk / "filler", ignore_errors=True)
        for workflow_name in engine.folder.names():
            with contextlib.suppress(WorkflowNotFound):
                engine.delete(workflow_name)
        # The nursery goes with its socket.
        for nursery in (disk / "engine").glob("nursery-*"):
            nursery.unlink()


if __name__ == "__main__":
    print(json.dumps(play(sys.argv[1], Path(sys.argv[2]))))
