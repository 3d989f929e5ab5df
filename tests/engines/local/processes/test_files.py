"""What containers see of the file system, and where on the host it lies."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from engines.local.pods import Mount, OutputUnreadable
from engines.local.processes.host_files import ACCOUNTS
from tests.engines.local.processes.world import World, leading_to_programs, place_outside_tmp


@pytest.fixture
def source(tmp_path):
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "file").write_text("from the host")
    return directory


@pytest.fixture
def pod(world):
    world.open()
    return world


@pytest.mark.parametrize(
    "target", ["/ws", "/usr/application", "/tmp/input_elements", "/var/lib/a/b/c", "/run/secrets", "/etc/ours"]
)
def test_a_directory_is_mounted_anywhere(pod, source, target):
    shown = pod.shell(f"cat {target}/file; echo back > {target}/answer", mounts=[Mount(source, target)])
    assert shown == "from the host"
    assert (source / "answer").read_text() == "back\n"
    assert pod.text(f"{target}/answer") == "back\n"
    assert not Path(target, "answer").exists()


@pytest.mark.parametrize("target", ["/platform_vars.json", "/usr/share/ours.json", "/etc/hostname"])
def test_a_file_is_mounted_anywhere(pod, source, target):
    before = Path(target).read_bytes() if Path(target).exists() else None
    assert pod.run("cat", target, mounts=[Mount(source / "file", target)]) == "from the host"
    assert pod.text(target) == "from the host"
    assert (Path(target).read_bytes() if Path(target).exists() else None) == before


def test_a_mount_lies_inside_another(pod, source, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    pod.shell("echo x > /ws/deep/er/file", mounts=[Mount(inner, "/ws/deep/er"), Mount(source, "/ws")])
    assert (inner / "file").read_text() == "x\n"
    assert pod.text("/ws/deep/er/file") == "x\n"
    assert pod.text("/ws/file") == "from the host"


def test_a_read_only_mount_cannot_be_written(pod, source):
    pod.start("sh", "-c", "echo no > /ws/file", mounts=[Mount(source, "/ws", read_only=True)])
    assert pod.wait().exit_code != 0
    assert (source / "file").read_text() == "from the host"


def test_the_host_cannot_be_written(pod):
    file, directory = f"/etc/never-{os.getpid()}", f"/home/never-{os.getpid()}"
    before = Path("/etc/hosts").read_bytes()
    pod.start("sh", "-c", f"echo x > {file}; mkdir {directory}; echo x >> /etc/hosts; rm -f /etc/hosts")
    pod.wait()
    assert not Path(file).exists()
    assert not Path(directory).exists()
    assert Path("/etc/hosts").read_bytes() == before


def test_the_temporary_directory_is_empty_and_private(pod):
    pod.start("sleep", "1000", name="other")
    nothing = leading_to_programs("/tmp")
    shown = pod.shell("ls -A /tmp; echo mine > /tmp/only-of-this-pod; cat /tmp/only-of-this-pod")
    assert shown.splitlines() == [*nothing, "mine"]
    assert pod.shell("ls -A /tmp", name="second").splitlines() == nothing
    assert pod.text("/tmp/only-of-this-pod") == "mine\n"
    assert not Path("/tmp/only-of-this-pod").exists()


def test_private_paths_can_be_written_and_are_read(pod):
    paths = ("/tmp", "/usr/application", "/out/put", "/srv")
    pod.shell("for d in /tmp /usr/application /out/put /srv; do echo $d > $d/result; done", private_paths=paths)
    for path in paths:
        assert pod.text(f"{path}/result") == f"{path}\n"
        assert not Path(path, "result").exists()


def test_a_private_path_keeps_what_the_host_has_there(pod):
    assert "passwd" in pod.shell("ls /etc; echo x > /etc/mine", private_paths=("/etc",))
    assert pod.text("/etc/mine") == "x\n"
    assert not Path("/etc/mine").exists()


def test_links_are_followed_inside_the_view_only(pod, source):
    pod.shell(
        "ln -s /etc/passwd /tmp/absolute; ln -s ../../../ws/file /tmp/relative; ln -s /tmp/circle /tmp/circle;"
        "echo mine > /tmp/passwd; ln -s /tmp /ws/back",
        mounts=[Mount(source, "/ws")],
    )
    assert pod.text("/tmp/relative") == "from the host"
    assert pod.text("/ws/back/passwd") == "mine\n"
    assert pod.text("/tmp/absolute") == ACCOUNTS["passwd"]
    assert pod.text("/tmp/../tmp/./passwd") == "mine\n"
    with pytest.raises(OutputUnreadable, match="symbolic links"):
        pod.left("/tmp/circle")


def test_nothing_is_read_below_hidden_paths(world, tmp_path):
    hidden = tmp_path.parent / f"{tmp_path.name}-patients"
    hidden.mkdir()
    (hidden / "data").write_text("secret")
    world.open(hidden=[hidden])
    world.shell(f"mkdir -p /tmp/x; ln -s {hidden}/data /tmp/link")
    assert world.left("/tmp/link") == {}
    assert world.left(str(hidden / "data")) == {}


def test_what_was_not_written_is_not_there(pod):
    pod.shell("true")
    assert pod.left("/tmp/nothing") == {}
    assert pod.left("/nothing/at/all") == {}


@pytest.fixture
def outside():
    """A directory that isn't below /tmp, which pods don't see anyway."""
    with tempfile.TemporaryDirectory(dir=place_outside_tmp(), prefix="orchestrator-test-") as name:
        yield Path(name)


def test_hidden_paths_are_empty_but_mounts_from_below_them_work(outside):
    patients = outside / "patients"
    shared = patients / "shared"
    shared.mkdir(parents=True)
    (patients / "secret").write_text("secret")
    (shared / "public").write_text("public")
    world = World(outside)
    try:
        world.open(hidden=[patients])
        script = f"ls -A {patients}; cat /ws/public; ls -A {outside}/sandboxes; cat {patients}/secret"
        world.start("sh", "-c", script, mounts=[Mount(shared, "/ws")])
        assert world.wait().exit_code != 0
        assert world.output() == "public"
    finally:
        world.runner.close_all()
    assert (patients / "secret").read_text() == "secret"


def test_only_the_containers_own_processes_are_seen(pod):
    pod.start("sleep", "1000", name="side")
    numbers = pod.shell("ls /proc | grep -c '^[0-9][0-9]*$'; cat /proc/[0-9]*/comm")
    assert "sleep" not in numbers
    assert int(numbers.split()[0]) < 6


def test_proc_cannot_change_the_machine(pod):
    pod.start("sh", "-c", "echo x > /proc/sys/kernel/core_pattern")
    assert pod.wait().exit_code != 0
    pod.start("sh", "-c", "ls /proc/1/root/")
    assert pod.wait().exit_code != 0


def test_devices_work(pod):
    script = (
        "head -c 4 /dev/urandom | wc -c; echo gone > /dev/null; echo x > /dev/shm/x; cat /dev/shm/x; ls -A /dev/shm"
    )
    assert pod.shell(script).split() == ["4", "x", "x"]
    assert pod.shell("ls -A /dev | sort").split() == sorted(
        ["fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]
    )


def test_shared_memory_does_not_pass_to_the_next_pod(world):
    world.open("first")
    world.shell("echo x > /dev/shm/x", pod="first")
    world.runner.close("first")
    world.until(lambda: world.runner.idle() == 1)
    world.open("second")
    assert world.shell("ls -A /dev/shm", pod="second") == ""


def test_no_traces_pass_to_the_next_pod(world, source):
    writes = "echo x > /tmp/a; mkdir -p /tmp/b/c; echo x > /etc/mine; echo x > /var/tmp/x; chmod 700 /tmp"
    for number in range(4):
        pod = f"pod-{number}"
        world.open(pod)
        mounts = [Mount(source, "/tmp/input")] if number % 2 else []
        listing = "LC_ALL=C ls -A /tmp /var/tmp; cat /etc/mine 2>/dev/null; stat -c %a /tmp"
        shown = world.shell(f"{listing}; {writes}", pod=pod, mounts=mounts)
        listed = sorted([*leading_to_programs("/tmp"), *(["input"] if number % 2 else [])])
        assert shown.splitlines() == ["/tmp:", *listed, "", "/var/tmp:", *leading_to_programs("/var/tmp"), "1777"]
        world.runner.close(pod)
        world.until(lambda: world.runner.idle() == 1)


def test_containers_of_a_pod_write_apart_but_share_mounts(pod, source):
    mounts = [Mount(source, "/ws")]
    pod.shell("echo one > /ws/one; echo one > /etc/own", name="first", mounts=mounts)
    assert pod.shell("cat /ws/one; cat /etc/own || true", name="second", mounts=mounts) == "one\n"
    assert pod.text("/etc/own", name="first") == "one\n"


def test_the_interpreter_and_the_pods_programs_can_be_used(pod):
    script = "import runtime.archives, sys; print(sys.version_info[0])"
    assert pod.run(sys.executable, "-c", script, env={"PYTHONPATH": str(Path.cwd())}) == "3\n"


def test_a_container_that_never_ran_left_nothing(pod):
    assert pod.left("/tmp", name="unknown") == {}


def test_what_a_readable_link_leads_to_is_seen(tmp_path, source):
    link = tmp_path / "link"
    link.symlink_to(source)
    source.chmod(0o755)
    (source / "file").chmod(0o644)
    world = World(tmp_path, readable=[str(link)])
    try:
        world.open()
        assert world.shell(f"cat {link}/file") == "from the host"
    finally:
        world.runner.close_all()
