"""Pods that fill the disk: each ends its own run, with the reason, and no other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.base import WorkflowPhase
from engines.local import LocalEngine, trees
from tests.engines.local.harness import run, shell, workflow
from tests.engines.local.processes.test_ordinary_user import NOBODY, command
from tests.engines.local.processes.world import place_outside_tmp

MakeEngine = Callable[..., LocalEngine]
MEBI = 1 << 20
PROJECT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def make(tmp_path: Path) -> Iterator[MakeEngine]:
    made: list[LocalEngine] = []

    def make_one(**options: Any) -> LocalEngine:
        engine = LocalEngine("local", {"root": tmp_path / "engine", "grace_seconds": 30, **options})
        made.append(engine)
        return engine

    yield make_one
    for engine in made:
        for status in list(engine.list()):
            engine.delete(status.name)


def main(script: str, **container: Any) -> dict[str, Any]:
    return {"name": "main", "container": shell(script, **container)}


def python(program: str) -> dict[str, Any]:
    return {
        "name": "main",
        "container": {"image": "python", "command": [sys.executable, "-I", "-S", "-c", program]},
    }


PLAIN = "head -c 12000000 /dev/zero > /tmp/file; sleep 60"
NAMELESS = "exec 3> /tmp/file; rm /tmp/file; head -c 12000000 /dev/zero >&3; sleep 60"
CLOSED = "mkdir /tmp/d; cd /tmp/d; head -c 12000000 /dev/zero > file; chmod 0 /tmp/d; sleep 60"
ELSEWHERE = "head -c 12000000 /dev/zero > $(mktemp -p /var/tmp); sleep 60"
SMALL = "import os, time\nfor i in range(4000): open(f'/tmp/{i}', 'w').close()\ntime.sleep(60)"
DEEP = "import os, time\nos.chdir('/tmp')\nfor i in range(1500):\n os.mkdir('d')\n os.chdir('d')\ntime.sleep(60)"
LOUD = "head -c 12000000 /dev/zero | tr '\\\\0' x; sleep 60"


@pytest.mark.parametrize(
    "template",
    [main(PLAIN), main(NAMELESS), main(CLOSED), main(ELSEWHERE), main(LOUD), python(SMALL), python(DEEP)],
    ids=["plain", "nameless", "closed", "elsewhere", "loud", "small", "deep"],
)
def test_a_run_that_takes_too_much_ends(make: MakeEngine, template: dict[str, Any]) -> None:
    engine = make(disk_bytes="8Mi", log_bytes="100Mi")

    status = run(engine, "greedy", workflow(template))

    assert status.phase == WorkflowPhase.FAILED
    assert status.message.startswith(("the run used ", "the run made directories more than ")), status.message
    assert [node["phase"] for node in status.nodes.values()] == ["Failed"]
    engine.delete("greedy")
    assert not engine.folder.path("greedy").exists()


def test_what_a_greedy_run_wrote_goes_at_its_end(make: MakeEngine) -> None:
    engine = make(disk_bytes="8Mi")
    mount = [{"name": "v", "mountPath": "/v"}]
    template = main("head -c 12000000 /dev/zero > /v/x; sleep 60", volumeMounts=mount)

    run(engine, "gone", workflow({**template, "volumes": [{"name": "v", "emptyDir": {}}]}))

    assert sum(trees.measured(str(engine.folder.path("gone")), set())) < MEBI


def test_an_artifact_counts(make: MakeEngine) -> None:
    engine = make(disk_bytes="8Mi")
    write = {
        **main("head -c 5000000 /dev/zero > /out"),
        "name": "write",
        "outputs": {"artifacts": [{"name": "a", "path": "/out"}]},
    }
    read = {**main("sleep 60"), "name": "read", "inputs": {"artifacts": [{"name": "a", "path": "/in"}]}}
    taken = {"artifacts": [{"name": "a", "from": "{{steps.w.outputs.artifacts.a}}"}]}
    steps = [[{"name": "w", "template": "write"}], [{"name": "r", "template": "read", "arguments": taken}]]

    status = run(engine, "copied", workflow({"name": "main", "steps": steps}, write, read))

    assert (status.phase, status.message[:13]) == (WorkflowPhase.FAILED, "the run used ")


def test_an_empty_dir_keeps_its_limit(make: MakeEngine) -> None:
    """Only the pod ends, as on a cluster: its neighbour and its retry go on."""
    volumes = [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "w", "emptyDir": {"sizeLimit": "4Mi"}}]
    mounts = [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w"}]
    greedy = main("head -c 3000000 /dev/zero > /w/x; head -c 3000000 /dev/zero > /v/x; sleep 60", volumeMounts=mounts)
    modest = main("head -c 500000 /dev/zero > /v/x; sleep 2", volumeMounts=mounts)
    steps = [
        [
            {"name": "greedy", "template": "greedy", "continueOn": {"failed": True}},
            {"name": "modest", "template": "modest"},
        ]
    ]
    manifest = workflow(
        {"name": "main", "steps": steps},
        {**greedy, "name": "greedy", "volumes": volumes},
        {**modest, "name": "modest", "volumes": volumes},
    )

    status = run(make(), "bounded", manifest)

    ended = {node["displayName"]: (node["phase"], node.get("message")) for node in status.nodes.values()}
    assert ended["greedy"] == ("Failed", 'Usage of EmptyDir volume "v" exceeds the limit "1Mi".')
    assert ended["modest"] == ("Succeeded", None)
    assert status.phase == WorkflowPhase.SUCCEEDED


def test_a_loud_container_is_cut_and_goes_on(make: MakeEngine) -> None:
    engine = make(log_bytes="1Mi")
    script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo lost; echo kept >&2; sleep 0.1"

    status = run(engine, "loud", workflow(main(script)))

    assert status.phase == WorkflowPhase.SUCCEEDED, status.message
    lines = [(line.stream, line.text) for line in engine.logs("loud")]
    assert ("stderr", "kept") in lines
    assert sum(text.count("x") for stream, text in lines if stream == "stdout") == MEBI
    assert [text for stream, text in lines if stream == "stdout"][-1].startswith("[The log was cut here")
    assert ("stdout", "lost") not in lines


# What needs a small disk of its own runs in another process, as root and as an ordinary user.

PREPARE = """
set -e
mount -t tmpfs -o size="$2",mode=755,uid="$3",gid="$3" none "$1"
shift 3
exec "$@"
"""


@pytest.fixture
def disk() -> Iterator[Path]:
    """Where a small disk is mounted; that lies where pods of any user find it."""
    name = tempfile.mkdtemp(prefix="orchestrator-disk-", dir=place_outside_tmp())
    Path(name).chmod(0o755)
    yield Path(name)
    Path(name).rmdir()


@pytest.fixture(scope="module")
def ordinary_home() -> Iterator[Path]:
    """A folder for an ordinary user's Python, which may lie where he sees it."""
    name = tempfile.mkdtemp(prefix="orchestrator-home-", dir=place_outside_tmp())
    Path(name).chmod(0o755)
    yield Path(name)
    shutil.rmtree(name)


@pytest.fixture(params=["service", "ordinary"])
def scene(request: pytest.FixtureRequest, disk: Path, ordinary_home: Path) -> Callable[..., dict[str, Any]]:
    """Plays a scene of `disk_scenes` on a disk of some MiB, and returns what it saw."""
    user, apart, program = "0", ["unshare", "--mount"], [sys.executable]
    if os.getuid():
        # Only in a user namespace may he mount something; in another one below he is an ordinary user again.
        apart = ["unshare", "--user", "--map-root-user", "--mount"]
        program = ["unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}", sys.executable]
    elif request.param == "ordinary":
        user, program = str(NOBODY), command(ordinary_home)

    def play(name: str, size: str) -> dict[str, Any]:
        prepare = ["sh", "-c", PREPARE, "sh", disk, size, user]
        done = subprocess.run(
            [*apart, *prepare, *program, "-m", "tests.attacks.disk_scenes", name, disk],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return play


def test_the_largest_run_ends_when_the_disk_is_short(scene: Callable[..., dict[str, Any]]) -> None:
    seen = scene("reserve", "48m")

    assert seen["greedy"][0] == "Failed"
    assert seen["greedy"][1].startswith("the run used ")
    assert "more than any other" in seen["greedy"][1]
    assert seen["modest"] == ["Succeeded", ""]
    assert seen["waiting"] == ["Succeeded", ""]


def test_stop_and_delete_need_no_room(scene: Callable[..., dict[str, Any]]) -> None:
    seen = scene("full", "24m")

    assert seen["room"] < 4096
    assert seen["stopped"] == ["Failed", "Stopped with strategy 'Stop'"]
    assert seen["terminated"] == ["Failed", "Stopped with strategy 'Terminate'"]
    assert seen["other"] == ["Running", ""]
    assert seen["lost"][0] == "Error"
    assert seen["deleted"] == []
    assert seen["after"] == ["Succeeded", ""]


def test_stop_and_delete_need_no_inode(scene: Callable[..., dict[str, Any]]) -> None:
    seen = scene("inodes", "24m,nr_inodes=3000")

    assert 0 < seen["made"] < 3000
    assert seen["stopped"] == ["Failed", "Stopped with strategy 'Stop'"]
    assert seen["deleted"] == []
    assert seen["other"] == ["Running", ""]


def test_a_shutdown_on_a_full_disk_loses_no_run(scene: Callable[..., dict[str, Any]]) -> None:
    seen = scene("paused", "24m")

    assert seen["paused"]
    assert seen["before"] == ["Running", ""]
    assert seen["after"] == ["Succeeded", ""]


def test_runs_wait_for_the_reserve(scene: Callable[..., dict[str, Any]]) -> None:
    seen = scene("short", "24m")

    assert seen["before"][0] == "Pending"
    assert "its reserve is" in seen["before"][1]
    assert seen["stopped"][0] == "Failed"
    assert seen["handler"] == ["Succeeded"]
    assert seen["after"] == ["Succeeded", ""]
