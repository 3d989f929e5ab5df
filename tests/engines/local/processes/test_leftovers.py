"""What is left when pods are closed, and when their supervisor dies."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

from engines.local.pods import Mount
from tests.engines.local.processes.world import World, open_descriptors, processes_with

SUPERVISOR = """
import sys
from pathlib import Path
from tests.engines.local.processes.world import World
world = World(Path(sys.argv[1]))
world.open()
world.start("sh", "-c", f"(setsid sh -c 'sleep 1000; : {sys.argv[2]}' &) ; sleep 1000; : {sys.argv[2]}")
print("started", flush=True)
world.wait()
"""


def mounts():
    return Path("/proc/self/mountinfo").read_text()


def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def test_nothing_is_left(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    before = (mounts(), open_descriptors(), children())
    mark = uuid.uuid4().hex
    world = World(tmp_path)
    for number in range(3):
        world.open(f"pod-{number}", gateways=["127.0.0.1:9"])
        world.start("sh", "-c", f"setsid sh -c 'sleep 1000; : {mark}' & wait", pod=f"pod-{number}")
        world.start(
            "sh",
            "-c",
            "echo x > /tmp/x; mkdir -m 0 /tmp/shut; true",
            pod=f"pod-{number}",
            name="other",
            mounts=[Mount(source, "/ws")],
        )
        world.wait(f"pod-{number}", "other")
    world.until(lambda: len(processes_with(mark)) >= 3)
    world.runner.close("pod-0")
    world.runner.close_all()
    world.runner.close_all()
    assert processes_with(mark) == []
    assert (mounts(), open_descriptors(), children()) == before
    assert not (tmp_path / "sandboxes").exists()


def test_a_closed_pod_has_no_processes(world):
    mark = uuid.uuid4().hex
    world.open()
    world.start("sh", "-c", f"(setsid sh -c 'sleep 1000; : {mark}' &) ; sleep 1000")
    world.until(lambda: len(processes_with(mark)) >= 2)
    world.runner.close("pod")
    assert processes_with(mark) == []
    world.runner.close("pod")


def test_a_closed_pod_reports_nothing(world):
    world.open()
    world.start("true")
    world.start("sleep", "1000", name="side")
    world.runner.close("pod")
    world.until(lambda: world.runner.idle() == 1)
    assert world.ended == {}


def test_sandboxes_are_used_again(world):
    for number in range(10):
        pod = f"pod-{number}"
        world.open(pod)
        world.shell("true", pod=pod)
        world.runner.close(pod)
        world.until(lambda: world.runner.idle() == 1)


def test_a_thousand_descriptors_are_not_needed(world):
    world.open()
    world.shell("true")
    before = open_descriptors()
    for _ in range(50):
        world.shell("echo x > /tmp/x")
    assert open_descriptors() == before


def test_pods_die_with_their_supervisor(tmp_path):
    mark = uuid.uuid4().hex
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(tmp_path), mark], stdout=subprocess.PIPE)
    try:
        assert supervisor.stdout.readline() == b"started\n"
        world = World(tmp_path / "unused")
        world.until(lambda: len(processes_with(mark)) >= 3)
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
        world.until(lambda: processes_with(mark) == [])
        world.runner.close_all()
    finally:
        supervisor.kill()
        supervisor.wait()
        supervisor.stdout.close()


def test_a_container_that_is_forgotten_leaves_no_process(world, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    world.open()
    world.start("sleep", "1000", name="daemon")
    world.run("true", name="first")
    before = descendants(os.getpid())
    for number in range(20):
        world.start("true", name=f"step-{number}", mounts=[Mount(source, "/ws")])
        world.wait("pod", f"step-{number}")
        world.runner.forget("pod", f"step-{number}")
    world.run("true", name="last")
    (sandbox,) = (tmp_path / "sandboxes").iterdir()
    assert len(list(sandbox.glob("view-*"))) <= 8
    assert descendants(os.getpid()) < before + 6
    assert ("pod", "daemon") not in world.ended


def descendants(pid: int) -> int:
    below = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return len(below) + sum(descendants(each) for each in below)
